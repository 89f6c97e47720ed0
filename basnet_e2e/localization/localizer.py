"""From a video, or its features, to action intervals: the stages joined for one video."""

import contextlib
import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.localization.compatibility import check_settings, settings_for
from basnet_e2e.localization.feature_rows import as_rows, strides_between, thinned
from basnet_e2e.localization.pretrained import BUILT_IN, Untrained
from basnet_e2e.localization.snippet_prediction import Glimpse
from extract.features.feature_file import SUFFIX, Features
from extract.jobs.store import FeatureStore
from extract.pipeline.accumulator import OnProgress
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.sources.download import local_copy
from extract.sources.find import VideoInput, safe_id
from extract.video.isolation.isolated_clip import STALL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from basnet_e2e.heads.checkpoint import HeadModel
    from basnet_e2e.localization.observer import Witness
    from extract.jobs.resources import Division
    from extract.sources.urls import Url

log = logging.getLogger(__name__)


class Localizer:
    """A model and the extractor its features need, loaded once for any number of videos.

    Args:
        model: a model, the path of a model file, or None for the built-in ``kinetics400``.
        streams: without a model only: which streams classify (default rgb).
        backbone: without a model, whose classifier is used (default i3d); beside one, where the
            network of its features is, if that is a local folder.
        prompts: without a model, texts to look for in place of a classifier's classes.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        precision: of the networks that make features, see `extract.inference.precision`; default:
            the one that the model's features were made with, float32 without a model.
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: use a damaged video up to the damage instead of refusing it.
        glimpses: shown what each snippet of a video looks like as soon as it is computed; for the
            built-in model only.
        stall: seconds without a new frame after which a decoder counts as hung and is ended.
        store: where features of videos are kept; without it nowhere.
        witness: is shown the frames and activations of each video, for a report.
        refine: move borders to where the features change, which is finer than snippets; of a video
            some snippets more are extracted around them, and features of a finer stride than the
            model's are all looked at.

    Raises:
        BasnetError: the model file is missing or no model, other streams, another precision or
            prompts are given beside a model, or there is no such device.
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
        glimpses: "Callable[[Glimpse], None] | None" = None,
        stall: float = STALL,
        store: FeatureStore | None = None,
        witness: "Witness | None" = None,
        refine: bool = False,
    ) -> None:
        self._refines = refine
        self._glimpses = glimpses
        self._witness = witness
        self._device = device
        self._decoding = DecodeOptions(decoder, keep_partial, stall)
        self.keep_partial = keep_partial
        self._store = store or FeatureStore()
        self._extractor: Extractor | None = None
        self.model: HeadModel | None = None
        if model is None or model == BUILT_IN:
            self._untrained = Untrained(backbone, streams, prompts)
            if model is None:
                self._untrained.announce()
            self.name = self._untrained.name
            self._settings = ExtractSettings(
                self._untrained.backbone,
                streams=self._untrained.streams,
                precision=precision or ExtractSettings.precision,
            )
            return
        if prompts:
            raise BasnetError("a model knows its own classes: give either -m or --prompt")
        from basnet_e2e.heads.checkpoint import load_model
        from basnet_e2e.heads.common.devices import choose_device

        place = choose_device(device)
        if isinstance(model, str | os.PathLike):
            self.model = load_model(model, place)
        else:
            self.model = model.copy_on(place)
        self.name = self.model.name
        self._settings = settings_for(self.model, streams, precision)
        if backbone is not None:
            self._settings = replace(self._settings, backbone=backbone)

    @functools.cached_property
    def digest(self) -> str:
        """Short id of the model and how it is read: equal ones find the same in equal features."""
        if not self._refines:
            return self._model_digest()
        from basnet_e2e.localization.boundary_refinement import REFINEMENT

        text = f"{self._model_digest()} {REFINEMENT}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _model_digest(self) -> str:
        if self.model is not None:
            return self.model.digest()
        backbone = self.extractor.backbone
        made_of = [self.name, backbone.weights_hashes(), list(self._settings.streams)]
        text = json.dumps([*made_of, *self._untrained.prompts])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def extractor(self) -> Extractor:
        """The extractor that makes this model's features, loaded when a video first needs it."""
        if self._extractor is None:
            if self.model is not None and "backbone" not in self.model.extractor:
                raise BasnetError(
                    "the model was trained on features that basnet did not extract, so it cannot "
                    "make them from a video; give it features in the same layout instead"
                )
            extractor = Extractor(self._settings, device=self._device, decoding=self._decoding)
            if self.model is not None:
                self._check(extractor.file_settings, "those this installation makes")
            else:
                self._untrained.check(extractor.backbone)
            self._extractor = extractor
        return self._extractor

    def check(self, settings: Mapping[str, Any], video_id: str) -> None:
        """See whether features that were made with these settings can be read.

        Raises:
            BasnetError: they were made otherwise than the model needs.
        """
        if self.model is not None:
            self._check(settings, f"those of {video_id}")
            return
        made_with = settings.get("backbone")
        if made_with != self._untrained.backbone_name:
            raise BasnetError(
                f"{video_id}: features of the backbone {made_with} cannot be read by "
                f"{self.name}, which needs {self._untrained.backbone_name}; give a model with -m, "
                "or --backbone"
            )
        held = settings.get("streams", ())
        if not set(self._settings.streams) & set(held):
            raise BasnetError(
                f"{video_id}: these features hold {' and '.join(held)} only; "
                f"add --streams {','.join(held)}"
            )

    def _check(self, settings: Mapping[str, Any], what: str) -> None:
        assert self.model is not None
        check_settings(self.model.extractor, settings, what, finer=self._refines)

    def localize(
        self, video_or_features: "str | os.PathLike[str] | Features | VideoFeatures"
    ) -> Localization:
        """All proposals of a video file, a feature file or loaded features.

        Raises:
            VideoError: the video is damaged or no video.
            BasnetError: model and features do not fit, or several videos are given.
            WeightsError: the backbone's weights are not there.
        """
        refuse_several(video_or_features)
        if isinstance(video_or_features, Features):
            name = Path(str(video_or_features.facts.get("file", "video"))).stem
            return self.features(video_or_features, name)
        if isinstance(video_or_features, VideoFeatures):
            return self.rows(video_or_features)
        path = Path(video_or_features)
        if path.suffix == SUFFIX:
            return self.features(Features.load(path), path.stem)
        return self.video(VideoInput(safe_id(path.stem), path))

    def videos(
        self,
        paths: "Iterable[str | os.PathLike[str] | Url]",
        jobs: int | None = 1,
        failed: Callable[[Failure], None] | None = None,
    ) -> Iterator[Localization]:
        """All proposals of each of many videos, in their order.

        Args:
            paths: video files, feature files, folders of them, URLs of videos.
            jobs: how many processes make features while heads read them; None leaves it to the
                machine. (A script's own code then belongs behind ``if __name__ == "__main__"``.)
            failed: hears of videos that fail, and the rest go on; without it their error is raised.

        Raises:
            ExtractError: a path does not exist or holds nothing to work on, or a video is broken.
            BasnetError: a file that is neither a video nor features, or is not the model's.
            WeightsError: the backbone's weights are not there.
        """
        from basnet_e2e.localization.many_videos import localize_several

        yield from localize_several(self, paths, jobs, failed)

    @contextlib.contextmanager
    def ahead(self, videos: Sequence[VideoInput], jobs: int | None) -> "Iterator[Division]":
        """Within the block processes make the features that these videos are asked for.

        Args:
            videos: in the order in which they are asked for.
            jobs: how many processes; None leaves it to the machine, and one makes none.
        """
        from extract.jobs.prefetched_features import prefetched

        if self._witness:  # it must see the frames of what stands elsewhere
            videos = [video for video in videos if isinstance(video.path, Path)]
        store = self._store
        ahead = prefetched(store, videos, self.extractor, self._device, jobs)
        with ahead as (self._store, division):
            try:
                yield division
            finally:
                self._store = store

    def video(self, video: VideoInput, progress: OnProgress | None = None) -> Localization:
        """All proposals of a video file.

        Raises:
            VideoError: the video is damaged or no video.
            WeightsError: the backbone's weights are not there.
        """
        features = self._store.features(
            video,
            self.extractor,
            on_progress=progress,
            on_features=self._glimpse if self._glimpses and self.model is None else None,
            on_open=self._witness.watch if self._witness else None,
        )
        if features.facts.get("partial"):
            log.warning("%s: %s", video.path, features.facts["partial"])
        found = self.features(features, video.id, video.file)
        return self._closer(found, features, video, progress) if self._refines else found

    def _closer(
        self,
        found: Localization,
        features: Features,
        video: VideoInput,
        progress: OnProgress | None,
    ) -> Localization:
        """Intervals whose borders are seen on snippets extracted around them."""
        from basnet_e2e.localization.boundary_refinement import (
            REFINEMENT,
            closer_frames,
            to_changes,
        )
        from basnet_e2e.localization.change_points import Snippets

        frames = closer_frames(found, self.extractor.grid, len(features.start))
        if frames:
            with local_copy(video.path) as path:
                more = self.extractor.extract_snippets(path, frames, on_progress=progress)
            passes = [as_rows(each, video.id, features.streams) for each in (features, more)]
            found = to_changes(found, Snippets.of(passes), REFINEMENT.again)
        return replace(found, made=found.made | {"closer_snippets": len(frames)})

    def features(self, features: Features, video_id: str, file: str | None = None) -> Localization:
        """All proposals of a video whose features are there.

        Raises:
            BasnetError: the features were made otherwise than those the model was trained on.
        """
        self.check(features.settings, video_id)
        if self.model is None:
            found = self._built_in(features, video_id)
        else:
            streams = self.model.extractor.get("streams") or features.streams
            found = self.rows(as_rows(features, video_id, tuple(streams)))
        partial = features.facts.get("partial")
        return replace(
            found,
            file=file or str(features.facts.get("file", video_id)),
            made={"partial": partial} if partial else {},
        )

    def rows(self, video: VideoFeatures) -> Localization:
        """All proposals of feature rows read from any layout."""
        from basnet_e2e.localization.inference import activations, localization_of

        if self.model is None:
            raise BasnetError(
                f"{video.id}: {self.name} needs features that basnet extracted with the "
                f"{self._untrained.backbone_name} backbone; give a model with -m"
            )
        every, classes = video, self.model.classes
        if self._refines:
            video = thinned(video, strides_between(self.model.extractor, video.settings))
        seen = activations(self.model, video)
        if self._witness:
            self._witness.see(classes, seen.centres, seen.cas, seen.foreground)
        found = localization_of(seen, self.model.preset, classes, video, self.name)
        return self._refined(found, every, classes, seen.centres, seen.cas)

    def _refined(
        self,
        found: Localization,
        video: VideoFeatures,
        classes: Sequence[str],
        centres: "NDArray[np.float64]",
        cas: "NDArray[np.float64]",
    ) -> Localization:
        """Intervals with borders at changes of all features there are, where that is asked for."""
        if not self._refines:
            return found
        from basnet_e2e.localization.boundary_refinement import Activation, refine
        from basnet_e2e.localization.change_points import Snippets

        return refine(found, Snippets.of([video]), Activation(classes, centres, cas))

    def _built_in(self, features: Features, video_id: str) -> Localization:
        """What is said of every snippet without training is a class activation sequence."""
        from basnet_e2e.localization.inference import localize_untrained

        backbone = self.extractor.backbone
        used = tuple(name for name in self._settings.streams if name in features.streams)
        rows = as_rows(features, video_id, used)
        cas = self._untrained.probabilities(
            backbone, {name: getattr(features, name) for name in used}
        )
        classes = self._untrained.classes(backbone)
        centres = (rows.start + rows.end) / 2
        if self._witness:
            self._witness.see(classes, centres, cas, None)
        found = localize_untrained(cas, rows, classes, self.name)
        return self._refined(found, rows, classes, centres, cas)

    def _glimpse(
        self,
        start: "NDArray[np.float64]",
        end: "NDArray[np.float64]",
        features: "Mapping[str, NDArray[np.float32]]",
    ) -> None:
        """Show the most likely class of snippets that were just computed."""
        assert self._glimpses is not None
        backbone = self.extractor.backbone
        names = self._untrained.classes(backbone)
        found = self._untrained.probabilities(backbone, features)
        for first, last, row in zip(start, end, found, strict=True):
            best = int(row.argmax())
            self._glimpses(Glimpse(float(first), float(last), names[best], float(row[best])))


def refuse_several(given: object) -> None:
    """Refuse anything but one video.

    Raises:
        BasnetError: names what was given and what to call for several.
    """
    if isinstance(given, str | os.PathLike | Features | VideoFeatures):
        return
    raise BasnetError(
        f"localize takes one video, not a {type(given).__name__}; for several: "
        "localizer = basnet_e2e.Localizer(model), then localizer.localize(video) for each"
    )
