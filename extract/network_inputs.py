"""A video's snippets as what the networks see: crops of frames and flow, in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from extract.preprocess import centre_crop, grey
from extract.quantize import quantize_flow
from extract.snippets import SnippetGrid, flow_rows, frame_rows
from extract.window import Pictures, Watch, Window, runs

if TYPE_CHECKING:
    from extract.backbones.record import BackboneRecord
    from extract.flow.methods import FlowMethod


@dataclass(frozen=True)
class NetworkInputs:
    """How snippets become inputs of the networks.

    Attributes:
        record: of the backbone.
        grid: how the video is cut into snippets.
        rgb: whether the rgb stream is wanted.
        flow: the method where the flow stream is wanted, else None.
        quantize: ``uint8`` or ``none``, see ``extract.pipeline.ExtractSettings``.
    """

    record: "BackboneRecord"
    grid: SnippetGrid
    rgb: bool
    flow: "FlowMethod | None"
    quantize: str

    def groups(
        self,
        clip: Pictures,
        frames: int,
        wanted: Sequence[int],
        size: int,
        watch: Watch | None = None,
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        """Inputs of ``size`` of the wanted snippets at a time, decoded in one pass.

        Args:
            clip: the video.
            frames: grid frames in all.
            wanted: numbers of the snippets on the grid, ascending.
            size: snippets of a group.
            watch: is shown each grid frame on its way.
        """
        if not len(wanted):
            return
        stride = self.grid.stride
        resize = self.record.resized
        window = Window(clip, frames, resize, self.grid, wanted, watch)
        for first in range(0, len(wanted), size):
            rows = wanted[first : first + size]
            group: dict[str, NDArray[np.float32]] = {}
            if self.rgb:
                group["rgb"] = self._rgb_clips(window, rows, frames)
            if self.flow is not None:
                group["flow"] = self._flow_clips(self.flow, window, rows, frames)
            yield group
            if first + size < len(wanted):
                window.forget_before(wanted[first + size] * stride)

    def _rgb_clips(self, window: Window, rows: Sequence[int], frames: int) -> NDArray[np.float32]:
        """``[len(rows), 3, length, crop, crop] float32`` as the network's preprocessing asks."""
        clips = []
        for row in rows:
            indices = frame_rows(row, frames, self.grid)
            pictures = {n: self.record.cropped(window.picture(n)) for n in set(indices)}
            clips.append(np.stack([pictures[n] for n in indices]))
        return self.record.scale_rgb(np.stack(clips)).transpose(0, 4, 1, 2, 3)

    def _flow_clips(
        self, method: "FlowMethod", window: Window, rows: Sequence[int], frames: int
    ) -> NDArray[np.float32]:
        """``[len(rows), 2, length, crop, crop] float32`` in [-1, 1]."""
        crop = self.record.crop
        wanted = [flow_rows(row, frames, self.grid) for row in rows]
        self._compute_flow(method, window, wanted)
        zero = np.zeros((2, crop, crop), np.float32)  # a video of one frame has no motion
        clips = [
            np.stack([window.flow[n] for n in row] if len(row) else [zero] * self.grid.length)
            for row in wanted
        ]
        return quantize_flow(np.stack(clips).transpose(0, 2, 1, 3, 4), self.quantize)

    def _compute_flow(
        self, method: "FlowMethod", window: Window, wanted: Sequence[Sequence[int]]
    ) -> None:
        """Fill ``window.flow`` with the fields that are missing, cropped, each computed once."""
        missing = sorted({n for row in wanted for n in row} - window.flow.keys())
        for run in runs(missing):
            pictures = [window.picture(n) for n in range(run.start, run.stop + 1)]
            fields = method.compute(
                np.stack([grey(picture) for picture in pictures]), np.stack(pictures)
            )
            for n, field in zip(run, centre_crop(fields, self.record.crop), strict=True):
                window.flow[n] = field
