"""Features of one video, collected as they are computed."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extract.features.feature_file import Features

if TYPE_CHECKING:
    from extract.features.checkpoints import Checkpoints

OnProgress = Callable[[int, int], None]
"""Called with (snippets done, snippets in all)."""
OnFeatures = Callable[
    [NDArray[np.float64], NDArray[np.float64], Mapping[str, NDArray[np.float32]]], None
]
"""Called with start and end ``[n]`` of some snippets in seconds, and their features ``[n, D]`` of
each stream."""


class Accumulator:
    """Collects features, calls back after each group and writes checkpoints.

    Attributes:
        done: snippets so far.

    Args:
        times: start and end of the snippets, ``[T]`` seconds each.
        streams: the streams to collect.
        on_progress: called after each group.
        on_features: called with the features of each group.
    """

    def __init__(
        self,
        times: tuple[NDArray[np.float64], NDArray[np.float64]],
        streams: Sequence[str],
        on_progress: OnProgress | None = None,
        on_features: OnFeatures | None = None,
    ) -> None:
        self._start, self._end = times
        self._parts: dict[str, list[NDArray[np.float32]]] = {name: [] for name in streams}
        self._on_progress, self._on_features = on_progress, on_features
        self._checkpoints: Checkpoints | None = None
        self.done = 0

    def resume(self, checkpoints: "Checkpoints", made_with: dict[str, Any]) -> None:
        """Begin with the features of an interrupted run, and write checkpoints from now on.

        Args:
            checkpoints: those of the video.
            made_with: everything that the features depend on, as JSON.
        """
        self._checkpoints = checkpoints
        self.done = checkpoints.resume(made_with, self._parts)

    def add(self, group: Mapping[str, NDArray[np.float32]]) -> None:
        """Add the features of the next snippets."""
        for name, rows in group.items():
            self._parts[name].append(rows)
        before, self.done = self.done, self.done + len(next(iter(group.values())))
        count = len(self._start)
        if self._checkpoints and self.done < count:
            self._checkpoints.save(self.done, self._parts)
        if self._on_progress:
            self._on_progress(self.done, count)
        if self._on_features:
            now = slice(before, self.done)
            self._on_features(self._start[now], self._end[now], group)

    def features(self, meta: dict[str, Any]) -> Features:
        """All features, with the metadata of their file."""
        streams = {name: np.concatenate(rows) for name, rows in self._parts.items()}
        return Features(streams.get("rgb"), streams.get("flow"), self._start, self._end, meta)
