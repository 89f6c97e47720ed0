"""Which video a name in a label, annotation or result file means."""

import difflib
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from basnet_e2e.errors import BasnetError

log = logging.getLogger(__name__)
LISTED = 5
# Suffixes that features have; those of videos stand in extract.inputs.
FEATURE_SUFFIXES = frozenset({".safetensors", ".npy", ".npz"})
# Published files of ActivityNet put this before the ids that its annotations use.
YOUTUBE = "v_"


@dataclass(frozen=True)
class Matches:
    """How names and video ids belong together.

    Attributes:
        found: name -> id, in the order of the names.
        unknown: names that mean none of the ids.
        unnamed: ids that no name means.
    """

    found: dict[str, str]
    unknown: tuple[str, ...]
    unnamed: tuple[str, ...]


def match_ids(names: Iterable[str], ids: Iterable[str]) -> Matches:
    """Match names to ids: by id, then id plus suffix, then base name where it is unique.

    ``a/b.mp4`` means the id ``a/b``; ``b`` or ``other/b.mp4`` mean it too, as long as no second id
    ends in ``/b``; last, ``b`` and ``v_b`` are taken for one video. Several names may mean one id;
    callers decide whether that is an error.

    Raises:
        BasnetError: a name could mean several ids.
    """
    known = list(dict.fromkeys(ids))
    exact = set(known)
    by_base: dict[str, list[str]] = {}
    for video_id in known:
        by_base.setdefault(base_name(video_id), []).append(video_id)
    found: dict[str, str] = {}
    unknown = []
    for name in dict.fromkeys(names):
        clean = name.replace("\\", "/").removeprefix("./")
        candidates = [stem for stem in (name, clean, without_suffix(clean)) if stem in exact]
        if not candidates:
            stem = base_name(without_suffix(clean))
            spellings = (base_name(clean), stem, f"{YOUTUBE}{stem}", stem.removeprefix(YOUTUBE))
            candidates = next((by_base[each] for each in spellings if each in by_base), [])
            if len(candidates) > 1:
                raise BasnetError(
                    f"'{name}' could be {listing(candidates)}; write the path relative to the "
                    "folder given"
                )
        if candidates:
            found[name] = candidates[0]
        else:
            unknown.append(name)
    named = set(found.values())
    return Matches(
        found, tuple(unknown), tuple(video_id for video_id in known if video_id not in named)
    )


def base_name(video_id: str) -> str:
    """Last part of an id: ``a/b`` gives ``b``."""
    return video_id.rsplit("/", 1)[-1]


def without_suffix(name: str) -> str:
    """The name without the suffix of a video or feature file, if it has one."""
    from extract.inputs import VIDEO_SUFFIXES

    stem, dot, suffix = name.rpartition(".")
    known = f".{suffix.lower()}"
    return stem if dot and stem and known in VIDEO_SUFFIXES | FEATURE_SUFFIXES else name


def listing(names: Collection[str], most: int = LISTED) -> str:
    """The first few names and how many more there are: ``'a', 'b' and 7 more``."""
    first = ", ".join(f"'{name}'" for name in list(names)[:most])
    rest = len(names) - most
    return f"{first} and {rest} more" if rest > 0 else first


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 video``, ``2 videos``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def unknown_message(unknown: Collection[str], ids: Collection[str]) -> str:
    """Unknown names, each with the id it resembles: ``'vidoe_1' (did you mean 'video_1'?)``."""
    parts = []
    for name in list(unknown)[:LISTED]:
        near = difflib.get_close_matches(name, ids, n=1)
        parts.append(f"'{name}' (did you mean '{near[0]}'?)" if near else f"'{name}'")
    rest = len(unknown) - LISTED
    return ", ".join(parts) + (f" and {rest} more" if rest > 0 else "")
