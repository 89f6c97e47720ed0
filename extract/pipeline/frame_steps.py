"""The steps from frames to features on one device: frames go up once, as bytes; features come down.

`extract.pipeline.scheduler` decides when each step runs.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from extract.errors import ExtractError
from extract.pipeline.transfer import Transfer, chunk_length, transfer_with
from extract.preprocessing.crop import centre_crop
from extract.preprocessing.flow_quantization import quantize_flow
from extract.preprocessing.torch_ops import grey, resize_short_side, scale_rgb

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone

Pending = Callable[[], NDArray[np.float32]]
"""Waits for the features ``[n, D]`` of a group of snippets and returns them."""


class FrameSteps:
    """The steps. Pictures are ``[H, W, 3] uint8`` and fields ``[N, 2, crop, crop]``.

    No step depends on a computed value, so the processor never waits for a GPU before features are
    read; TV-L1 polls whether it may end, without waiting.

    Args:
        backbone: the networks, on the device.
        flow: computes flow; None without the flow stream.
        quantize: see ``extract.preprocessing.flow_quantization``.
        transfer: copies to and from the device; default: by the backbone's device.
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
        """How many frames of this size `pictures` takes at a time; one on a CPU."""
        return 1 if self._backbone.device == "cpu" else chunk_length(frame)

    @torch.inference_mode()
    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Tensor]:
        """Resize decoded frames ``[H, W, 3]`` of one size for flow and networks.

        A library's own resize runs on the processor, since it rounds differently on a GPU.
        """
        spec = self._backbone.spec
        if spec.resize is not None:
            return self._transfer.up([spec.resize.of(frame) for frame in frames]).unbind()
        return resize_short_side(self._transfer.up(frames), spec.frame_side).unbind()

    @torch.inference_mode()
    def fields(self, pictures: Sequence[Tensor]) -> Tensor:
        """Flow between consecutive pictures, cropped, in pixels per frame."""
        assert self._flow is not None
        rgb = torch.stack(tuple(pictures))
        if rgb.device.type == "cpu":
            flow = torch.from_numpy(self._flow.compute(grey(rgb).numpy(), rgb.numpy()))
        else:
            flow = self._flow.compute_on_device(grey(rgb), rgb)
        return centre_crop(flow, self._backbone.spec.crop).clone()  # frees the whole fields

    @torch.inference_mode()
    def rgb(self, pictures: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of pictures.

        Args:
            pictures: by number.
            wanted: the numbers of each snippet's pictures.
        """
        spec = self._backbone.spec
        cropped = {n: spec.cropped(picture) for n, picture in pictures.items()}
        clips = torch.stack([cropped[n] for row in wanted for n in row])
        clips = clips.unflatten(0, (len(wanted), spec.length))
        clips = scale_rgb(clips, spec.mean, spec.deviation)
        return self._transfer.down(self._backbone.rgb(clips))

    @torch.inference_mode()
    def flow(self, fields: Mapping[int, Tensor], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of flow fields; a video of one frame has no field.

        The result raises ExtractError if flow holds NaN. It is found in the features, since
        networks keep it, and an earlier check would wait for the device.
        """
        spec = self._backbone.spec
        if fields:
            clips = torch.stack([torch.stack([fields[n] for n in row], dim=1) for row in wanted])
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
