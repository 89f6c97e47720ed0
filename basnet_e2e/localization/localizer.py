"""From videos, or their features, to action intervals."""

import contextlib
import functools
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.localization.feature_rows import as_rows
from basnet_e2e.localization.inputs import FeatureArrays, FeatureFile, Input, VideoFile, find_inputs
from basnet_e2e.localization.predictor import Predictor, VideoPrediction, text_digest
from basnet_e2e.localization.pretrained import BUILT_IN, PretrainedClassifier, SnippetPrediction
from basnet_e2e.localization.video_failures import failure_message
from extract.features.feature_file import SUFFIX, Features, read_meta
from extract.features.fingerprint import content_id, fingerprint
from extract.features.settings import essential
from extract.jobs.store import FeatureStore
from extract.pipeline.settings import DecodeOptions
from extract.sources.download import local_copy
from extract.sources.find import VideoInput, safe_id
from extract.video.isolation.isolated_clip import STALL

if TYPE_CHECKING:
    from basnet_e2e.heads.checkpoint import HeadModel
    from extract.jobs.resources import Division
    from extract.pipeline.accumulator import OnProgress
    from extract.pipeline.extractor import Extractor
    from extract.pipeline.frame_window import OnFrame, OpenVideo
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


class Localizer:
    """A model and the extractor its features need, loaded once for any number of videos.

    Args:
        model: a model, the path of a model file, or None for the built-in ``kinetics400``.
        streams: without a model: the streams that classify. Default: rgb.
        backbone: without a model: the network whose classifier is used. Default: i3d. With a model:
            the local folder of the network that its features come from.
        prompts: without a model: texts to look for instead of a classifier's classes.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        precision: of the networks that compute features, see `extract.inference.precision`.
            Default: that of the model's features; float32 without a model.
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: use a damaged video up to the damage instead of refusing it.
        on_snippet: called with the most likely class of each snippet as soon as it is computed; for
            the built-in model only.
        stall: kill a decoder after this many seconds without a frame.
        store: keeps the features of videos. Default: they are not kept.
        on_open: called with each video that is opened; returns a function called with each frame.
        on_prediction: called with the activations of each video and the intervals found in it.
        refine: move borders to where the features change, which is finer than snippets. Extra
            snippets are extracted around the borders of videos; of features with a finer stride
            than the model's, all rows are used.

    Attributes:
        predictor: the model that reads features.

    Raises:
        BasnetError: the model file is missing or not a model, other streams, another precision or
            prompts are given with a model, or the device does not exist.
    """

    def __init__(
        self,
        model: "HeadModel | str | os.PathLike[str] | None" = None,
        *,
        streams: tuple[str, ...] | None = None,
        backbone: str | None = None,
        prompts: Sequence[str] = (),
        device: str = "auto",
        precision: str | None = None,
        decoder: str = "auto",
        keep_partial: bool = False,
        on_snippet: "Callable[[SnippetPrediction], None] | None" = None,
        stall: float = STALL,
        store: FeatureStore | None = None,
        on_open: "Callable[[OpenVideo], OnFrame] | None" = None,
        on_prediction: Callable[[VideoPrediction], None] | None = None,
        refine: bool = False,
    ) -> None:
        self._refines = refine
        self._on_features: Callable[..., None] | None = None
        self._on_open, self._on_prediction = on_open, on_prediction
        self._device = device
        decoding = DecodeOptions(decoder, keep_partial, stall)
        self._keep_partial = keep_partial
        self._store = store or FeatureStore()
        self.predictor: Predictor
        if model is None or model == BUILT_IN:
            classifier = PretrainedClassifier(
                backbone, streams, prompts, precision=precision, device=device, decoding=decoding
            )
            if model is None:
                classifier.announce()
            if on_snippet is not None:
                self._on_features = functools.partial(classifier.report_snippets, on_snippet)
            self.predictor = classifier
            return
        if prompts:
            raise BasnetError("a model knows its own classes: give either -m or --prompt")
        from basnet_e2e.localization.trained_model import TrainedModel

        self.predictor = TrainedModel(
            model,
            streams=streams,
            precision=precision,
            backbone=backbone,
            device=device,
            decoding=decoding,
            finer=refine,
        )

    @property
    def extractor(self) -> "Extractor":
        """The extractor that makes this model's features, loaded when a video first needs it."""
        return self.predictor.extractor

    @functools.cached_property
    def digest(self) -> str:
        """Short id of the model and how it is applied: equal ids give equal results."""
        if not self._refines:
            return self.predictor.digest()
        from basnet_e2e.localization.refinement.boundary_refinement import REFINEMENT

        return text_digest(f"{self.predictor.digest()} {REFINEMENT}")

    # One input ------------------------------------------------------------------------------------

    def check(self, given: Input) -> None:
        """Check before work starts that the model can read an input.

        Raises:
            BasnetError: it cannot.
            WeightsError: the network that the input needs is missing.
        """
        match given:
            case VideoFile():
                _ = self.extractor
            case FeatureFile(path=path):
                self.predictor.check_features(read_meta(path)["settings"], given.id)
            case FeatureArrays() if isinstance(self.predictor, PretrainedClassifier):
                self.predictor.check_features({}, given.id)

    def made_from(self, given: Input) -> dict[str, Any]:
        """What the proposals depend on: an earlier result with the same record is still valid.

        Raises:
            OSError: the file cannot be read.
        """
        match given:
            case VideoFile(path=path):
                settings = json.dumps(essential(self.extractor.file_settings), sort_keys=True)
                made = {"settings": text_digest(settings), "keep_partial": self._keep_partial}
                return {"input": content_id(path), "model": self.digest, **made}
            case FeatureFile(path=path):
                return {"input": fingerprint(path), "model": self.digest}
            case FeatureArrays(arrays=arrays):
                parts = [fingerprint(path) for path in arrays.files.values()]
                parts.append(json.dumps(arrays.grid.settings(), sort_keys=True))
                return {"input": text_digest(" ".join(parts)), "model": self.digest}

    def localize_input(self, given: Input, progress: "OnProgress | None" = None) -> Localization:
        """All proposals of an input.

        Raises:
            VideoError: the video is damaged or not a video.
            BasnetError: model and features do not fit.
            WeightsError: the backbone's weights are missing.
        """
        match given:
            case VideoFile():
                return self.video(given, progress)
            case FeatureFile(path=path):
                return self.features(Features.load(path), given.id)
            case FeatureArrays(arrays=arrays):
                notes: dict[str, str] = {}
                x, start, end, duration = arrays.read(notes)
                for video_id, note in notes.items():
                    log.warning(
                        "%s: rgb and flow differ in length, cut to the shorter (%s)", video_id, note
                    )
                return self.rows(
                    VideoFeatures(given.id, x, start, end, duration, arrays.settings())
                )

    def localize(
        self, video_or_features: "str | os.PathLike[str] | Features | VideoFeatures"
    ) -> Localization:
        """All proposals of a video file, a feature file or loaded features.

        Raises:
            VideoError: the video is damaged or not a video.
            BasnetError: model and features do not fit, or several videos are given.
            WeightsError: the backbone's weights are missing.
        """
        if not isinstance(video_or_features, str | os.PathLike | Features | VideoFeatures):
            raise BasnetError(
                f"localize takes one video, not a {type(video_or_features).__name__}; for several: "
                "localizer = basnet_e2e.Localizer(model), then localizer.localize(video) for each"
            )
        if isinstance(video_or_features, Features):
            name = Path(str(video_or_features.facts.get("file", "video"))).stem
            return self.features(video_or_features, name)
        if isinstance(video_or_features, VideoFeatures):
            return self.rows(video_or_features)
        path = Path(video_or_features)
        if path.suffix == SUFFIX:
            return self.localize_input(FeatureFile(path.stem, path))
        return self.localize_input(VideoFile(safe_id(path.stem), path))

    # Many inputs ----------------------------------------------------------------------------------

    def videos(
        self,
        paths: "Iterable[str | os.PathLike[str] | Url]",
        jobs: int | None = 1,
        failed: Callable[[Failure], None] | None = None,
    ) -> Iterator[Localization]:
        """All proposals of each of many videos, in their order.

        Args:
            paths: video files, feature files, folders of them, URLs of videos.
            jobs: number of processes that extract features; None chooses by the machine. (A script
                must then guard its own code by ``if __name__ == "__main__"``.)
            failed: called with each video that fails, while the others continue. Default: raise
                the error.

        Raises:
            ExtractError: a path does not exist or has no input, or a video is damaged.
            BasnetError: a file that is neither a video nor features, or does not fit the model.
            WeightsError: the backbone's weights are missing.
        """
        inputs = find_inputs(list(paths))
        with self.prefetch(inputs, jobs):
            for given in inputs:
                try:
                    self.check(given)
                    found = self.localize_input(given)
                except Exception as error:
                    if failed is None:
                        raise
                    failed(Failure(given.id, given.file, failure_message(error, given.path)))
                    continue
                yield found

    @contextlib.contextmanager
    def prefetch(
        self, inputs: Sequence[VideoInput], jobs: int | None
    ) -> "Iterator[Division | None]":
        """Within the block, processes extract the features of the inputs that are videos.

        Args:
            inputs: in the order in which they will be localized.
            jobs: number of processes; None chooses by the machine, 1 starts none.

        Returns:
            How the machine is divided; None if there is no work to divide.
        """
        videos = [given for given in inputs if not isinstance(given, FeatureFile | FeatureArrays)]
        if len(videos) < 2 or jobs == 1:
            yield None
            return
        from extract.jobs.prefetched_features import prefetched

        if self._on_open:  # it must see the frames of videos that are URLs
            videos = [video for video in videos if isinstance(video.path, Path)]
        store = self._store
        workers = prefetched(store, videos, self.extractor, self._device, jobs)
        with workers as (self._store, division):
            try:
                yield division
            finally:
                self._store = store

    # From one kind of input to intervals ----------------------------------------------------------

    def video(self, video: VideoInput, progress: "OnProgress | None" = None) -> Localization:
        """All proposals of a video file.

        Raises:
            VideoError: the video is damaged or not a video.
            WeightsError: the backbone's weights are missing.
        """
        features = self._store.features(
            video,
            self.extractor,
            on_progress=progress,
            on_features=self._on_features,
            on_open=self._on_open,
        )
        if features.facts.get("partial"):
            log.warning("%s: %s", video.path, features.facts["partial"])
        found = self.features(features, video.id, video.file)
        return self._refine_closely(found, features, video, progress) if self._refines else found

    def features(self, features: Features, video_id: str, file: str | None = None) -> Localization:
        """All proposals of a video whose features were extracted.

        Raises:
            BasnetError: the features were made with other settings than those of the model.
        """
        self.predictor.check_features(features.settings, video_id)
        found = self._finish(self.predictor.predict(features, video_id))
        partial = features.facts.get("partial")
        return replace(
            found,
            file=file or str(features.facts.get("file", video_id)),
            made=found.made | ({"partial": partial} if partial else {}),
        )

    def rows(self, video: VideoFeatures) -> Localization:
        """All proposals of feature rows read from any layout."""
        return self._finish(self.predictor.predict_rows(video))

    def _finish(self, found: VideoPrediction) -> Localization:
        """Pass on the activations, and refine borders if asked for."""
        if self._on_prediction:
            self._on_prediction(found)
        if not self._refines:
            return found.localization
        from basnet_e2e.localization.refinement.boundary_refinement import refine

        return refine(found)

    def _refine_closely(
        self,
        found: Localization,
        features: Features,
        video: VideoInput,
        progress: "OnProgress | None",
    ) -> Localization:
        """Refine borders on extra snippets extracted around them."""
        from basnet_e2e.localization.refinement.boundary_refinement import (
            REFINEMENT,
            extra_frames,
            to_changes,
        )
        from basnet_e2e.localization.refinement.change_points import Snippets

        frames = extra_frames(found, self.extractor.grid, len(features.start))
        if frames:
            with local_copy(video.path) as path:
                more = self.extractor.extract_snippets(path, frames, on_progress=progress)
            passes = [as_rows(each, video.id, features.streams) for each in (features, more)]
            found = to_changes(found, Snippets.of(passes), REFINEMENT.second_reach)
        return replace(found, made=found.made | {"closer_snippets": len(frames)})
