"""What a backbone is: a network, and all that it expects of a clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from extract.preprocessing.crop import Array, centre_crop
from extract.preprocessing.torchvision_resize import Resize, even_crop

if TYPE_CHECKING:
    from torch import Tensor, nn

Colour = tuple[float, float, float]


class FeatureNetwork(Protocol):
    """What a backbone's network offers besides being a torch module."""

    def features(self, x: "Tensor") -> "Tensor":
        """Clips ``[B, C, T, H, W]`` to features ``[B, D]``."""
        ...

    def classifier(self) -> "tuple[Tensor, Tensor] | None":
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer on the features."""
        ...


@dataclass(frozen=True)
class BackboneRecord:
    """One named backbone.

    Attributes:
        name: what users call it.
        streams: streams that it has, of rgb and flow.
        frame_side: short side in pixels that frames are resized to.
        crop: side of the centre crop in pixels.
        length: frames on the grid that one snippet covers.
        dimension: length of a feature.
        build: (stream, classes) -> network with random weights and published tensor names.
        frames: frames of the snippet that the network sees, spread evenly; None for all.
        step: of a snippet's frames the network sees every step-th, from the first on.
        fps: frames per second of the grid that its snippets were trained on.
        mean: subtracted from red, green and blue in [0, 1].
        deviation: they are divided by it afterwards.
        flow_overrides: parameters of TV-L1 that differ from its defaults.
        classifier_length: frames of the clips that its classifier was trained on, where they are
            more than a snippet's.
        winograd: whether Winograd's filtering computes it faster on a CPU, see
            `extract.inference.winograd`.
        clip_a_thread: whether torch on a CPU does more of its clips by a thread for each of them
            than by all threads for one.
        resize: how its library resizes and crops; None for the definitions of published I3D
            features (`extract.preprocessing.torch_ops`) with ``frame_side``.
        model: the model of transformers that it is: its name on the hub or a local folder.
    """

    name: str
    streams: tuple[str, ...]
    frame_side: int
    crop: int
    length: int
    dimension: int
    build: "Callable[[str, int], nn.Module]"
    frames: int | None = None
    step: int = 1
    fps: Fraction = Fraction(25)
    mean: Colour = (0.5, 0.5, 0.5)
    deviation: Colour = (0.5, 0.5, 0.5)
    flow_overrides: Mapping[str, Any] = field(default_factory=dict)
    classifier_length: int | None = None
    winograd: bool = False
    clip_a_thread: bool = False
    resize: Resize | None = None
    model: str | None = None

    def cropped(self, picture: Array) -> Array:
        """The middle of a resized picture, ``[crop, crop, 3]``, an array or a tensor."""
        if self.resize is None:
            return centre_crop(picture, self.crop)
        return even_crop(picture, self.crop)

    @property
    def seen(self) -> Sequence[int]:
        """Frames of a snippet that the network sees, in order.

        Spread evenly they are those of pytorchvideo's UniformTemporalSubsample:
        ``linspace(0, length - 1)``, truncated.
        """
        if self.frames is None:
            return range(0, self.length, self.step)
        return [int(n) for n in np.linspace(0, self.length - 1, self.frames)]

    def sampled(self, clips: "Tensor") -> "Tensor":
        """The frames that the network sees of clips ``[B, C, length, H, W]``."""
        seen = self.seen
        return clips if len(seen) == clips.shape[2] else clips[:, :, list(seen)]
