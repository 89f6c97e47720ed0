"""A share of the videos for each of several machines, the same on all of them."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from extract.errors import ExtractError
from extract.features.failure_lists import FAILURES
from extract.sources.find import VideoInput, same_name

Video = TypeVar("Video", bound=VideoInput)


@dataclass(frozen=True)
class Shard:
    """Share ``index`` (from 0) of ``count``."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ExtractError(
                f"shard {self.index}/{self.count}: shards of {self.count} are called "
                f"0/{self.count} to {self.count - 1}/{self.count}"
            )

    @property
    def failures(self) -> str:
        """Name of its list of failures."""
        return f"failures-{self.index}-of-{self.count}.json" if self.count > 1 else FAILURES

    def of(self, videos: Sequence[Video]) -> list[Video]:
        """Its videos, chosen by their ids alone, whichever others there are."""
        return [video for video in videos if share(video.id, self.count) == self.index]


WHOLE = Shard(0, 1)


def share(video_id: str, count: int) -> int:
    """Index of a video's shard, the same on every machine."""
    digest = hashlib.sha256(same_name(video_id).encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


def parse_shard(text: str) -> Shard:
    """``I/N`` as a shard; an ``ExtractError`` for other text."""
    index, _, count = text.partition("/")
    if not (index.isascii() and index.isdigit() and count.isascii() and count.isdigit()):
        raise ExtractError(f"shard {text!r}: write I/N, for instance 0/8 to 7/8")
    return Shard(int(index), int(count))


def shard_of_array(environment: Mapping[str, str] = os.environ) -> Shard:
    """The shard of this task of a SLURM array; `WHOLE` outside of one.

    Raises:
        ExtractError: the tasks of the array are not evenly numbered.
    """
    index, count = (environment.get(f"SLURM_ARRAY_TASK_{name}") for name in ("ID", "COUNT"))
    if not index or not count:
        return WHOLE
    first = int(environment.get("SLURM_ARRAY_TASK_MIN", "0"))
    step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
    place, rest = divmod(int(index) - first, step)
    if rest or not 0 <= place < int(count):
        raise ExtractError(
            f"task {index} of an array of {count}: number the tasks evenly (--array=0-"
            f"{int(count) - 1}), or say --shard I/N"
        )
    return Shard(place, int(count))
