"""One video to its snippet features, in bounded memory: decode, resize, flow, crop, backbone."""

import contextlib
import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.errors import ExtractError, VideoError
from extract.features.feature_file import Features
from extract.features.fingerprint import fingerprint
from extract.machine.device_check import checked_device
from extract.pipeline.accumulator import Accumulator, OnFeatures, OnProgress
from extract.pipeline.device_samples import SAMPLES
from extract.pipeline.frame_window import OnFrame
from extract.pipeline.scheduler import Scheduler
from extract.pipeline.settings import DecodeOptions, ExtractSettings
from extract.pipeline.snippets import SnippetGrid, snippet_count, snippet_times
from extract.sources.find import printable
from extract.video.isolation.isolated_clip import Isolation

if TYPE_CHECKING:
    from extract.features.checkpoints import Checkpoints
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone
    from extract.pipeline.frame_window import OpenVideo


class Extractor:
    """A backbone and a flow method, loaded once and used for any number of videos.

    Attributes:
        settings: as given.
        file_settings: the settings that its feature files record.
        decoding: how videos are decoded.
        backbone: the networks.
        grid: how a video is cut into snippets.
        flow_method: None without the flow stream.

    Args:
        settings: what to compute.
        device: ``auto``, ``cpu`` or ``cuda[:N]``. A GPU is checked at its first use, see
            ``extract.machine.device_check``.
        backbone: a loaded backbone to use instead of ``settings.backbone``.
        threads: processor threads for networks and flow; None leaves it to the libraries.
        decoding: how videos are decoded.

    Raises:
        ExtractError: an unknown backbone or flow method, a stream the backbone does not have, a
            precision that the device does not have, or a GPU that computes wrongly.
        WeightsError: the weights of a stream are missing.
    """

    def __init__(
        self,
        settings: ExtractSettings,
        *,
        device: str = "auto",
        backbone: "Backbone | None" = None,
        threads: int | None = None,
        decoding: DecodeOptions | None = None,
    ) -> None:
        from extract.flow.registry import flow_method
        from extract.inference.backbone import load_backbone

        self.settings = settings
        self.decoding = decoding or DecodeOptions()
        device = checked_device(device, SAMPLES)
        stall = self.decoding.stall
        self._isolation = None if stall is None else Isolation(stall)
        self.backbone = backbone or load_backbone(
            settings.backbone,
            streams=settings.streams,
            device=device,
            precision=settings.precision,
        )
        if self.backbone.precision != settings.precision:
            raise ExtractError(
                f"the settings ask for precision {settings.precision}, the backbone given computes "
                f"in {self.backbone.precision}"
            )
        spec = self.backbone.spec
        self.grid = SnippetGrid(settings.fps or spec.fps, spec.length, settings.stride)
        self.flow_method: FlowMethod | None = None
        if "flow" in settings.streams:
            self.flow_method = flow_method(
                settings.flow, device=device, overrides=spec.flow_overrides
            )
        # Snippets may begin at any frame: their number on this grid.
        self._frame_by_frame = replace(self.grid, stride=1)
        self._scheduler = Scheduler(
            self.backbone,
            self.flow_method,
            settings.streams,
            self._frame_by_frame,
            settings.quantize,
            threads,
        )
        flow = self.flow_method.settings() if self.flow_method else None
        hashes = self.backbone.weights_hashes(settings.streams)
        self.file_settings = settings.recorded(spec, hashes, flow)

    def load(self) -> None:
        """Load the networks now, so that an error in them is not a failure of a video.

        Raises:
            ExtractError: the weights are those of another network.
            WeightsError: the weights of a stream are missing.
        """
        if self._isolation is not None:
            self._isolation.process()  # it starts while the networks are read
        self._scheduler.load()

    def use_threads(self, threads: int) -> None:
        """Change the number of processor threads, from the next snippets on."""
        self._scheduler.use_threads(threads)

    def extract(
        self,
        path: str | os.PathLike[str],
        *,
        on_progress: OnProgress | None = None,
        on_features: OnFeatures | None = None,
        on_open: "Callable[[OpenVideo], OnFrame] | None" = None,
        checkpoints: "Checkpoints | None" = None,
    ) -> Features:
        """Features of one video.

        Args:
            path: the video file.
            on_progress: called with (snippets done, snippets in all) at the start and after each
                group.
            on_features: called with the features of each group as soon as they are computed.
            on_open: called with the opened video; returns a function that is called with each grid
                frame (seconds and ``[H, W, 3] uint8``). Not called if an interrupted run is
                resumed, because the first frames are not decoded again.
            checkpoints: where finished parts are kept, to resume after an interruption.

        Raises:
            VideoError: the file is not a video, a frame cannot be decoded, or decoding hangs.
        """
        with self._open(path) as clip:
            frames = clip.frame_count(self.grid.fps)
            if frames == 0:
                raise VideoError(f"{clip.path}: the video has no frames that a player would show")
            count = snippet_count(frames, self.grid.length, self.grid.stride)
            facts = self._facts(clip)
            times = snippet_times(count, self.grid, clip.duration)
            found = Accumulator(times, self.settings.streams, on_progress, on_features)
            if checkpoints:
                made_with = {"settings": self.file_settings, "facts": facts, "frames": frames}
                found.resume(checkpoints, made_with | {"decoding": self.decoding.decoder})
            if on_progress:
                on_progress(found.done, count)
            on_frame = on_open(clip) if on_open and not found.done else None
            stride = self.grid.stride
            first_frames = range(found.done * stride, count * stride, stride)
            # A caller who is given features wants the first snippet, not a whole group.
            one_by_one = on_features is not None
            self._run(clip, frames, first_frames, found, on_frame, one_by_one)
            facts["decoder"] = clip.decoder  # PyAV may have taken over
            return found.features({"settings": self.file_settings, "facts": facts})

    def extract_snippets(
        self,
        path: str | os.PathLike[str],
        first_frames: Sequence[int],
        *,
        on_progress: OnProgress | None = None,
    ) -> Features:
        """Features of single snippets, to look closer at a part of a video.

        Args:
            path: the video file.
            first_frames: grid frames at which the snippets begin, ascending.
            on_progress: called with (snippets done, snippets in all) after each group.

        Raises:
            ExtractError: no frame is given, or they do not ascend within the video.
            VideoError: as :meth:`extract`.
        """
        wanted = [int(n) for n in first_frames]
        if not wanted or wanted[0] < 0 or any(b <= a for a, b in itertools.pairwise(wanted)):
            raise ExtractError("snippets begin at frames of the grid, in ascending order")
        with self._open(path) as clip:
            frames = clip.frame_count(self.grid.fps)
            if wanted[-1] >= frames:
                raise ExtractError(
                    f"{clip.path}: no snippet can begin at frame {wanted[-1]} of {frames}; the "
                    "file changed while it was read?"
                )
            start, end = snippet_times(frames, self._frame_by_frame, clip.duration)
            times = (start[wanted], end[wanted])
            found = Accumulator(times, self.settings.streams, on_progress)
            self._run(clip, frames, wanted, found)
            settings = self.file_settings | {"stride": self._frame_by_frame.stride}
            return found.features({"settings": settings, "facts": self._facts(clip)})

    def _run(
        self,
        clip: "OpenVideo",
        frames: int,
        first_frames: Sequence[int],
        found: Accumulator,
        on_frame: OnFrame | None = None,
        one_by_one: bool = False,
    ) -> None:
        rows = self._scheduler.rows(
            clip, frames, first_frames, on_frame=on_frame, one_by_one=one_by_one
        )
        with contextlib.closing(rows) as groups:
            for group in groups:
                found.add(group)

    def _open(self, path: str | os.PathLike[str]) -> "OpenVideo":
        decoder, keep_partial = self.decoding.decoder, self.decoding.keep_partial
        if self._isolation is not None:
            return self._isolation.open(path, decoder, keep_partial=keep_partial)
        from extract.video import clip

        return clip.open_video(path, decoder, keep_partial=keep_partial)

    def _facts(self, clip: "OpenVideo") -> dict[str, Any]:
        return {
            "file": printable(Path(clip.path).name),
            "fingerprint": fingerprint(clip.path),
            "duration": clip.duration,
            "source_fps": clip.fps,
            "size": list(clip.size),
            "decoder": clip.decoder,
            "engine": self.flow_method.engine if self.flow_method else None,
            "runtime": self.backbone.runtime,
            **({"partial": clip.partial} if clip.partial else {}),
        }


def extract_features(
    path: str | os.PathLike[str],
    backbone: "Backbone | None" = None,
    *,
    settings: ExtractSettings | None = None,
    device: str = "auto",
    decoder: str = "auto",
    keep_partial: bool = False,
    on_progress: OnProgress | None = None,
) -> Features:
    """Two-stream snippet features of one video.

    Args:
        path: the video file.
        backbone: a loaded backbone (``extract.load_backbone``); None loads the settings' one.
        settings: default: those of the backbone.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        decoder: ``auto``, ``decord`` or ``pyav``.
        keep_partial: use a damaged video up to the damage instead of refusing it.
        on_progress: called with (snippets done, snippets in all).

    Returns:
        ``Features`` with ``rgb [T, D]``, ``flow [T, D]``, ``start [T]`` and ``end [T]``.

    Raises:
        VideoError: the file is not a video or is damaged.
        ExtractError: a setting does not fit.
        WeightsError: the weights of a stream are missing.
    """
    if settings is None:
        settings = ExtractSettings()
        if backbone is not None:
            name, precision = backbone.spec.name, backbone.precision
            settings = ExtractSettings(name, backbone.streams, precision=precision)
    elif backbone is not None and backbone.spec.name != settings.backbone:
        raise ExtractError(
            f"the settings name the backbone {settings.backbone}, the one given is "
            f"{backbone.spec.name}"
        )
    decoding = DecodeOptions(decoder, keep_partial)
    extractor = Extractor(settings, device=device, backbone=backbone, decoding=decoding)
    return extractor.extract(path, on_progress=on_progress)
