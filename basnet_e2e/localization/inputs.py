"""Inputs of `localize`: video files, feature files, folders of either, published layouts."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from basnet_e2e.data.annotations.video_names import base_name, counted
from basnet_e2e.data.features.feature_files import feature_files, feature_id, refuse_other_kind
from basnet_e2e.data.features.layouts import ARRAY_SUFFIXES, ArraySource, find_arrays, parse_grid
from basnet_e2e.errors import BasnetError
from extract.errors import ExtractError
from extract.features.feature_file import SUFFIX, read_meta
from extract.features.fingerprint import fingerprint
from extract.sources.find import VideoInput, safe_id, same_name, search, with_unique_ids
from extract.sources.storage import is_folder
from extract.sources.urls import Url, path_or_url

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoFile(VideoInput):
    """A video file; its features must be extracted."""


@dataclass(frozen=True)
class FeatureFile(VideoInput):
    """A feature file that `extract` wrote."""

    path: Path


@dataclass(frozen=True)
class FeatureArrays(VideoInput):
    """Features of a published layout (.npy, .npz)."""

    arrays: ArraySource


Input = VideoFile | FeatureFile | FeatureArrays


def find_inputs(
    paths: Sequence[str | os.PathLike[str] | Url], *, grid: str | None = None
) -> list[Input]:
    """All videos and features at the given paths, in their order.

    A folder may contain videos, feature files and arrays side by side. Only the features of a video
    are read if both are found.

    Args:
        paths: files and folders; URLs of videos and folders of videos.
        grid: ``fps,length,stride`` of array files, which do not record it. Default: 25,16,16.

    Raises:
        ExtractError: a path does not exist or contains no input, or two inputs have one id.
        BasnetError: a file is neither a video nor features.
    """
    found: list[tuple[Input, Path | Url]] = []
    for given in map(path_or_url, paths):
        if is_folder(given):
            inside = _in_folder(given, grid)
            if not inside:
                raise ExtractError(f"{given}: neither videos nor features in this folder")
            found.extend((source, given) for source in inside)
        else:
            found.append((_of_file(given, grid), given.parent))
    return with_unique_ids(_videos_once(found))


def _of_file(path: Path | Url, grid: str | None) -> Input:
    if isinstance(path, Url):
        if path.suffix in (SUFFIX, *ARRAY_SUFFIXES):
            raise BasnetError(f"{path}: features are read from this machine only; fetch them first")
        return VideoFile(safe_id(path.stem), path)
    if path.suffix == SUFFIX:
        refuse_other_kind(path)
        return FeatureFile(path.stem, path)
    if path.suffix in ARRAY_SUFFIXES:
        return _array_files(ArraySource(path.stem, {"": path}, None, parse_grid(grid)))
    return VideoFile(safe_id(path.stem), path)


def _in_folder(folder: Path | Url, grid: str | None) -> list[Input]:
    videos = [
        VideoFile(video.id, video.path) for video in search(folder, (SUFFIX, *ARRAY_SUFFIXES))
    ]
    if isinstance(folder, Url):
        return [*videos]
    sources: list[Input] = [
        FeatureFile(feature_id(path, folder), path) for path in feature_files(folder)
    ]
    sources += [_array_files(arrays) for arrays in find_arrays(folder, grid)]
    sources += videos
    return sorted(sources, key=lambda source: source.id)


def _array_files(arrays: ArraySource) -> FeatureArrays:
    return FeatureArrays(arrays.id, next(iter(arrays.files.values())), arrays)


def _videos_once(entries: list[tuple[Input, Path | Url]]) -> list[tuple[Input, Path | Url]]:
    """Leave out videos whose features are among the inputs.

    Features count if they were made from the video as it is now. Features beside it, under its id,
    that were made from something else are left out; those that do not record their origin, as
    arrays, are trusted.
    """
    stored: dict[str, list[tuple[Input, Path | Url]]] = {}
    for source, root in entries:
        if not isinstance(source, VideoFile):
            stored.setdefault(same_name(base_name(source.id)), []).append((source, root))
    dropped: set[Path | Url] = set()
    for source, root in entries:
        if not isinstance(source, VideoFile):
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
    saved = sum(isinstance(source, VideoFile) and source.path in dropped for source, _ in entries)
    if saved:
        log.info("read from features that are there already: %s", counted(saved, "video"))
    return kept


def _recorded_fingerprint(features: Input) -> str | None:
    """Fingerprint of the video that a feature file was made from; None if not recorded."""
    if not isinstance(features, FeatureFile):
        return None
    try:
        recorded = read_meta(features.path)["facts"].get("fingerprint")
    except (ExtractError, KeyError, AttributeError):
        return ""  # damaged: matches no video
    return None if recorded is None else str(recorded)


def _is_content_of(video: Input, recorded: str | None) -> bool:
    try:
        return bool(recorded) and recorded == fingerprint(video.path)
    except OSError:
        return False
