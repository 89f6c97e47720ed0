"""Networks that an installed library defines: built with random weights, and their tensors."""

import warnings
from typing import Any

from weights.errors import WeightsError
from weights.importing import import_torchvision
from weights.keys import COUNTER
from weights.manifest import Network


def library_shapes(item: Network) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network that an installed library defines."""
    import torch
    from torch import nn

    with torch.device("meta"):
        model: nn.Module
        if item.architecture == "raft_large":
            import_torchvision()
            from torchvision.models.optical_flow import raft_large

            model = raft_large()
        elif item.architecture == "torchvision":
            model = torchvision_network(item.name, item.classes)
        elif item.architecture == "pytorchvideo":
            model = zoo_network(item.name)
        else:
            raise WeightsError(f"{item.name} cannot be imported: it is part of the package")
    state = model.state_dict()
    return {key: tuple(v.shape) for key, v in state.items() if not key.endswith(f".{COUNTER}")}


def torchvision_network(name: str, classes: int) -> Any:
    """A network for videos of torchvision with random weights, by its name there."""
    import_torchvision()
    from torchvision.models import video

    return getattr(video, name)(num_classes=classes)


def zoo_network(name: str) -> Any:
    """A network of pytorchvideo's zoo with random weights, by its name there."""
    with warnings.catch_warnings():
        # pytorchvideo asks torch for what torch will drop; users can do nothing about it.
        warnings.filterwarnings("ignore", "`torch.jit.script`", FutureWarning)
        from pytorchvideo.models import hub

    return getattr(hub, name)()
