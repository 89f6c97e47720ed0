"""Precision of networks on a GPU: float32, or faster and rounded.

Only the backbone's networks round; flow is always float32.
"""

import contextlib
from collections.abc import Iterator

from extract.errors import ExtractError
from extract.machine.devices import multiplying

PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
# Least compute capability; below it, torch silently computes in another precision.
NEEDS = {"tf32": 8, "bfloat16": 8}


def check_precision(precision: str, device: str) -> None:
    """Check that a device, as torch names it, supports a precision of ``PRECISIONS``.

    Raises:
        ExtractError: it does not, or there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ExtractError(f"no precision '{precision}'; choose one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return
    if not device.startswith("cuda"):
        raise ExtractError(
            f"precision {precision} needs a GPU, and the networks run on the {device}; "
            "use --precision float32"
        )
    import torch

    major, minor = torch.cuda.get_device_capability(device)
    if major < NEEDS.get(precision, 0):
        raise ExtractError(
            f"precision {precision} needs a GPU of compute capability {NEEDS[precision]}.0, "
            f"{device} has {major}.{minor}; use --precision float32 or float16"
        )


@contextlib.contextmanager
def rounding(precision: str, device: str) -> Iterator[None]:
    """Inside the block, torch multiplies in this precision on this device.

    bfloat16 and float16 are torch's autocast, which keeps float32 for operations that need its
    range (sums, normalisation, softmax).
    """
    import torch

    kind = device.partition(":")[0]
    with multiplying(tf32=precision == "tf32"):
        if precision in ("bfloat16", "float16"):
            with torch.autocast(kind, getattr(torch, precision)):
                yield
        else:
            yield
