"""The way from frames to features on one device: frames go up once, as bytes; features come down.

The same code runs on a GPU and on tensors of the processor, where tests hold it against
`extract.pipeline.frame_steps.ArraySteps`. Where a library resizes the frames of its networks
(`extract.preprocessing.torchvision_resize`), that is done on the processor, since it rounds
otherwise on a GPU.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import ExtractError
from extract.pipeline.frame_steps import Pending
from extract.pipeline.transfer import Transfer, chunk_length, transfer_with
from extract.preprocessing.numpy_ops import centre_crop
from extract.preprocessing.torch_ops import grey, quantize_flow, resize_short_side, scale_rgb

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone


class DeviceSteps:
    """See `FrameSteps`; pictures are ``[H, W, 3] uint8`` and fields ``[N, 2, crop, crop]``.

    Nothing that is done depends on a computed value, so the processor never waits for the device
    before features are asked for; but TV-L1 checks now and then whether it may end, without
    waiting for it.

    Args:
        backbone: the networks, on the device.
        flow: computes flow; None where the flow stream is not wanted.
        quantize: see ``extract.preprocessing.flow_quantization``.
        transfer: the way there; by default the one for the backbone's device.
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

    def chunk_length(self, frame: NDArray[np.uint8]) -> int:
        """See `FrameSteps.chunk_length`: as many as are worth a copy."""
        return chunk_length(frame)

    @torch.inference_mode()
    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Tensor]:
        """See `FrameSteps.pictures`."""
        spec = self._backbone.spec
        if spec.resize is not None:
            return self._transfer.up([spec.resized(frame) for frame in frames]).unbind()
        return resize_short_side(self._transfer.up(frames), spec.frame_side).unbind()

    @torch.inference_mode()
    def fields(self, pictures: Sequence[Tensor]) -> Tensor:
        """See `FrameSteps.fields`."""
        assert self._flow is not None
        rgb = torch.stack(tuple(pictures))
        return centre_crop(
            self._flow.compute_on_device(grey(rgb), rgb), self._backbone.spec.crop
        ).clone()  # whole fields are let go

    @torch.inference_mode()
    def rgb(self, pictures: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """See `FrameSteps.rgb`."""
        spec = self._backbone.spec
        cropped = {n: spec.cropped(picture) for n, picture in pictures.items()}
        clips = torch.stack([cropped[n] for row in wanted for n in row])
        clips = clips.unflatten(0, (len(wanted), spec.length))
        clips = scale_rgb(clips, spec.mean, spec.deviation)
        return self._transfer.down(self._backbone.rgb(clips))

    @torch.inference_mode()
    def flow(self, fields: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """See `FrameSteps.flow`.

        NaN is found in the features, since no network turns it into a number: to look earlier would
        be to wait for the device.
        """
        spec = self._backbone.spec
        if fields:
            found = torch.stack([fields[n] for row in wanted for n in row])
            clips = found.unflatten(0, (len(wanted), spec.length)).transpose(1, 2)
        else:
            shape = (len(wanted), 2, spec.length, spec.crop, spec.crop)
            clips = torch.zeros(shape, device=self._backbone.device)
        pending = self._transfer.down(self._backbone.flow(quantize_flow(clips, self._quantize)))

        def checked() -> NDArray[np.float32]:
            rows = pending()
            if np.isnan(rows).any():
                raise ExtractError("optical flow holds NaN, nothing can be computed from it")
            return rows

        return checked
