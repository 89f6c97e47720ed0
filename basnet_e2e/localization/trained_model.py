"""A trained model as a predictor."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.checkpoint import HeadModel, load_model
from basnet_e2e.heads.common import devices
from basnet_e2e.localization.compatibility import check_settings, settings_for
from basnet_e2e.localization.feature_rows import as_rows, every_nth_row, strides_between
from basnet_e2e.localization.inference import activations, localization_of
from basnet_e2e.localization.predictor import Predictor, VideoPrediction
from extract.features.feature_file import Features
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions


class TrainedModel(Predictor):
    """A model file, or a model in memory, on the device where its network runs.

    Args:
        model: a copy is moved to the device.
        streams: must be the model's, if given.
        precision: of the backbone. Default: that of the features the model was trained on.
        backbone: local folder of the backbone, instead of the name in the model file.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoding: how videos are decoded.
        finer: also accept features of a finer stride; the model reads every n-th row.

    Raises:
        BasnetError: the file is missing or not a model, streams or precision differ, or the device
            does not exist.
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
        on = devices.choose_device(device)
        self.model = model.copy_on(on) if isinstance(model, HeadModel) else load_model(model, on)
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

    def _check(self, settings: Mapping[str, Any], name: str) -> None:
        check_settings(self.model.extractor, settings, name, finer=self._finer)

    def digest(self) -> str:
        """Short id of the weights and of how they are applied."""
        return self.model.digest()

    def predict(self, features: Features, video_id: str) -> VideoPrediction:
        """Read the streams that the model was trained on."""
        streams = tuple(self.model.extractor.get("streams") or features.streams)
        return self.predict_rows(as_rows(features, video_id, streams))

    def predict_rows(self, rows: VideoFeatures) -> VideoPrediction:
        """Read rows of any layout, at the stride that the model was trained on."""
        read, classes = rows, self.model.classes
        if self._finer:
            read = every_nth_row(rows, strides_between(self.model.extractor, rows.settings))
        seen = activations(self.model, read)
        found = localization_of(seen, self.model, read)
        return VideoPrediction(found, rows, classes, seen.centres, seen.cas, seen.foreground)
