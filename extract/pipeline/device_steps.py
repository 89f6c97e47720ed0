"""The way from frames to features on one device: frames go up once, as bytes; features come down.

The same code runs on a GPU and on tensors of the processor, where tests hold it against
`extract.pipeline.frame_steps.ArrayWork`. Where a library resizes the frames of its networks
(`extract.preprocessing.torchvision_resize`), that is done on the processor, since it rounds
otherwise on a GPU.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import ExtractError
from extract.pipeline.shared_batches import Arrival, SharedBatches, SharedRows
from extract.pipeline.transfer import Transfer, slab_length, transfer_with
from extract.preprocessing.numpy_ops import centre_crop
from extract.preprocessing.torch_ops import grey, quantize_flow, resize_short_side, scale_rgb

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone


class DeviceWork:
    """See `extract.pipeline.frame_steps.Work`; frames ``[H, W, 3] uint8``, fields ``[N, 2, h, w]``.

    Nothing that is done depends on a computed value, so that the processor never waits for the
    device before `rows`; but TV-L1 looks now and then whether it may end, without waiting for it.
    Batches are shared by videos that follow each other (`extract.pipeline.shared_batches`).

    Args:
        backbone: the networks, on the device.
        flow: computes flow; None where the flow stream is not wanted.
        quantize: see ``extract.preprocessing.flow_quantization``.
        transfer: the way there; without it the one for the backbone's device.
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
        self._quantize = quantize
        self._transfer = transfer or transfer_with(torch.device(backbone.device))
        self._batches = {
            stream: SharedBatches(functools.partial(self._run, stream))
            for stream in backbone.record.streams
        }

    @torch.inference_mode()
    def _run(self, stream: str, clips: Tensor) -> Arrival:
        """Begin to compute a batch's features and to bring them down."""
        return self._transfer.down(getattr(self._backbone, stream)(clips))

    def slab(self, frame: NDArray[np.uint8]) -> int:
        """See `Work.slab`: as many as are worth a copy."""
        return slab_length(frame)

    @torch.inference_mode()
    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Tensor]:
        """See `Work.pictures`."""
        record = self._backbone.record
        if record.resize is not None:
            return self._transfer.up([record.resized(frame) for frame in frames]).unbind()
        return resize_short_side(self._transfer.up(frames), record.frame_side).unbind()

    @torch.inference_mode()
    def fields(self, pictures: Sequence[Tensor]) -> Tensor:
        """See `Work.fields`."""
        assert self._flow is not None
        rgb = torch.stack(tuple(pictures))
        return centre_crop(
            self._flow.compute_on_device(grey(rgb), rgb), self._backbone.record.crop
        ).clone()  # whole fields are let go

    @torch.inference_mode()
    def rgb(self, pictures: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> SharedRows:
        """See `Work.rgb`."""
        record = self._backbone.record
        cropped = {n: record.cropped(picture) for n, picture in pictures.items()}
        clips = torch.stack([cropped[n] for row in wanted for n in row])
        clips = clips.unflatten(0, (len(wanted), record.length))
        return self._batches["rgb"].add(scale_rgb(clips, record.mean, record.deviation))

    @torch.inference_mode()
    def flow(self, fields: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> SharedRows:
        """See `Work.flow`."""
        record = self._backbone.record
        if fields:
            found = torch.stack([fields[n] for row in wanted for n in row])
            clips = found.unflatten(0, (len(wanted), record.length)).transpose(1, 2)
        else:
            shape = (len(wanted), 2, record.length, record.crop, record.crop)
            clips = torch.zeros(shape, device=self._backbone.device)
        return self._batches["flow"].add(quantize_flow(clips, self._quantize))

    def ready(self, found: SharedRows) -> bool:
        """See `Work.ready`."""
        return found.ready()

    def rows(self, found: SharedRows) -> NDArray[np.float32]:
        """See `Work.rows`.

        Raises:
            ExtractError: flow was no number somewhere. No network turns that into one, and to look
                earlier would be to wait for the device.
        """
        rows = found()
        if found.home is self._batches.get("flow") and np.isnan(rows).any():
            raise ExtractError("optical flow holds NaN, nothing can be computed from it")
        return rows
