"""How exactly a GPU multiplies in networks: float32, or faster and rounded.

Only the backbone's networks round. Flow is float32 in any case: it is what they are shown.
"""

import contextlib
from collections.abc import Iterator

from extract.errors import ExtractError
from extract.machine.devices import multiplying

PRECISIONS = ("float32", "tf32", "bfloat16", "float16")
# Compute capability from which a GPU has a precision; torch would compute otherwise without a word.
NEEDS = {"tf32": 8, "bfloat16": 8}


def check_precision(precision: str, device: str) -> None:
    """See whether a device computes in a precision.

    Args:
        precision: one of ``PRECISIONS``.
        device: as torch names it.

    Raises:
        ExtractError: it does not.
    """
    if precision not in PRECISIONS:
        raise ExtractError(f"no precision '{precision}'; choose one of {', '.join(PRECISIONS)}")
    if precision == "float32":
        return
    if not device.startswith("cuda"):
        raise ExtractError(
            f"precision {precision} needs a GPU, and this would run on the {device}; "
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
    """Inside the block torch multiplies in that precision on that device.

    bfloat16 and float16 are torch's autocast, which keeps float32 where a network needs its range
    (sums, normalisation, softmax).

    Args:
        precision: a checked one.
        device: as torch names it.
    """
    import torch

    kind = device.partition(":")[0]
    with multiplying(tf32=precision == "tf32"):
        if precision in ("bfloat16", "float16"):
            with torch.autocast(kind, getattr(torch, precision)):
                yield
        else:
            yield
