"""Where the features of a video are kept between commands: the cache, or a folder of the user's.

Features in the cache go by what the video holds and by how they are made, never by its name. A file
of the cache that is damaged, or a disk that is full, costs the time to extract again and nothing
else.
"""

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from extract.errors import DiskError, ExtractError
from extract.features.checkpoints import Chunks
from extract.features.feature_file import (
    SUFFIX,
    Features,
    essential,
    feature_path,
    read_meta,
    settings_difference,
)
from extract.features.fingerprint import fingerprint
from extract.features.output_folder import Folder
from extract.machine.file_locks import claim
from extract.pipeline.extractor import Extractor
from extract.sources.download import at_hand
from extract.sources.find import VideoInput
from extract.sources.urls import Url
from weights.files import cache_folder, sha256_of, write_text

log = logging.getLogger(__name__)

SEAL_SUFFIX = ".sha256"


class FeatureStore(Protocol):
    """Gives the features of a video: those that are kept, else new ones."""

    def features(
        self, video: VideoInput, extractor: Extractor, *, keep_partial: bool, **how: Any
    ) -> Features:
        """As ``Extractor.extract``."""

    def has(self, video: VideoInput, extractor: Extractor) -> bool:
        """Whether features seem to be kept; what they are worth is seen when they are read."""

    def keep(self, video: VideoInput, made: Features) -> None:
        """Take features that were made elsewhere."""


class NothingKept:
    """Extracts every time."""

    def has(self, video: VideoInput, extractor: Extractor) -> bool:
        """Never."""
        return False

    def keep(self, video: VideoInput, made: Features) -> None:
        """Keep nothing."""

    def features(
        self, video: VideoInput, extractor: Extractor, *, keep_partial: bool, **how: Any
    ) -> Features:
        """Extract."""
        with at_hand(video.path) as path:
            return extractor.extract(path, keep_partial=keep_partial, **how)


def default_folder() -> Path:
    """Folder of the feature cache."""
    return cache_folder() / "features"


class FeatureCache:
    """Features by content and settings.

    Args:
        folder: without it that of this user.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()
        self._warned = False

    def has(self, video: VideoInput, extractor: Extractor) -> bool:
        """Whether there is a file for what the video holds now."""
        path = self._path(video.path, extractor.settings)
        return path is not None and path.exists()

    def keep(self, video: VideoInput, made: Features) -> None:
        """Keep them by what they were made of."""
        content = made.facts.get("fingerprint")
        if content is not None:
            self._keep(made, self._path_of(str(content), made.settings))

    def features(
        self, video: VideoInput, extractor: Extractor, *, keep_partial: bool, **how: Any
    ) -> Features:
        """Those in the cache, else new ones, which then are in it.

        Raises:
            VideoError: the video is damaged or no video.
        """
        path = self._path(video.path, extractor.settings)
        kept = self._kept(path, extractor.settings) if path else None
        if kept is not None and (keep_partial or not kept.facts.get("partial")):
            log.debug("%s: features from %s", video.path, path)
            facts = kept.facts | {"file": video.file}
            return replace(kept, meta=kept.meta | {"facts": facts})
        with at_hand(video.path) as copy:
            made = extractor.extract(copy, keep_partial=keep_partial, **how)
        # A video that changed on the way is not what the path stands for.
        if path is not None and path == self._path(video.path, extractor.settings):
            self._keep(made, path)
        return made

    def _path(self, video: Path | Url, settings: dict[str, Any]) -> Path | None:
        try:
            content = fingerprint(video)
        except OSError:  # extraction says what is wrong with it
            return None
        return self._path_of(content, settings)

    def _path_of(self, content: str, settings: dict[str, Any]) -> Path:
        text = json.dumps([content, essential(settings)], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / key[:2] / f"{key}{SUFFIX}"

    @staticmethod
    def _kept(path: Path, settings: dict[str, Any]) -> Features | None:
        """Features of a file that is whole; None where there is none."""
        try:
            if _seal(path).read_text("ascii").strip() != sha256_of(path):
                raise ExtractError("its bytes are not those that were written")
            features = Features.load(path)
        except FileNotFoundError:
            return None
        except (ExtractError, OSError, ValueError) as error:
            log.info("%s in the feature cache is not used: %s", path.name, error)
            return None
        return features if essential(features.settings) == essential(settings) else None

    def _keep(self, features: Features, path: Path) -> None:
        try:
            features.save(path)
            write_text(_seal(path), sha256_of(path) + "\n")
        except (OSError, ExtractError) as error:
            if not self._warned:
                log.warning("features are not kept for the next time (%s)", error)
            self._warned = True

    def size(self) -> tuple[int, int]:
        """Number of videos and of bytes."""
        videos, total = 0, 0
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    total += path.stat().st_size
                    videos += path.suffix == SUFFIX
        return videos, total


def _seal(path: Path) -> Path:
    """File with the hash of another: a bit that fell over would be a wrong feature."""
    return path.with_suffix(SEAL_SUFFIX)


class FeatureFolder:
    """Features by the videos' ids, as ``basnet extract`` leaves them; several processes may share.

    Args:
        folder: the features folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, video: VideoInput, extractor: Extractor) -> bool:
        """Whether there is a feature file of its name."""
        return feature_path(self.folder, video.id).exists()

    def keep(self, video: VideoInput, made: Features) -> None:
        """Write them into the folder.

        Raises:
            DiskError: the folder cannot be written or the disk is full.
        """
        path = feature_path(self.folder, video.id)
        try:
            made.save(path)
        except OSError as error:
            raise DiskError(error.errno, error.strerror, os.fspath(path)) from error

    def features(
        self, video: VideoInput, extractor: Extractor, *, keep_partial: bool, **how: Any
    ) -> Features:
        """Those in the folder, else new ones, which then are in it.

        Raises:
            ExtractError: the folder holds features of the video with other settings.
            VideoError: the video is damaged or no video.
            DiskError: the folder cannot be written or the disk is full.
        """
        path = feature_path(self.folder, video.id)
        with claim(self.folder, video.id, patience=float("inf")):
            kept = self._kept(path, video, extractor.settings)
            if kept is not None and (keep_partial or not kept.facts.get("partial")):
                log.debug("%s: features from %s", video.path, path)
                return kept
            Folder(self.folder).remove_half_written(video.id)
            chunks = Chunks(self.folder, video.id)
            with at_hand(video.path) as copy:
                made = extractor.extract(copy, keep_partial=keep_partial, chunks=chunks, **how)
            self.keep(video, made)
            chunks.clear()
        return made

    @staticmethod
    def _kept(path: Path, video: VideoInput, settings: dict[str, Any]) -> Features | None:
        try:
            meta = read_meta(path)
        except ExtractError as error:
            if path.exists():
                log.warning("%s; made anew", error)
            return None
        difference = settings_difference(meta["settings"], settings)
        if difference:
            raise ExtractError(
                f"{path} was made with other settings ({difference} now); use another folder"
            )
        try:
            same = meta["facts"].get("fingerprint") == fingerprint(video.path)
        except OSError:
            return None
        return Features.load(path) if same else None


def choose_store(folder: Path | None, nothing: bool) -> FeatureStore:
    """The store that ``--features`` and ``--no-cache`` ask for.

    Raises:
        ExtractError: both are given.
    """
    make: Callable[[], FeatureStore] = NothingKept if nothing else FeatureCache
    if folder is None:
        return make()
    if nothing:
        raise ExtractError("--features keeps features and --no-cache keeps none: give one of them")
    return FeatureFolder(folder)
