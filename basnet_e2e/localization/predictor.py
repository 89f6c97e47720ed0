"""Predictors read the features of a video: a trained model, or a pretrained classifier."""

import functools
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.common.decoding_rules import Floats
from basnet_e2e.intervals import Localization
from extract.features.feature_file import Features
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions, ExtractSettings


@dataclass(frozen=True)
class VideoPrediction:
    """All proposals of a video, and the activations they are from.

    Attributes:
        localization: all proposals.
        rows: the given feature rows, including those between the model's rows.
        classes: names of the columns of ``cas``.
        centres: ``[n]`` seconds at which the values of the curves are placed.
        cas: ``[n, len(classes)]`` activation that intervals are cut from.
        foreground: ``[n]`` foreground weights in [0, 1]; None if there are none.
    """

    localization: Localization
    rows: VideoFeatures
    classes: Sequence[str]
    centres: Floats
    cas: Floats
    foreground: Floats | None = None


class Predictor(ABC):
    """A model and the extractor that its features need.

    Attributes:
        name: of the model, in results.
        settings: for extracting features from a video.
        makes_features: whether features can be extracted, or must be given in the model's layout.
    """

    name: str
    makes_features = True

    def __init__(self, settings: ExtractSettings, device: str, decoding: DecodeOptions) -> None:
        self.settings = settings
        self._device = device
        self._decoding = decoding

    @functools.cached_property
    def extractor(self) -> Extractor:
        """The extractor of the model's features, loaded when a video first needs it.

        Raises:
            BasnetError: this installation cannot extract features that the model can read.
            WeightsError: the backbone's weights are missing.
        """
        if not self.makes_features:
            raise BasnetError(
                "the model was trained on features that basnet did not extract, so it cannot "
                "make them from a video; give it features in the same layout instead"
            )
        extractor = Extractor(self.settings, device=self._device, decoding=self._decoding)
        self.check_extractor(extractor)
        return extractor

    @abstractmethod
    def check_extractor(self, extractor: Extractor) -> None:
        """Refuse an extractor of other features (BasnetError)."""

    @abstractmethod
    def check_features(self, settings: Mapping[str, Any], video_id: str) -> None:
        """Refuse features that were extracted with other settings (BasnetError)."""

    @abstractmethod
    def digest(self) -> str:
        """Short id; predictors with equal ids give equal results for equal features."""

    @abstractmethod
    def predict(self, features: Features, video_id: str) -> VideoPrediction:
        """Read the features of a feature file."""

    @abstractmethod
    def predict_rows(self, rows: VideoFeatures) -> VideoPrediction:
        """Read feature rows of any layout.

        Raises:
            BasnetError: the predictor reads feature files only, or rows of another width.
        """


def text_digest(text: str) -> str:
    """Short id of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
