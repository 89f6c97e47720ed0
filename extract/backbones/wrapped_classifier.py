"""A library's clip classifier, split into features and a linear classifier.

The feature is the input of the last linear layer. If the library averages logits over positions,
features are averaged here, which is the same, since the layer is linear.
"""

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor, nn


class WrappedNetwork(nn.Module):
    """A network whose tensors keep the library's names.

    Args:
        network: takes clips ``[B, 3, T, H, W]`` and ends in the linear layer.
        last: name of that layer, e.g. ``head.1``: a linear layer or a 1x1x1 convolution.
    """

    def __init__(self, network: nn.Module, last: str) -> None:
        super().__init__()
        self.last = last
        self.linear = cast("nn.Linear | nn.Conv3d", network.get_submodule(last))
        network.set_submodule(last, nn.Identity())
        self.network = network

    def features(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to features ``[B, D]``."""
        return cast(Tensor, self.network(x))

    def classifier(self) -> tuple[Tensor, Tensor]:
        """Weight ``[classes, D]`` and bias ``[classes]`` of the linear layer."""
        bias = self.linear.bias
        assert bias is not None
        return self.linear.weight.flatten(1), bias

    def forward(self, x: Tensor) -> Tensor:
        """Clips ``[B, 3, T, H, W]`` to logits ``[B, classes]``."""
        return nn.functional.linear(self.features(x), *self.classifier())

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Any]:  # type: ignore[override]
        """Tensors under the library's names."""
        found: dict[str, Any] = self.network.state_dict()
        linear = self.linear.state_dict()
        return found | {f"{self.last}.{name}": value for name, value in linear.items()}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load tensors under the library's names."""
        prefix = f"{self.last}."
        linear = {k.removeprefix(prefix): v for k, v in state_dict.items() if k.startswith(prefix)}
        rest = {k: v for k, v in state_dict.items() if not k.startswith(prefix)}
        self.linear.load_state_dict(linear, strict=strict, assign=assign)
        return self.network.load_state_dict(rest, strict=strict, assign=assign)
