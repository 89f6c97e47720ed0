"""Record what a report shows of a video while the video is localized."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.localization.predictor import VideoPrediction
from basnet_e2e.report.evidence import Evidence, shown_classes
from basnet_e2e.report.thumbnails import ThumbnailRecorder

if TYPE_CHECKING:
    from extract.pipeline.extractor import OpenVideo


class EvidenceRecorder:
    """Observe one video after the other: see :mod:`basnet_e2e.localization.observer`."""

    def __init__(self) -> None:
        self._thumbnails: ThumbnailRecorder | None = None
        self._prediction: VideoPrediction | None = None

    def on_video(self, clip: "OpenVideo") -> Callable[[float, NDArray[np.uint8]], None]:
        """Take thumbnails out of the frames that are decoded anyway."""
        self._thumbnails = ThumbnailRecorder(clip.duration)
        return self._thumbnails.on_frame

    def on_prediction(self, found: VideoPrediction) -> None:
        """Keep the activations until the shown intervals are known."""
        self._prediction = found

    def reset(self) -> None:
        """Start over with the next video, whether or not the last one succeeded."""
        self._thumbnails = self._prediction = None

    def evidence(self, document: dict[str, Any]) -> Evidence:
        """Evidence of the video that was just localized.

        Args:
            document: its result as one JSON object.
        """
        pictures = self._thumbnails.taken if self._thumbnails else []
        video, duration = str(document["video"]), float(document["duration"])
        seen = self._prediction
        if seen is None:
            return Evidence.none(video, duration).with_thumbnails(pictures)
        columns = {name: column for column, name in enumerate(seen.classes)}
        labels = [str(each["label"]) for each in document["intervals"]]
        curves = {
            name: seen.cas[:, columns[name]] for name in shown_classes(labels, document["classes"])
        }
        return Evidence.of(video, duration, seen.centres, curves, seen.foreground, pictures)
