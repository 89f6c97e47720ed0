"""What is done to the frames of a video, step by step; `extract.pipeline.scheduler` says when.

There are two ways: on arrays, here, and on tensors of any device (`extract.pipeline.device_steps`),
by which nothing but frames goes up to a GPU and nothing but features comes down.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.preprocessing.flow_quantization import quantize_flow
from extract.preprocessing.numpy_ops import centre_crop, grey

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone

Pending = Callable[[], NDArray[np.float32]]
"""Waits until the features ``[n, D]`` of a group of snippets are there, and gives them."""


class FrameSteps(Protocol):
    """The steps. What a picture and a run of flow fields is depends on the way."""

    def chunk_length(self, frame: NDArray[np.uint8]) -> int:
        """How many frames like this one `pictures` takes at a time."""
        ...

    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        """Decoded frames ``[H, W, 3]`` of one size in the size that flow and networks see."""
        ...

    def fields(self, pictures: Sequence[Any]) -> Any:
        """Flow between consecutive pictures, cropped: N fields in pixels per frame, by index."""
        ...

    def rgb(self, pictures: Mapping[int, Any], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of pictures, preprocessed as the network expects.

        Args:
            pictures: by number.
            wanted: the numbers of each snippet's pictures.
        """
        ...

    def flow(self, fields: Mapping[int, Any], wanted: Sequence[Sequence[int]]) -> Pending:
        """Features of snippets of flow fields; a video of one frame has no field.

        Raises:
            ExtractError: flow holds NaN; `Pending` may raise it too.
        """
        ...


class ArraySteps:
    """On arrays, by numpy, and by what flow method and backbone run.

    Args:
        backbone: the networks.
        flow: computes flow; None where the flow stream is not wanted.
        quantize: see ``quantize_flow``.
    """

    def __init__(self, backbone: "Backbone", flow: "FlowMethod | None", quantize: str) -> None:
        self._backbone = backbone
        self._flow = flow
        self._quantize = quantize

    def chunk_length(self, frame: NDArray[np.uint8]) -> int:
        """One by one, so that no frame waits for another."""
        return 1

    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        """See `FrameSteps.pictures`."""
        return [self._backbone.spec.resized(frame) for frame in frames]

    def fields(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """See `FrameSteps.fields`."""
        assert self._flow is not None
        fields = self._flow.compute(
            np.stack([grey(picture) for picture in pictures]), np.stack(pictures)
        )
        return centre_crop(fields, self._backbone.spec.crop).copy()

    def rgb(
        self, pictures: Mapping[int, NDArray[np.uint8]], wanted: Sequence[Sequence[int]]
    ) -> Pending:
        """See `FrameSteps.rgb`."""
        spec = self._backbone.spec
        cropped = {n: spec.cropped(picture) for n, picture in pictures.items()}
        clips = np.stack([np.stack([cropped[n] for n in row]) for row in wanted])
        rows = self._backbone.rgb(spec.scale_rgb(clips).transpose(0, 4, 1, 2, 3))
        return lambda: rows

    def flow(
        self, fields: Mapping[int, NDArray[np.float32]], wanted: Sequence[Sequence[int]]
    ) -> Pending:
        """See `FrameSteps.flow`."""
        spec = self._backbone.spec
        zero = np.zeros((2, spec.crop, spec.crop), np.float32)
        clips = np.stack(
            [
                np.stack([fields[n] for n in row] if len(row) else [zero] * spec.length)
                for row in wanted
            ]
        )
        rows = self._backbone.flow(quantize_flow(clips.transpose(0, 2, 1, 3, 4), self._quantize))
        return lambda: rows
