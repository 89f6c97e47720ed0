"""Who observes a video while it is localized, to keep what a report shows."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.localization.proposals import Floats

if TYPE_CHECKING:
    from extract.pipeline.extractor import OpenVideo


class Observer(Protocol):
    """Sees the frames and the activations of one video after the other."""

    def on_video(self, clip: "OpenVideo") -> Callable[[float, NDArray[np.uint8]], None]:
        """Called when a video is opened; returns a function that is called with each frame."""

    def on_activations(
        self, classes: Sequence[str], centres: Floats, cas: Floats, foreground: Floats | None
    ) -> None:
        """Called with what the model sees in the video.

        Args:
            classes: names of the columns.
            centres: ``[n]`` seconds at which the rows' values sit.
            cas: ``[n, len(classes)]`` activation as proposals are cut from it.
            foreground: ``[n]`` foreground weights in [0, 1]; None where the model has none.
        """
