"""What `localize` is given: video files, feature files, folders of either, published layouts."""

import hashlib
import json
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from basnet_e2e.data.annotations.video_names import base_name, counted
from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.data.features.feature_files import feature_files, feature_id, refuse_other_kind
from basnet_e2e.data.features.layouts import ARRAY_SUFFIXES, ArraySource, find_arrays, parse_grid
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Localization
from extract.errors import ExtractError
from extract.features.feature_file import SUFFIX, Features, essential, read_meta
from extract.features.fingerprint import fingerprint
from extract.sources.find import VideoInput, safe_id, same_name, search, with_unique_ids
from extract.sources.storage import is_folder, path_or_url
from extract.sources.urls import Url

if TYPE_CHECKING:
    from basnet_e2e.localization.localizer import Localizer
    from extract.pipeline.accumulator import OnProgress

log = logging.getLogger(__name__)


class Source(VideoInput, ABC):
    """One video in some form that a ``Localizer`` can work on."""

    makes_features: ClassVar[bool] = False

    @abstractmethod
    def check(self, localizer: "Localizer") -> None:
        """See before work starts that model and input fit.

        Raises:
            BasnetError: they do not.
            WeightsError: the network that the input needs is not there.
        """

    @abstractmethod
    def made_from(self, localizer: "Localizer") -> dict[str, Any]:
        """What the proposals depend on, to tell whether those of an earlier run still hold.

        Raises:
            OSError: the file cannot be read.
        """

    @abstractmethod
    def localize(self, localizer: "Localizer", progress: "OnProgress | None") -> Localization:
        """All proposals of the video."""


@dataclass(frozen=True)
class VideoSource(Source):
    """A video file."""

    makes_features: ClassVar[bool] = True

    def check(self, localizer: "Localizer") -> None:
        """The network that makes the features must be there and be the model's."""
        _ = localizer.extractor

    def made_from(self, localizer: "Localizer") -> dict[str, Any]:
        """Content of the video and settings of the features."""
        settings = json.dumps(essential(localizer.extractor.file_settings), sort_keys=True)
        return {
            "input": fingerprint(self.path),
            "model": localizer.digest,
            "settings": hashlib.sha256(settings.encode()).hexdigest()[:32],
            "keep_partial": localizer.keep_partial,
        }

    def localize(self, localizer: "Localizer", progress: "OnProgress | None") -> Localization:
        """Extract features, then find intervals."""
        return localizer.video(self, progress)


@dataclass(frozen=True)
class FeatureSource(Source):
    """A feature file."""

    path: Path

    def check(self, localizer: "Localizer") -> None:
        """The features must be of the kind that the model was trained on."""
        localizer.check(read_meta(self.path)["settings"], self.id)

    def made_from(self, localizer: "Localizer") -> dict[str, Any]:
        """Content of the feature file."""
        return {"input": fingerprint(self.path), "model": localizer.digest}

    def localize(self, localizer: "Localizer", progress: "OnProgress | None") -> Localization:
        """Find intervals in the stored features."""
        return localizer.features(Features.load(self.path), self.id)


@dataclass(frozen=True)
class ArrayFiles(Source):
    """Features of a published layout (.npy, .npz)."""

    arrays: ArraySource

    def check(self, localizer: "Localizer") -> None:
        """The built-in model cannot read arrays, which no network is known of."""
        if localizer.model is None:
            localizer.check({}, self.id)

    def made_from(self, localizer: "Localizer") -> dict[str, Any]:
        """Content and time grid of the arrays."""
        parts = [fingerprint(path) for path in self.arrays.files.values()]
        parts.append(json.dumps(self.arrays.grid.settings(), sort_keys=True))
        digest = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
        return {"input": digest, "model": localizer.digest}

    def localize(self, localizer: "Localizer", progress: "OnProgress | None") -> Localization:
        """Find intervals in the rows."""
        notes: dict[str, str] = {}
        x, start, end, duration = self.arrays.read(notes)
        for video_id, note in notes.items():
            log.warning(
                "%s: rgb and flow differ in length, cut to the shorter (%s)", video_id, note
            )
        settings = self.arrays.settings()
        return localizer.rows(VideoFeatures(self.id, x, start, end, duration, settings))


def find_sources(
    paths: Sequence[str | os.PathLike[str] | Url], *, grid: str | None = None
) -> list[Source]:
    """Everything that the paths of a command line name, in their order.

    A folder may hold videos, feature files and arrays side by side. A video whose features are
    there too counts once, by its features.

    Args:
        paths: files and folders; of URLs only videos and folders of videos.
        grid: ``fps,length,stride`` of array files, which do not record it; 25,16,16 by default.

    Raises:
        ExtractError: a path does not exist or holds nothing to work on, or two have one id.
        BasnetError: a file that is neither a video nor features.
    """
    found: list[tuple[Source, Path | Url]] = []
    for given in map(path_or_url, paths):
        if is_folder(given):
            inside = _in_folder(given, grid)
            if not inside:
                raise ExtractError(f"{given}: neither videos nor features in this folder")
            found.extend((source, given) for source in inside)
        else:
            found.append((_of_file(given, grid), given.parent))
    return with_unique_ids(_videos_once(found))


def _of_file(path: Path | Url, grid: str | None) -> Source:
    if isinstance(path, Url):
        if path.suffix in (SUFFIX, *ARRAY_SUFFIXES):
            raise BasnetError(f"{path}: features are read from this machine only; fetch them first")
        return VideoSource(safe_id(path.stem), path)
    if path.suffix == SUFFIX:
        refuse_other_kind(path)
        return FeatureSource(path.stem, path)
    if path.suffix in ARRAY_SUFFIXES:
        return _array_files(ArraySource(path.stem, {"": path}, None, parse_grid(grid)))
    return VideoSource(safe_id(path.stem), path)


def _in_folder(folder: Path | Url, grid: str | None) -> list[Source]:
    videos = [
        VideoSource(video.id, video.path) for video in search(folder, (SUFFIX, *ARRAY_SUFFIXES))
    ]
    if isinstance(folder, Url):
        return [*videos]
    sources: list[Source] = [
        FeatureSource(feature_id(path, folder), path) for path in feature_files(folder)
    ]
    sources += [_array_files(arrays) for arrays in find_arrays(folder, parse_grid(grid))]
    sources += videos
    return sorted(sources, key=lambda source: source.id)


def _array_files(arrays: ArraySource) -> ArrayFiles:
    return ArrayFiles(arrays.id, next(iter(arrays.files.values())), arrays)


def _videos_once(
    found: Iterable[tuple[Source, Path | Url]],
) -> list[tuple[Source, Path | Url]]:
    """Inputs without videos whose features are among them.

    Features count for a video if they were made of the video as it is now. Those that stand beside
    it under its id and were made of something else are left out; those that do not say what they
    were made of, as arrays, are believed.
    """
    entries = list(found)
    stored: dict[str, list[tuple[Source, Path | Url]]] = {}
    for source, root in entries:
        if not isinstance(source, VideoSource):
            stored.setdefault(same_name(base_name(source.id)), []).append((source, root))
    dropped: set[Path | Url] = set()
    for source, root in entries:
        if not isinstance(source, VideoSource):
            continue
        for features, their_root in stored.get(same_name(base_name(source.id)), ()):
            beside = same_name(features.id) == same_name(source.id) and root == their_root
            recorded = _recorded_fingerprint(features)
            if (beside and recorded is None) or _is_content_of(source, recorded):
                dropped.add(source.path)
            elif beside:
                log.warning(
                    "%s was not made of %s as it is now: not read", features.path, source.path
                )
                dropped.add(features.path)
    kept = [entry for entry in entries if entry[0].path not in dropped]
    saved = sum(isinstance(source, VideoSource) and source.path in dropped for source, _ in entries)
    if saved:
        log.info("read from features that are there already: %s", counted(saved, "video"))
    return kept


def _recorded_fingerprint(features: Source) -> str | None:
    """Fingerprint of the video that a feature file was made of; None where it does not say."""
    if not isinstance(features, FeatureSource):
        return None
    try:
        recorded = read_meta(features.path)["facts"].get("fingerprint")
    except (ExtractError, KeyError, AttributeError):
        return ""  # damaged: of no video
    return None if recorded is None else str(recorded)


def _is_content_of(video: Source, recorded: str | None) -> bool:
    try:
        return bool(recorded) and recorded == fingerprint(video.path)
    except OSError:
        return False
