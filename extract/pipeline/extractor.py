"""One video to its snippet features, in bounded memory: decode, resize, flow, crop, backbone."""

import itertools
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.errors import ExtractError, MiscountError, VideoError
from extract.features.feature_file import UNSTATED, Features
from extract.features.fingerprint import fingerprint
from extract.features.metadata import FORMAT_VERSION
from extract.pipeline.accumulator import Growing, Listener, Progress
from extract.pipeline.device_check import proven_device
from extract.pipeline.frame_window import Watch
from extract.pipeline.scheduler import Stages
from extract.pipeline.snippets import SnippetGrid, snippet_count, snippet_times
from extract.pipeline.waiting import Patient, at_once
from extract.sources.find import printable
from extract.streams import STREAMS
from extract.video.isolation.isolated_clip import STALL, Isolation

if TYPE_CHECKING:
    from extract.backbones.spec import BackboneRecord
    from extract.features.checkpoints import Chunks
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone
    from extract.video.clip import Clip
    from extract.video.isolation.isolated_clip import IsolatedClip

    OpenVideo = Clip | IsolatedClip

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractSettings:
    """What a user may choose about extraction; everything else follows from the backbone.

    Attributes:
        backbone: name of the network, see ``extract.inference.backbone``.
        streams: rgb, flow or both.
        flow: name of the flow method, see ``extract.flow.registry``.
        fps: grid frames per second, exact (``25``, ``30000/1001``); None takes the backbone's.
        stride: grid frames from one snippet's start to the next one's.
        quantize: ``uint8`` maps flow to 256 levels as the published networks saw it; ``none`` keeps
            real values.
        precision: how exactly a GPU multiplies in networks, see ``extract.inference.precision``.
    """

    backbone: str = "i3d"
    streams: tuple[str, ...] = STREAMS
    flow: str = "tvl1"
    fps: Fraction | None = None
    stride: int = 16
    quantize: str = "uint8"
    precision: str = UNSTATED["precision"]

    @classmethod
    def from_file(cls, settings: dict[str, Any]) -> "ExtractSettings":
        """The choices that made a feature file, from its recorded settings."""
        flow = settings.get("flow") or {}
        return cls(
            backbone=settings["backbone"],
            streams=tuple(settings["streams"]),
            flow=flow.get("method", "tvl1"),
            fps=Fraction(settings["fps"]),
            stride=int(settings["stride"]),
            quantize=settings.get("quantize") or "uint8",
            precision=settings.get("precision", UNSTATED["precision"]),
        )


def file_settings(
    choices: ExtractSettings,
    record: "BackboneRecord",
    weights: dict[str, str],
    flow: dict[str, Any] | None,
) -> dict[str, Any]:
    """The settings that a feature file records.

    Args:
        choices: what a user chose.
        record: the backbone's.
        weights: hash of the weights of each stream.
        flow: settings of the flow method where flow is made.
    """
    return {
        "format": FORMAT_VERSION,
        "fps": str(choices.fps or record.fps),
        "length": record.length,
        "stride": choices.stride,
        "backbone": record.name,
        "streams": list(choices.streams),
        "weights": weights,
        "flow": flow,
        "quantize": choices.quantize if flow else None,
        "resize": record.frame_side,
        "crop": record.crop,
        "precision": choices.precision,
        "dtype": "float32",
    }


class Extractor:
    """A backbone and a flow method, loaded once and used for any number of videos.

    Args:
        settings: what to compute.
        device: ``auto``, ``cpu`` or ``cuda[:N]``. A GPU is checked at its first use, see
            ``extract.pipeline.device_check``.
        runtime: ``auto`` or ``torch``, see ``extract.inference.backbone``.
        backbone: a loaded backbone to use instead of ``settings.backbone``.
        threads: processor threads for networks and flow; None leaves it to the libraries.
        stall: seconds without a new frame after which a decoder counts as hung and is ended; it
            works in a process of its own. None decodes in this process, where nothing can end it.
        tensors: work on tensors of the device. None does so on a GPU alone; on the processor it is
            a way to test what a GPU does.

    Raises:
        ExtractError: an unknown backbone or flow method, a stream the backbone does not have, a
            precision that the device does not have, or a GPU that computes wrongly.
        WeightsError: the weights of a stream are not there.
    """

    def __init__(
        self,
        settings: ExtractSettings,
        *,
        device: str = "auto",
        runtime: str = "auto",
        backbone: "Backbone | None" = None,
        threads: int | None = None,
        stall: float | None = STALL,
        tensors: bool | None = None,
    ) -> None:
        from extract.flow.registry import flow_method
        from extract.inference.backbone import load_backbone

        self.choices = settings
        self._isolation = None if stall is None else Isolation(stall)
        device = proven_device(device)
        self.backbone = backbone or load_backbone(
            settings.backbone,
            streams=settings.streams,
            device=device,
            runtime=runtime,
            precision=settings.precision,
        )
        if self.backbone.precision != settings.precision:
            raise ExtractError(
                f"the settings ask for precision {settings.precision}, the backbone given computes "
                f"in {self.backbone.precision}"
            )
        record = self.backbone.record
        self.grid = SnippetGrid(settings.fps or record.fps, record.length, settings.stride)
        self.flow_method: FlowMethod | None = None
        if "flow" in settings.streams:
            self.flow_method = flow_method(
                settings.flow, device=device, overrides=record.flow_overrides
            )
        # Snippets may begin at any frame: their number on this grid.
        self._frame_by_frame = replace(self.grid, stride=1)
        self._stages = Stages(
            self.backbone,
            self.flow_method,
            settings.streams,
            self._frame_by_frame,
            settings.quantize,
            threads,
            tensors=self.backbone.device != "cpu" if tensors is None else tensors,
        )
        flow = self.flow_method.settings() if self.flow_method else None
        self.settings = file_settings(
            settings, record, self.backbone.weights_hashes(settings.streams), flow
        )

    def load(self) -> None:
        """Load the networks now, so that what is wrong with them is no video's failure.

        Raises:
            ExtractError: the weights are those of another network.
            WeightsError: the weights of a stream are not there.
        """
        if self._isolation is not None:
            self._isolation.start()  # comes up while the networks are read
        self._stages.load()

    def use_threads(self, threads: int) -> None:
        """Compute on that many processor threads from the next snippets on.

        Values agree as they do between machines.
        """
        self._stages.use_threads(threads)

    def extract(
        self,
        path: str | os.PathLike[str],
        *,
        decoder: str = "auto",
        keep_partial: bool = False,
        progress: Progress | None = None,
        listener: Listener | None = None,
        chunks: "Chunks | None" = None,
        watch: "Callable[[OpenVideo], Watch] | None" = None,
    ) -> Features:
        """Features of one video.

        Args:
            path: the video file.
            decoder: ``auto``, ``decord`` or ``pyav``. Under ``auto`` a video in which decord loses
                count of its frames begins again on PyAV.
            keep_partial: keep what comes before a damaged place instead of refusing the video.
            progress: called with (snippets done, snippets in all) after each group.
            listener: given the features of each group as soon as they are computed, from the first
                snippet on; a video that begins again on PyAV gives them again.
            chunks: where finished parts of the video are kept, to go on after an interruption.
            watch: given the opened video, gives a function that is shown each grid frame (seconds
                and ``[H, W, 3] uint8``) on its way, so that others need not decode it again. It is
                not asked where finished parts are there, whose frames nobody sees.

        Raises:
            VideoError: the file is no video, a frame cannot be decoded, or decoding hangs.
        """
        return at_once(
            self.steps(
                path,
                decoder=decoder,
                keep_partial=keep_partial,
                progress=progress,
                listener=listener,
                chunks=chunks,
                watch=watch,
            )
        )

    def steps(
        self,
        path: str | os.PathLike[str],
        *,
        decoder: str = "auto",
        keep_partial: bool = False,
        progress: Progress | None = None,
        listener: Listener | None = None,
        chunks: "Chunks | None" = None,
        watch: "Callable[[OpenVideo], Watch] | None" = None,
    ) -> Patient[Features]:
        """`extract`, which waits where all that is left is to fill a batch with other videos."""
        hear = (progress, listener)
        how = chunks.decoder(path, decoder) if chunks else decoder

        def read(clip: "OpenVideo", decoder: str) -> Growing:
            return self._read(clip, hear, chunks, decoder, watch)

        rows = self._decoded(path, how, keep_partial, read, chunks.clear if chunks else None)
        # The video is closed by now: the next one may be read.
        while rows.waiting:
            yield rows.ready
            rows.take()
        return rows.features()

    def extract_snippets(
        self,
        path: str | os.PathLike[str],
        first_frames: Sequence[int],
        *,
        decoder: str = "auto",
        keep_partial: bool = False,
        progress: Progress | None = None,
    ) -> Features:
        """Features of single snippets wherever they begin, to look closer at a part of a video.

        Args:
            path: the video file.
            first_frames: grid frames at which the snippets begin, ascending.
            decoder: as :meth:`extract`.
            keep_partial: as :meth:`extract`.
            progress: called with (snippets done, snippets in all) after each group.

        Raises:
            ExtractError: no frame is given, or they do not ascend within the video.
            VideoError: as :meth:`extract`.
        """
        wanted = [int(n) for n in first_frames]
        if not wanted or wanted[0] < 0 or any(b <= a for a, b in itertools.pairwise(wanted)):
            raise ExtractError("snippets begin at frames of the grid, in ascending order")
        rows = self._decoded(
            path, decoder, keep_partial, lambda clip, _: self._read_snippets(clip, wanted, progress)
        )
        while rows.waiting:
            rows.take()
        return rows.features()

    def _read_snippets(
        self, clip: "OpenVideo", wanted: list[int], progress: Progress | None
    ) -> Growing:
        frames = clip.frame_count(self.grid.fps)
        if wanted[-1] >= frames:
            raise ExtractError(
                f"{clip.path}: no snippet can begin at frame {wanted[-1]} of {frames}; the file "
                "changed while it was read?"
            )
        start, end = snippet_times(frames, self._frame_by_frame, clip.duration)
        times = (start[wanted], end[wanted])
        rows = Growing(self._stages, self.choices.streams, times, (progress, None), None)
        rows.grow(self._stages.rows(clip, frames, wanted))
        settings = self.settings | {"stride": self._frame_by_frame.stride}
        rows.meta = {"settings": settings, "facts": self._facts(clip)}
        return rows

    def _decoded(
        self,
        path: str | os.PathLike[str],
        decoder: str,
        keep_partial: bool,
        read: "Callable[[OpenVideo, str], Growing]",
        before_again: Callable[[], None] | None = None,
    ) -> Growing:
        """What ``read`` makes of the opened video and its decoder; if need be again on PyAV."""
        try:
            with self._open(path, decoder, keep_partial) as clip:
                return read(clip, decoder)
        except MiscountError as error:
            if decoder != "auto":
                raise
            log.warning("%s; it begins again on PyAV", str(error).partition(", so ")[0])
        if before_again:
            before_again()
        with self._open(path, "pyav", keep_partial) as clip:
            return read(clip, "pyav")

    def _open(self, path: str | os.PathLike[str], decoder: str, keep_partial: bool) -> "OpenVideo":
        if self._isolation is not None:
            return self._isolation.open(path, decoder, keep_partial=keep_partial)
        from extract.video.clip import open_video

        return open_video(path, decoder, keep_partial=keep_partial)

    def _read(
        self,
        clip: "OpenVideo",
        hear: tuple[Progress | None, Listener | None],
        chunks: "Chunks | None",
        decoder: str,
        watch: "Callable[[OpenVideo], Watch] | None",
    ) -> Growing:
        """Read a video to its end; its last features may wait for a batch to be filled."""
        frames = clip.frame_count(self.grid.fps)
        if frames == 0:
            raise VideoError(f"{clip.path}: the video has no frames that a player would show")
        count = snippet_count(frames, self.grid.length, self.grid.stride)
        facts = self._facts(clip)
        times = snippet_times(count, self.grid, clip.duration)
        rows = Growing(self._stages, self.choices.streams, times, hear, chunks)
        if chunks:
            made = {"settings": self.settings, "facts": facts, "frames": frames}
            rows.done = chunks.begin(made, decoder, rows.parts)
        onlooker = watch(clip) if watch and not rows.done else None
        # A listener waits for the first snippet, not for a whole group.
        one_by_one = hear[1] is not None
        stride = self.grid.stride
        first_frames = range(rows.done * stride, count * stride, stride)
        rows.grow(
            self._stages.rows(clip, frames, first_frames, watch=onlooker, one_by_one=one_by_one)
        )
        rows.meta = {"settings": self.settings, "facts": facts | {"decoder": clip.decoder}}
        return rows

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
