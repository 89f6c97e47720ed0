"""An observer sees a video while it is localized, to keep what a report shows."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.localization.predictor import VideoPrediction

if TYPE_CHECKING:
    from extract.pipeline.frame_window import OpenVideo


class Observer(Protocol):
    """Sees the frames and the activations of one video after another."""

    def on_video(self, clip: "OpenVideo") -> Callable[[float, NDArray[np.uint8]], None]:
        """Called when a video is opened; returns a function to call with each frame."""

    def on_prediction(self, found: VideoPrediction) -> None:
        """Called with the activations of the video and the intervals found in it."""
