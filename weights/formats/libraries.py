"""Networks that torchvision and pytorchvideo define."""

import warnings
from types import ModuleType
from typing import Any

from weights.errors import WeightsError
from weights.formats.keys import COUNTER

TORCHVISION_ADVICE = (
    "it was built for another torch; install both from one place: "
    "pip install --force-reinstall torch torchvision"
)


def library_shapes(architecture: str, name: str, classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a network's tensors, without batch counters.

    Args:
        architecture: ``raft_large``, ``torchvision`` or ``pytorchvideo``.
        name: the network's name in its library.
        classes: width of the classifier.
    """
    import torch
    from torch import nn

    with torch.device("meta"):
        model: nn.Module
        if architecture == "raft_large":
            import_torchvision()
            from torchvision.models.optical_flow import raft_large

            model = raft_large()
        elif architecture == "torchvision":
            model = torchvision_network(name, classes)
        else:
            model = pytorchvideo_network(name)
    state = model.state_dict()
    return {key: tuple(v.shape) for key, v in state.items() if not key.endswith(f".{COUNTER}")}


def torchvision_network(name: str, classes: int) -> Any:
    """A video network of torchvision with random weights, by its name there."""
    import_torchvision()
    from torchvision.models import video

    return getattr(video, name)(num_classes=classes)


def torchvision_weights(name: str) -> Any:
    """Torchvision's weights entry: address, preprocessing, classes, accuracy."""
    import_torchvision()
    from torchvision.models import get_weight

    return get_weight(name)


def pytorchvideo_network(name: str) -> Any:
    """A network of pytorchvideo's model zoo with random weights, by its name there."""
    with warnings.catch_warnings():
        # pytorchvideo uses what torch will drop; users can do nothing about it.
        warnings.filterwarnings("ignore", "`torch.jit.script`", FutureWarning)
        from pytorchvideo.models import hub

    return getattr(hub, name)()


def import_torchvision() -> ModuleType:
    """Import torchvision, whose compiled part must be of the same build as torch.

    Raises:
        WeightsError: it does not fit the installed torch, or is not installed.
    """
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        # A RuntimeError ("operator torchvision::nms does not exist") if torch is for the CPU and
        # torchvision for CUDA, or the other way round.
        text = str(error).partition("\n")[0]
        message = f"torchvision cannot be imported ({text}): {TORCHVISION_ADVICE}"
        raise WeightsError(message) from error
    module: ModuleType = torchvision
    return module
