"""From a video, or its features, to action intervals: the stages joined for one video."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basnet_e2e.data.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization, keep_best
from extract.features import (
    SUFFIX,
    Features,
    settings_difference,
    settings_for_streams,
)
from extract.inputs import VideoInput
from extract.pipeline import Extractor, ExtractSettings
from extract.streams import STREAMS

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel

log = logging.getLogger(__name__)
BUILT_IN = "kinetics400"
BUILT_IN_BACKBONE = "i3d"
# A proposal scores its contrast with its surroundings plus at most 0.2 (gamma) for its class, so
# what lies below does not stand out from its surroundings at all.
MIN_SCORE = 0.2
BASELINE_NOTE = (
    "no model given: using the built-in kinetics400, a classifier of 400 actions that was never "
    "trained to localize (a baseline); train your own with 'basnet train' and pass it with -m"
)

Progress = Callable[[int, int], None]


class Localizer:
    """A model and the extractor its features need, loaded once for any number of videos.

    Args:
        model: a model, the path of a model file, or None for the built-in ``kinetics400``.
        streams: for the built-in model only: which streams classify (default rgb).
        device: ``auto``, ``cpu`` or ``cuda[:N]``.

    Raises:
        BasnetError: the model file is missing or no model, or streams are given beside a model.
    """

    def __init__(
        self,
        model: "HeadModel | str | os.PathLike[str] | None" = None,
        *,
        streams: tuple[str, ...] | None = None,
        device: str = "auto",
    ) -> None:
        self._device = device
        self._extractor: Extractor | None = None
        self.model: HeadModel | None = None
        if model is None or model == BUILT_IN:
            log.info(BASELINE_NOTE)
            self.name = BUILT_IN
            self._settings = ExtractSettings(BUILT_IN_BACKBONE, streams=streams or ("rgb",))
            return
        if isinstance(model, str | os.PathLike):
            from basnet_e2e.heads.checkpoint import load_model

            self.name = Path(model).stem
            model = load_model(model)
        else:
            self.name = "model"
        self.model = model
        self._settings = self._settings_of(model, streams)

    @staticmethod
    def _settings_of(model: "HeadModel", streams: tuple[str, ...] | None) -> ExtractSettings:
        trained = model.extractor
        if streams is not None and streams != tuple(trained.get("streams", streams)):
            raise BasnetError(
                f"the model was trained on {','.join(trained['streams'])}, so it cannot run on "
                f"{','.join(streams)} alone; train another with 'basnet train --streams'"
            )
        return ExtractSettings.from_file(trained) if "backbone" in trained else ExtractSettings()

    @property
    def extractor(self) -> Extractor:
        """The extractor that makes this model's features, loaded when a video first needs it."""
        if self._extractor is None:
            if self.model is not None and "backbone" not in self.model.extractor:
                raise BasnetError(
                    "the model was trained on features that basnet did not extract, so it cannot "
                    "make them from a video; give it features in the same layout instead"
                )
            extractor = Extractor(self._settings, device=self._device)
            if self.model is not None:
                self._check(extractor.settings, "those this installation makes")
            self._extractor = extractor
        return self._extractor

    def _check(self, settings: dict[str, Any], what: str) -> None:
        """Refuse features of another kind than those the model was trained on."""
        assert self.model is not None
        trained = self.model.extractor
        if "backbone" not in trained and "backbone" not in settings:
            return
        difference = settings_difference(
            trained, settings_for_streams(settings, trained.get("streams", STREAMS))
        )
        if difference:
            raise BasnetError(f"the model was trained on other features than {what} ({difference})")

    def video(self, video: VideoInput, progress: Progress | None = None) -> Localization:
        """All proposals of a video file.

        Raises:
            VideoError: the video is damaged or no video.
            WeightsError: the backbone's weights are not there.
        """
        features = self.extractor.extract(video.path, progress=progress)
        return self.features(features, video.id, video.path.name)

    def features(self, features: Features, video_id: str, file: str | None = None) -> Localization:
        """All proposals of a video whose features are there.

        Raises:
            BasnetError: the features were made otherwise than those the model was trained on.
        """
        if self.model is None:
            found = self._built_in(features, video_id)
        else:
            streams = self.model.extractor.get("streams") or features.streams
            self._check(features.settings, f"those of {video_id}")
            found = self.rows(as_rows(features, video_id, tuple(streams)))
        return replace(found, file=file or str(features.facts.get("file", video_id)))

    def rows(self, video: VideoFeatures) -> Localization:
        """All proposals of feature rows read from any layout."""
        from basnet_e2e.localization.inference import localize_features

        if self.model is None:
            raise BasnetError(
                f"{video.id}: the built-in model needs features that basnet extracted with the "
                f"{BUILT_IN_BACKBONE} backbone; give a model with -m"
            )
        return replace(localize_features(self.model, video), model=self.name)

    def _built_in(self, features: Features, video_id: str) -> Localization:
        """The published classifier on every snippet is a class activation sequence."""
        from scipy.special import softmax

        from basnet_e2e.localization.inference import localize_kinetics

        made_with = features.settings.get("backbone")
        if made_with != BUILT_IN_BACKBONE:
            raise BasnetError(
                f"{video_id}: features of the backbone {made_with} cannot be read by the built-in "
                f"model, which needs {BUILT_IN_BACKBONE}; give a model with -m"
            )
        backbone = self.extractor.backbone
        used = [name for name in self._settings.streams if name in features.streams]
        if not used:
            raise BasnetError(
                f"{video_id}: these features hold {' and '.join(features.streams)} only; "
                f"add --streams {','.join(features.streams)}"
            )
        logits = sum(backbone.classify(getattr(features, name), name) for name in used)
        rows = as_rows(features, video_id, tuple(used))
        return localize_kinetics(softmax(logits, axis=1), rows, backbone.class_names)


def as_rows(features: Features, video_id: str, streams: tuple[str, ...]) -> VideoFeatures:
    """A feature file's content as the head reads it: streams side by side, times, duration."""
    return VideoFeatures(
        id=video_id,
        x=features.matrix(streams),
        start=features.start,
        end=features.end,
        duration=features.duration,
        settings=features.settings,
    )


def localize(
    video_or_features: "str | os.PathLike[str] | Features | VideoFeatures",
    model: "HeadModel | str | os.PathLike[str] | None" = None,
    *,
    keep: str = "best",
    min_score: float = MIN_SCORE,
    min_length: float = 0.0,
    streams: tuple[str, ...] | None = None,
    device: str = "auto",
) -> Localization:
    """Action intervals of one video.

    Args:
        video_or_features: a video file, a feature file (``.safetensors``) or loaded features.
        model: a trained model or its file; None uses the built-in ``kinetics400``.
        keep: ``best`` leaves no overlap within a class and honours ``min_score`` and
            ``min_length``; ``all`` gives every proposal after non-maximum suppression.
        min_score: lowest score that ``best`` keeps.
        min_length: shortest interval in seconds that ``best`` keeps.
        streams: for the built-in model: which streams classify.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.

    Returns:
        A ``Localization`` whose intervals are in seconds of the original file.

    Raises:
        VideoError: the video is damaged or no video.
        BasnetError: model and features do not fit.
        WeightsError: the backbone's weights are not there.
    """
    if keep not in ("best", "all"):
        raise BasnetError(f"keep is 'best' or 'all', not {keep!r}")
    localizer = Localizer(model, streams=streams, device=device)
    if isinstance(video_or_features, Features):
        name = Path(str(video_or_features.facts.get("file", "video"))).stem
        found = localizer.features(video_or_features, name)
    elif isinstance(video_or_features, VideoFeatures):
        found = localizer.rows(video_or_features)
    else:
        path = Path(video_or_features)
        if path.suffix == SUFFIX:
            found = localizer.features(Features.load(path), path.stem)
        else:
            found = localizer.video(VideoInput(path.stem, path))
    if keep == "all":
        return found
    return replace(found, intervals=keep_best(found.intervals, min_score, min_length))
