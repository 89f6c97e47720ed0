"""Libraries that define networks, imported so that a broken installation is told in a line."""

from types import ModuleType

from weights.errors import WeightsError

TORCHVISION_ADVICE = (
    "it belongs to another build of torch; install both from one place: "
    "pip install --force-reinstall torch torchvision"
)


def import_torchvision() -> ModuleType:
    """Import torchvision, whose compiled part must be of the same build as torch.

    Raises:
        WeightsError: it does not go with the installed torch, or is absent.
    """
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        # A RuntimeError ("operator torchvision::nms does not exist") where torch is for the CPU
        # and torchvision for CUDA, or the other way round.
        text = str(error).partition("\n")[0]
        message = f"torchvision cannot be imported ({text}): {TORCHVISION_ADVICE}"
        raise WeightsError(message) from error
    module: ModuleType = torchvision
    return module
