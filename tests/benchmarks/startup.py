"""How long `basnet --help` takes, beside an empty Python process.

Run: python tests/benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import time

RUNS = 15


def seconds(*arguments: str) -> float:
    """Wall time of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Interleave the two, so that a busy moment hits both."""
    empty, help_page = [], []
    for _ in range(RUNS):
        empty.append(seconds("-c", "pass"))
        help_page.append(seconds("-m", "basnet_e2e", "--help"))
    base, ours = statistics.median(empty), statistics.median(help_page)
    print(f"python -c pass   {base * 1000:6.0f} ms (median of {RUNS})")
    print(f"basnet --help    {ours * 1000:6.0f} ms (median of {RUNS})")
    print(f"ratio            {ours / base:6.1f}")


if __name__ == "__main__":
    main()
