"""The features of one video while it is worked on."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.features.feature_file import Features
from extract.pipeline.scheduler import Found, Stages

if TYPE_CHECKING:
    from extract.features.checkpoints import Chunks

Progress = Callable[[int, int], None]
# Is given features as they come: start and end in seconds of some snippets ``[n]``, and their
# features ``[n, D]`` of each stream.
Listener = Callable[
    [NDArray[np.float64], NDArray[np.float64], Mapping[str, NDArray[np.float32]]], None
]


class Growing:
    """The features of a video, as they come.

    Attributes:
        parts: rows of each stream.
        done: snippets whose features are there.
        waiting: groups whose features are on their way.
        meta: of the file.

    Args:
        stages: what makes them.
        streams: those that are wanted.
        times: at which snippets begin and end, ``[T]`` seconds each.
        hear: told of progress, and given the features; see ``Extractor.extract``.
        chunks: where finished parts are kept.
    """

    def __init__(
        self,
        stages: Stages,
        streams: Sequence[str],
        times: tuple[NDArray[np.float64], NDArray[np.float64]],
        hear: tuple[Progress | None, Listener | None],
        chunks: "Chunks | None",
    ) -> None:
        self.parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in streams}
        self.done = 0
        self.waiting: deque[Found] = deque()
        self.meta: dict[str, Any] = {}
        self._stages = stages
        self._start, self._end = times
        self._progress, self._listener = hear
        self._chunks = chunks

    def grow(self, groups: Generator[Found]) -> None:
        """Take groups as they come, in order; the last ones may be left waiting."""
        with contextlib.closing(groups):
            for group in groups:
                self.waiting.append(group)
                while self.waiting and self.ready():
                    self.take()

    def ready(self) -> bool:
        """Whether the next group need not wait for others to fill its batch."""
        return self._stages.ready(self.waiting[0])

    def take(self) -> None:
        """Add the next group, as soon as its features are there."""
        group = self._stages.fetch(self.waiting.popleft())
        for name, rows in group.items():
            self.parts[name].append(rows)
        before, self.done = self.done, self.done + len(next(iter(group.values())))
        count = len(self._start)
        if self._chunks and self.done < count:
            self._chunks.keep(self.done, self.parts)
        if self._progress:
            self._progress(self.done, count)
        if self._listener:
            now = slice(before, self.done)
            self._listener(self._start[now], self._end[now], group)

    def features(self) -> Features:
        """All of them."""
        streams = {name: np.concatenate(rows) for name, rows in self.parts.items()}
        return Features(
            rgb=streams.get("rgb"),
            flow=streams.get("flow"),
            start=self._start,
            end=self._end,
            meta=self.meta,
        )
