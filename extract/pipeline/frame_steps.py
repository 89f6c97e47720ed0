"""What is done to the frames of a video; `extract.pipeline.scheduler` says when and where.

There are two ways: on arrays, here, and on tensors of any device (`extract.pipeline.device_steps`),
by which nothing but frames goes up to a GPU and nothing but features comes down.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.preprocessing.flow_quantization import quantize_flow
from extract.preprocessing.numpy_ops import centre_crop, grey

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone


class Work(Protocol):
    """The steps. What a picture, some fields and found features are is the way's own business."""

    def slab(self, frame: NDArray[np.uint8]) -> int:
        """How many frames like this one `pictures` takes at a time."""
        ...

    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Any]:
        """Decoded frames ``[H, W, 3]`` of one size in the size that flow and networks see."""
        ...

    def fields(self, pictures: Sequence[Any]) -> Any:
        """Flow between consecutive pictures, cropped: N fields in pixels per frame, by index."""
        ...

    def rgb(self, pictures: Mapping[int, Any], wanted: Sequence[Sequence[int]]) -> Any:
        """Features of a row of pictures for each snippet, as the network's preprocessing asks.

        Args:
            pictures: by number.
            wanted: the numbers of each snippet's pictures.
        """
        ...

    def flow(self, fields: Mapping[int, Any], wanted: Sequence[Sequence[int]]) -> Any:
        """Features of a row of fields for each snippet; none in a video of one frame."""
        ...

    def ready(self, found: Any) -> bool:
        """Whether found features need not wait for more snippets to be computed along with."""
        ...

    def rows(self, found: Any) -> NDArray[np.float32]:
        """Found features as ``[n, D]``; waits until they are there.

        Raises:
            ExtractError: something on the way was no number.
        """
        ...


class ArrayWork:
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

    def slab(self, frame: NDArray[np.uint8]) -> int:
        """One by one: a frame is not waited for."""
        return 1

    def pictures(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        """See `Work.pictures`."""
        return [self._backbone.record.resized(frame) for frame in frames]

    def fields(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """See `Work.fields`."""
        assert self._flow is not None
        fields = self._flow.compute(
            np.stack([grey(picture) for picture in pictures]), np.stack(pictures)
        )
        return centre_crop(fields, self._backbone.record.crop).copy()

    def rgb(
        self, pictures: Mapping[int, NDArray[np.uint8]], wanted: Sequence[Sequence[int]]
    ) -> NDArray[np.float32]:
        """See `Work.rgb`."""
        record = self._backbone.record
        cropped = {n: record.cropped(picture) for n, picture in pictures.items()}
        clips = np.stack([np.stack([cropped[n] for n in row]) for row in wanted])
        return self._network("rgb", record.scale_rgb(clips).transpose(0, 4, 1, 2, 3))

    def flow(
        self, fields: Mapping[int, NDArray[np.float32]], wanted: Sequence[Sequence[int]]
    ) -> NDArray[np.float32]:
        """See `Work.flow`."""
        record = self._backbone.record
        zero = np.zeros((2, record.crop, record.crop), np.float32)
        clips = np.stack(
            [
                np.stack([fields[n] for n in row] if len(row) else [zero] * record.length)
                for row in wanted
            ]
        )
        return self._network("flow", quantize_flow(clips.transpose(0, 2, 1, 3, 4), self._quantize))

    def _network(self, stream: str, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        rows: NDArray[np.float32] = getattr(self._backbone, stream)(clips)
        return rows

    def ready(self, found: NDArray[np.float32]) -> bool:
        """They are there."""
        return True

    def rows(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """They are there."""
        return found
