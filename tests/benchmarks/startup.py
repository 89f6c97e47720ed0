"""How long commands take to begin: `basnet --help`, and `basnet localize` of a tenth of a second.

A short clip costs what starting costs: importing torch, loading I3D, computing one snippet. What it
may take is 1.5 times an import of torch plus one snippet. Needs I3D's rgb weights.

Run: python tests/benchmarks/startup.py
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _speed_table import keep

RUNS = 9
MAY_BE = 1.5  # times an import of torch
FRAMES = 3
SNIPPET = """
import time, torch
from extract import load_backbone
backbone = load_backbone("i3d", ("rgb",), device="cpu")
clip = torch.zeros(1, 3, 16, 224, 224)
for _ in range(3):
    began = time.perf_counter()
    backbone.rgb(clip)
print(time.perf_counter() - began)
"""


def seconds(*arguments: str) -> float:
    """Wall time of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def snippet() -> float:
    """Seconds that I3D takes for one snippet once it is warm."""
    done = subprocess.run(
        [sys.executable, "-c", SNIPPET], check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def write_clip(path: Path) -> None:
    """A tenth of a second of 320x240 pixels."""
    import av
    import numpy as np

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for n in range(FRAMES):
            picture = np.full((240, 320, 3), 60 * n, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())


def main() -> None:
    """Interleave what is compared, so that a busy moment hits all of it."""
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip)
        localize = ("-m", "basnet_e2e", "localize", str(clip), "--offline", "--device", "cpu", "-q")
        for _ in range(RUNS):
            times.setdefault("python -c pass", []).append(seconds("-c", "pass"))
            times.setdefault("basnet --help", []).append(seconds("-m", "basnet_e2e", "--help"))
            times.setdefault("import torch", []).append(seconds("-c", "import torch"))
            times.setdefault("one snippet of I3D", []).append(snippet())
            times.setdefault("basnet localize, 0.1 s", []).append(seconds(*localize))
    found = {name: statistics.median(values) for name, values in times.items()}
    for name, value in found.items():
        print(f"{name:<24} {value * 1000:6.0f} ms (median of {RUNS})")
    print(f"--help / pass            {found['basnet --help'] / found['python -c pass']:6.1f}")
    extra = found["basnet localize, 0.1 s"] - found["one snippet of I3D"]
    ratio = extra / found["import torch"]
    keep(
        "`localize` of a 0.1 s clip, less its snippet",
        f"{extra:.2f} s",
        f"`import torch`: {found['import torch']:.2f} s (goal: {MAY_BE:g} times that)",
        None,
        "startup.py",
    )
    print(f"(localize - snippet) / import torch  {ratio:.2f} (goal: {MAY_BE:g})")


if __name__ == "__main__":
    main()
