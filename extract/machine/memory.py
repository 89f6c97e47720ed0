"""How much memory there is, and a limit for a decoding process, which a broken video may fill."""

import contextlib
import os
from pathlib import Path

# A decoding process may take this share of the machine, or of its control group.
SHARE = 0.5
LEAST_BYTES = 2 << 30  # decoding 8K needs up to about this
GROUPS = "/sys/fs/cgroup"
GROUP_LIMITS = (f"{GROUPS}/memory.max", f"{GROUPS}/memory/memory.limit_in_bytes")
OWN_GROUP = "/proc/self/cgroup"
FIRST_TO_GO = "1000"  # highest badness for the kernel's choice of what to kill


def memory_of_machine() -> int | None:
    """Bytes of memory that this process and all others have; None if unknown."""
    found = []
    with contextlib.suppress(ValueError, OSError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in (*GROUP_LIMITS, *_own_limits()):
        with contextlib.suppress(OSError, ValueError):  # "max" without a limit
            found.append(int(Path(name).read_text("ascii")))
    return min(found, default=None)


def _own_limits() -> list[str]:
    """Limits of this process's control group and of those above it, as a scheduler sets them."""
    with contextlib.suppress(OSError):
        for line in Path(OWN_GROUP).read_text("ascii", "replace").splitlines():
            if line.startswith("0::/"):  # version 2
                group = Path(GROUPS, line[4:])
                return [str(above / "memory.max") for above in (group, *group.parents)]
    return []


def free_memory() -> int | None:
    """Bytes that new processes may take; None if unknown."""
    total = memory_of_machine()  # in a container, its own
    if total is None:
        return None
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        (line,) = (line for line in lines if line.startswith("MemAvailable:"))
        return min(int(line.split()[1]) * 1024, total)
    return total // 2  # a guess


def default_limit() -> int | None:
    """Bytes that a decoding process may take; None if the machine's size is unknown."""
    total = memory_of_machine()
    return None if total is None else max(LEAST_BYTES, int(total * SHARE))


def limit_memory(limit: int | None) -> None:
    """Bound the private memory of this process, and let it be the first that the kernel kills.

    An allocation above the bound fails. Only Linux counts private memory for this bound.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, "ascii")
    if limit is None:
        return
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
