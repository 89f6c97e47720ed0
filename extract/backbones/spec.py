"""What a backbone is: a network and all that it expects of a clip."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from extract.preprocessing.crop import Array, centre_crop, even_crop
from extract.preprocessing.torchvision_resize import Resize
from weights.registry import resolve, resolve_model
from weights.weights_file import WeightsFile

if TYPE_CHECKING:
    from torch import Tensor, nn

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class BackboneSpec:
    """One named backbone.

    Attributes:
        name: the name that users give.
        streams: its streams, of rgb and flow.
        frame_side: short side in pixels that frames are resized to.
        crop: side of the centre crop in pixels.
        length: frames on the grid that one snippet covers.
        dimension: length of a feature.
        build: (stream, classes) -> network with random weights and published tensor names. Besides
            a torch module's methods it has ``features`` (clips ``[B, C, T, H, W]`` to ``[B, D]``)
            and ``classifier``: weight ``[classes, D]`` and bias of the last layer, or None.
        frames: how many of a snippet's frames the network sees, evenly spread; None for all.
        step: the network sees every step-th frame of a snippet, from the first on.
        fps: frames per second of the grid that it was trained on.
        mean: subtracted from red, green and blue in [0, 1].
        deviation: divides the result.
        flow_overrides: parameters of TV-L1 that differ from its defaults.
        classifier_length: frames of the clips that its classifier was trained on, if more than a
            snippet's.
        winograd: whether Winograd's filtering computes it faster on a CPU, see
            `extract.inference.winograd`.
        single_thread_per_clip: whether a CPU computes more clips per second with one thread for
            each clip than with all threads for one.
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
    single_thread_per_clip: bool = False
    resize: Resize | None = None
    model: str | None = None

    def weights(self, stream: str, offline: bool | None = None) -> WeightsFile:
        """The verified weights of a stream, see ``weights.registry.resolve``."""
        if self.model is not None:
            return resolve_model(self.model, offline=offline)
        return resolve(self.name, stream, offline=offline)

    def cropped(self, picture: Array) -> Array:
        """The centre crop of a resized picture, ``[crop, crop, 3]``, an array or a tensor."""
        return (even_crop if self.resize else centre_crop)(picture, self.crop)

    @property
    def seen(self) -> Sequence[int]:
        """Indices of a snippet's frames that the network sees, in order.

        Evenly spread frames are those of pytorchvideo's UniformTemporalSubsample:
        ``linspace(0, length - 1)``, truncated.
        """
        if self.frames is None:
            return range(0, self.length, self.step)
        return [int(n) for n in np.linspace(0, self.length - 1, self.frames)]

    def sampled(self, clips: "Tensor") -> "Tensor":
        """The frames of clips ``[B, C, length, H, W]`` that the network sees."""
        seen = self.seen
        return clips if len(seen) == clips.shape[2] else clips[:, :, list(seen)]
