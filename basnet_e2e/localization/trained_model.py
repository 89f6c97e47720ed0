"""A trained model as a predictor."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.checkpoint import HeadModel, load_model
from basnet_e2e.heads.common import devices
from basnet_e2e.localization.compatibility import check_settings, settings_for
from basnet_e2e.localization.feature_rows import as_rows, strides_between, thinned
from basnet_e2e.localization.inference import activations, localization_of
from basnet_e2e.localization.predictor import Predictor, VideoPrediction
from extract.features.feature_file import Features
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions


class TrainedModel(Predictor):
    """A model file, or a model in memory, on the device where its network runs.

    Args:
        model: a copy is moved to the device.
        streams: those asked for, which must be the model's.
        precision: of the backbone; default: that of the features the model was trained on.
        backbone: local folder of the backbone of its features, in place of the name on record.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoding: how videos are decoded.
        finer: also take features of a finer stride, of which the model reads every n-th row.

    Raises:
        BasnetError: a file that is missing or not a model, other streams, another precision, or a
            device that does not exist.
    """

    def __init__(
        self,
        model: HeadModel | str | os.PathLike[str],
        *,
        streams: tuple[str, ...] | None,
        precision: str | None,
        backbone: str | None,
        device: str,
        decoding: DecodeOptions,
        finer: bool,
    ) -> None:
        place = devices.choose_device(device)
        self.model = (
            model.copy_on(place) if isinstance(model, HeadModel) else load_model(model, place)
        )
        self.name = self.model.name
        self._finer = finer
        settings = settings_for(self.model, streams, precision)
        if backbone is not None:
            settings = replace(settings, backbone=backbone)
        super().__init__(settings, device, decoding)
        self.makes_features = "backbone" in self.model.extractor

    def check_extractor(self, extractor: Extractor) -> None:
        """Its features must be of the kind that the model was trained on."""
        self._check(extractor.file_settings, "those this installation makes")

    def check_features(self, settings: Mapping[str, Any], video_id: str) -> None:
        """They must be of the kind that the model was trained on."""
        self._check(settings, f"those of {video_id}")

    def _check(self, settings: Mapping[str, Any], what: str) -> None:
        check_settings(self.model.extractor, settings, what, finer=self._finer)

    def digest(self) -> str:
        """Of the weights and of how they are read."""
        return self.model.digest()

    def predict(self, features: Features, video_id: str) -> VideoPrediction:
        """Read the streams that the model was trained on."""
        streams = tuple(self.model.extractor.get("streams") or features.streams)
        return self.predict_rows(as_rows(features, video_id, streams))

    def predict_rows(self, rows: VideoFeatures) -> VideoPrediction:
        """Read rows of any layout, at the stride that the model was trained on."""
        read, classes = rows, self.model.classes
        if self._finer:
            read = thinned(rows, strides_between(self.model.extractor, rows.settings))
        seen = activations(self.model, read)
        found = localization_of(seen, self.model, read)
        return VideoPrediction(found, rows, classes, seen.centres, seen.cas, seen.foreground)
