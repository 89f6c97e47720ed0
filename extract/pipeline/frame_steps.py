"""What is done to the frames of a video, step by step; `extract.pipeline.scheduler` says when.

All steps work on tensors of the backbone's device: frames go up once, as bytes, and features come
down. Nothing that is done on a GPU depends on a computed value, so the processor never waits for it
before features are asked for; but TV-L1 checks now and then whether it may end, without waiting for
it. On the processor resizing and flow have faster implementations than torch's, and nothing is
copied.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import ExtractError
from extract.pipeline.transfer import Transfer, chunk_length, transfer_with
from extract.preprocessing.flow_quantization import check_mode, quantize_flow
from extract.preprocessing.numpy_ops import centre_crop
from extract.preprocessing.torch_ops import grey, resize_short_side, scale_rgb

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone

Pending = Callable[[], NDArray[np.float32]]
"""Waits until the features ``[n, D]`` of a group of snippets are there, and gives them."""


class FrameSteps:
    """The steps. Pictures are ``[H, W, 3] uint8`` and fields ``[N, 2, crop, crop]``.

    Args:
        backbone: the networks.
        flow: computes flow; None where the flow stream is not wanted.
        quantize: see ``extract.preprocessing.flow_quantization``.
        transfer: the way to a GPU; by default that of the backbone's device, None on a processor.

    Raises:
        ExtractError: there is no such quantiser.
    """

    def __init__(
        self,
        backbone: "Backbone",
        flow: "FlowMethod | None",
        quantize: str,
        transfer: Transfer | None = None,
    ) -> None:
        self._backbone = backbone
        self._flow = flow
        check_mode(quantize)
        self._quantize = quantize
        self._transfer = transfer or transfer_with(torch.device(backbone.device))

    def chunk_length(self, frame: NDArray[np.uint8]) -> int:
        """How many frames like this one `pictures` takes at a time: as many as are worth a copy."""
        return chunk_length(frame) if self._transfer else 1

    @torch.inference_mode()
    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Tensor]:
        """Decoded frames ``[H, W, 3]`` of one size in the size that flow and networks see."""
        record = self._backbone.record
        if self._transfer and record.resize is None:
            return resize_short_side(self._transfer.up(frames), record.frame_side).unbind()
        # A library's own resizing rounds otherwise on a GPU.
        resized = [record.resized(frame) for frame in frames]
        if self._transfer:
            return self._transfer.up(resized).unbind()
        return [torch.from_numpy(picture) for picture in resized]

    @torch.inference_mode()
    def fields(self, pictures: Sequence[Tensor]) -> Tensor:
        """Flow between consecutive pictures, cropped: N fields in pixels per frame."""
        assert self._flow is not None
        rgb = torch.stack(tuple(pictures))
        luma = grey(rgb)
        if self._transfer:
            fields = self._flow.compute_on_device(luma, rgb)
        else:
            fields = torch.from_numpy(self._flow.compute(luma.numpy(), rgb.numpy()))
        return centre_crop(fields, self._backbone.record.crop).clone()  # whole fields are let go

    @torch.inference_mode()
    def rgb(self, pictures: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of pictures, preprocessed as the network expects.

        Args:
            pictures: by number.
            wanted: the numbers of each snippet's pictures.
        """
        record = self._backbone.record
        cropped = {n: record.cropped(picture) for n, picture in pictures.items()}
        clips = torch.stack([cropped[n] for row in wanted for n in row])
        clips = clips.unflatten(0, (len(wanted), record.length))
        clips = scale_rgb(clips, record.mean, record.deviation)
        return self._down(self._backbone.rgb(clips))

    @torch.inference_mode()
    def flow(self, fields: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of flow fields; a video of one frame has no field.

        NaN is found in the features, since no network turns it into a number: to look earlier would
        be to wait for the device. `Pending` raises ExtractError then.
        """
        record = self._backbone.record
        if fields:
            found = torch.stack([fields[n] for row in wanted for n in row])
            clips = found.unflatten(0, (len(wanted), record.length)).transpose(1, 2)
        else:
            shape = (len(wanted), 2, record.length, record.crop, record.crop)
            clips = torch.zeros(shape, device=self._backbone.device)
        pending = self._down(self._backbone.flow(quantize_flow(clips, self._quantize)))

        def checked() -> NDArray[np.float32]:
            rows = pending()
            if np.isnan(rows).any():
                raise ExtractError("optical flow holds NaN, nothing can be computed from it")
            return rows

        return checked

    def _down(self, rows: Tensor) -> Pending:
        return self._transfer.down(rows) if self._transfer else rows.numpy
