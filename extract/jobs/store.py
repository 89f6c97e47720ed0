"""Where the features of a video are kept: the cache, or a folder of the user's.

The cache finds features by the video's content and by their settings, never by its name. A damaged
file of the cache, or a full disk, costs only the time to extract again.
"""

import contextlib
import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from extract.errors import DiskError, ExtractError
from extract.features.checkpoints import Checkpoints
from extract.features.feature_file import SUFFIX, Features, feature_path
from extract.features.fingerprint import fingerprint
from extract.features.output_folder import OutputFolder
from extract.features.settings import essential, settings_difference
from extract.pipeline.accumulator import OnFeatures, OnProgress
from extract.sources.download import local_copy
from extract.sources.find import VideoInput
from extract.sources.urls import Url
from weights.errors import WeightsError
from weights.files import cache_folder, sha256_of, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from extract.pipeline.extractor import Extractor
    from extract.pipeline.frame_window import OnFrame, OpenVideo

log = logging.getLogger(__name__)

SEAL_SUFFIX = ".sha256"


class Callbacks(TypedDict, total=False):
    """See ``Extractor.extract``."""

    on_progress: OnProgress | None
    on_features: OnFeatures | None
    on_open: "Callable[[OpenVideo], OnFrame] | None"


class FeatureStore:
    """Gives the features of videos. This one keeps nothing and extracts every time."""

    def features(
        self, video: VideoInput, extractor: "Extractor", **callbacks: Unpack[Callbacks]
    ) -> Features:
        """The features of a video.

        Raises:
            VideoError: it is damaged or not a video.
        """
        with local_copy(video.path) as path:
            return extractor.extract(path, **callbacks)

    def has(self, video: VideoInput, extractor: "Extractor") -> bool:
        """Whether there is a feature file; whether it can be used shows when it is read."""
        return False


class FeatureFolder(FeatureStore):
    """Features by the videos' ids, as ``basnet extract`` writes them, in an ``OutputFolder``."""

    def __init__(self, folder: Path | Url) -> None:
        self.output = OutputFolder(folder)

    def features(
        self, video: VideoInput, extractor: "Extractor", **callbacks: Unpack[Callbacks]
    ) -> Features:
        """Those in the folder, else new ones, which are kept.

        Raises:
            ExtractError: the folder holds features of the video with other settings.
            VideoError: the video is damaged or not a video.
            DiskError: the folder cannot be written, or the disk is full.
        """
        name = self.name_of(video, extractor)
        kept = name and self._usable(name, video, extractor)
        if kept:
            return kept
        if name is None or not self.can_write():
            return super().features(video, extractor, **callbacks)
        with self.output.lock(name):
            return self._usable(name, video, extractor) or self.make(
                name, video, extractor, **callbacks
            )

    def _usable(self, name: str, video: VideoInput, extractor: "Extractor") -> Features | None:
        kept = self.kept(name, video, extractor.file_settings)
        if not kept or (kept.facts.get("partial") and not extractor.decoding.keep_partial):
            return None
        log.debug("%s: features from %s", video.path, self.output.file(name))
        return kept

    def can_write(self) -> bool:
        """Whether new features are kept; an error of the folder shows when they are written."""
        return True

    def name_of(self, video: VideoInput, extractor: "Extractor") -> str | None:
        """The name of the video's features in the folder; None if they cannot be kept."""
        return video.id

    def kept(self, name: str, video: VideoInput, settings: dict[str, Any]) -> Features | None:
        """Features in the folder that were made from the video as it is now.

        Raises:
            ExtractError: they were made with other settings.
        """
        meta = self.output.meta(name)
        if meta is None:
            return None
        difference = settings_difference(meta["settings"], settings)
        if difference:
            raise ExtractError(
                f"{self.output.file(name)} was made with other settings ({difference} now); use "
                "another folder"
            )
        file = feature_path(self.output.local, name)
        return Features.load(file) if made_from(meta, video) else None

    def make(
        self, name: str, video: VideoInput, extractor: "Extractor", **callbacks: Unpack[Callbacks]
    ) -> Features:
        """Extract and keep new features; resume an interrupted run. The caller holds the lock."""
        self.output.remove_half_written(name)
        checkpoints = Checkpoints(self.output.local, name)
        try:
            with local_copy(video.path) as path:
                made = extractor.extract(path, checkpoints=checkpoints, **callbacks)
            made.check_finite(video.path)
        except (DiskError, WeightsError):
            raise
        except Exception:
            checkpoints.clear()
            raise
        self.save(made, name)
        checkpoints.clear()
        return made

    def save(self, made: Features, name: str) -> None:
        """Write new features; a ``DiskError`` if that fails."""
        self.output.save(made, name)

    def has(self, video: VideoInput, extractor: "Extractor") -> bool:
        """Whether there is a feature file of the video."""
        name = self.name_of(video, extractor)
        return name is not None and self.output.version(name) is not None


def made_from(meta: dict[str, Any] | None, video: VideoInput) -> bool:
    """Whether features were made from a video as it is now; False if it cannot be read."""
    try:
        return meta is not None and meta["facts"].get("fingerprint") == fingerprint(video.path)
    except OSError:
        return False


def default_folder() -> Path:
    """Folder of the feature cache."""
    return cache_folder() / "features"


class FeatureCache(FeatureFolder):
    """Features by content and settings, in this user's cache by default."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder or default_folder())
        self._writable: bool | None = None

    def features(
        self, video: VideoInput, extractor: "Extractor", **callbacks: Unpack[Callbacks]
    ) -> Features:
        """Those in the cache, else new ones, which are kept if possible.

        Raises:
            VideoError: the video is damaged or not a video.
        """
        try:
            found = super().features(video, extractor, **callbacks)
        except OSError as error:
            if not self.can_write():
                raise
            self._stop_keeping(error)
            found = super().features(video, extractor, **callbacks)
        return replace(found, meta=found.meta | {"facts": found.facts | {"file": video.file}})

    def name_of(self, video: VideoInput, extractor: "Extractor") -> str | None:
        """Hash of the video's content and of the settings."""
        with contextlib.suppress(OSError):  # extraction says what is wrong with the video
            return _key(fingerprint(video.path), extractor.file_settings)
        return None

    def can_write(self) -> bool:
        """Whether the cache can be written; if not, a warning says so once."""
        if self._writable is None:
            self._writable = True
            try:
                with self.output.lock("probe", patience=0):
                    pass
            except OSError as error:
                self._stop_keeping(error)
        return self._writable

    def kept(self, name: str, video: VideoInput, settings: dict[str, Any]) -> Features | None:
        """Features of an undamaged file."""
        path = feature_path(self.output.local, name)
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

    def save(self, made: Features, name: str) -> None:
        """Write new features, unless the video has changed in the meantime."""
        if name != _key(str(made.facts.get("fingerprint")), made.settings):
            return
        path = feature_path(self.output.local, name)
        try:
            made.save(path)
            write_text(_seal(path), sha256_of(path) + "\n")
        except OSError as error:
            self._stop_keeping(error)

    def _stop_keeping(self, error: OSError) -> None:
        if self._writable is not False:
            log.warning("features are not kept for the next time (%s)", error)
        self._writable = False

    def size(self) -> tuple[int, int]:
        """Number of videos and of bytes."""
        videos, total = 0, 0
        for path in self.output.local.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    total += path.stat().st_size
                    videos += path.suffix == SUFFIX
        return videos, total


def _key(content: str, settings: dict[str, Any]) -> str:
    text = json.dumps([content, essential(settings)], sort_keys=True)
    key = hashlib.sha256(text.encode()).hexdigest()
    return f"{key[:2]}/{key}"


def _seal(path: Path) -> Path:
    """File with the hash of a feature file: a flipped bit would be a wrong feature."""
    return path.with_suffix(SEAL_SUFFIX)


def choose_store(folder: Path | None, nothing: bool) -> FeatureStore:
    """The store that ``--features`` and ``--no-cache`` ask for.

    Raises:
        ExtractError: both are given.
    """
    if folder is None:
        return FeatureStore() if nothing else FeatureCache()
    if nothing:
        raise ExtractError("--features keeps features and --no-cache keeps none: give one of them")
    return FeatureFolder(folder)
