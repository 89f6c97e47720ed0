"""Who may look on while a video is localized, to keep what a report shows."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.localization.proposals import Floats

if TYPE_CHECKING:
    from extract.pipeline.extractor import OpenVideo


class Witness(Protocol):
    """Sees the frames and the activations of one video after the other."""

    def watch(self, clip: "OpenVideo") -> Callable[[float, NDArray[np.uint8]], None]:
        """A video is opened: gives a function that is shown each frame with its time."""

    def see(
        self, classes: Sequence[str], centres: Floats, cas: Floats, foreground: Floats | None
    ) -> None:
        """What the model sees in the video.

        Args:
            classes: names of the columns.
            centres: ``[n]`` seconds at which the rows' values sit.
            cas: ``[n, len(classes)]`` activation as proposals are cut from it.
            foreground: ``[n]`` foreground weights in [0, 1]; None where the model has none.
        """
