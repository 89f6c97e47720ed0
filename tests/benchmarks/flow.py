"""Optical flow: speed against OpenCV, cost by size and batch, memory, and fidelity.

Run from the repository, with nothing else on the machine:

    python tests/benchmarks/flow.py            # everything, about ten minutes
    python tests/benchmarks/flow.py --quick    # fewer pairs, without the torch engine

All solvers get the same frames and the same number of threads, one after the other within each
round, so that whatever else the machine does falls on all of them.
"""

import argparse
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import cv2  # noqa: E402  (found by the path above, as are the next)
import numpy as np  # noqa: E402
import torch  # noqa: E402
from _speed_table import keep  # noqa: E402
from flow_reference import (  # noqa: E402
    MOTIONS,
    MOVING,
    Pair,
    length,
    moved_pair,
    opencv_flow,
    outer,
    real_pairs,
    within_one_level,
)

import extract  # noqa: E402
from extract.flow.registry import flow_method  # noqa: E402
from extract.flow.tvl1 import numba_engine, torch_engine  # noqa: E402
from extract.flow.tvl1.params import TVL1Params  # noqa: E402
from extract.flow.tvl1.solver import Engine, check_frames, solve  # noqa: E402
from extract.flow.tvl1.torch_engine import Execution  # noqa: E402


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


FIRST_CALL = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from extract.flow.tvl1.solver import check_frames
from extract.flow.tvl1.params import TVL1Params
frames, params = check_frames(np.zeros((2, 64, 64), np.uint8)), TVL1Params()
start = time.perf_counter()
from extract.flow.tvl1.numba_engine import solve_pairs
solve_pairs(frames, params)
print(time.perf_counter() - start)
"""
MEMORY = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
frames = np.random.default_rng(0).integers(0, 256, (9, 256, 341), dtype=np.uint8)
def peak():
    # Linux only; getrusage's peak is inherited from the process that started this one.
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
def solve(frames):
    if sys.argv[2] == "OpenCV":
        import cv2
        cv2.setNumThreads(2)
        solver = cv2.optflow.DualTVL1OpticalFlow_create()
        return [solver.calc(a, b, None) for a, b in zip(frames[:-1], frames[1:])]
    import extract
    return extract.tvl1(frames, device="cpu", engine=sys.argv[2], threads=2)
solve(frames[:2, :32, :32].copy())
before = peak()
solve(frames)
print(before, peak())
"""


def in_new_process(program: str, *arguments: str, **environment: str) -> list[float]:
    """The numbers that a program prints, run with this repository's packages."""
    command = [sys.executable, "-c", program, str(ROOT), *arguments]
    printed = subprocess.check_output(command, env={**os.environ, **environment}, text=True)
    return [float(word) for word in printed.split()]


def compile_time() -> None:
    """First call in a fresh process, with nothing compiled before and with the kept code."""
    with tempfile.TemporaryDirectory() as folder:
        first, second = (in_new_process(FIRST_CALL, BASNET_CACHE=folder)[0] for _ in range(2))
    print(f"\nfirst call of numba: {first:.1f} s with compilation, {second:.1f} s kept")


def memory() -> None:
    """What 8 pairs add to the peak memory of a process that has solved a tiny one, per solver."""
    print("\npeak memory, a process per solver: 8 pairs 341x256, 2 threads")
    for name in ("OpenCV", "numba", "torch"):
        before, after = in_new_process(MEMORY, name)
        print(f"  {name:8} {after - before:6.0f} MiB on top of {before:.0f} MiB", end="")
        print(f" (the result itself: {8 * 2 * 256 * 341 * 4 / 2**20:.0f} MiB)")


def by_threads(images: list[np.ndarray], params: TVL1Params, threads: int) -> None:
    """Pairs of unrelated frames solved as the numba engine solves those of a video."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda pair: numba_engine.solve_pairs(pair, params, threads=1), images))


def speed(pairs: list[Pair], threads: int, with_torch: bool) -> None:
    """Milliseconds per pair over full frames, short side 256, a batch of 8 pairs of one size."""
    size = pairs[0].frames.shape[1:]
    same = [pair.frames for pair in pairs if pair.frames.shape[1:] == size]
    images = [check_frames(frames) for frames in same]
    params = TVL1Params()
    solver = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]  # not in its stubs
    solvers: dict[str, Callable[[], object]] = {
        "OpenCV, defaults": lambda: [solver.calc(a, b, None) for a, b in same],
        "numba": lambda: by_threads(images, params, threads),
    }
    if with_torch:
        solvers["torch"] = lambda: [torch_engine.solve_pairs(pair, params) for pair in images]
    warm_up = check_frames(np.random.default_rng(0).integers(0, 256, (4, *size), dtype=np.uint8))
    solve(warm_up, Engine("numba", "cpu"), params, threads=threads)
    rounds: dict[str, list[float]] = {name: [] for name in solvers}
    for _ in range(3):
        for name, work in solvers.items():
            rounds[name].append(1e3 * seconds(work) / len(same))
    middle = {name: statistics.median(times) for name, times in rounds.items()}
    print(f"\nspeed, {len(same)} pairs {size[1]}x{size[0]}, {threads} threads, 3 rounds")
    for name, value in middle.items():
        ratio = middle["OpenCV, defaults"] / value
        spread = f"{min(rounds[name]):.0f} to {max(rounds[name]):.0f}"
        print(f"  {name:18} {value:8.1f} ms a pair ({spread}), {ratio:5.1f} times OpenCV's speed")
    keep(
        f"TV-L1, a pair {size[1]}x{size[0]}, {threads} threads",
        f"{middle['numba']:.1f} ms",
        f"OpenCV, its defaults: {middle['OpenCV, defaults']:.0f} ms",
        middle["OpenCV, defaults"] / middle["numba"],
        "flow.py",
    )


def processor_time(pairs: list[Pair], with_torch: bool) -> None:
    """The same with one thread in processor time, which other programs disturb least."""
    threads = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    solver = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]  # not in its stubs
    solvers: dict[str, Callable[[Pair], object]] = {
        "OpenCV, defaults": lambda pair: solver.calc(pair.frames[0], pair.frames[1], None),
        "numba": lambda pair: extract.tvl1(pair.frames, device="cpu", threads=1),
    }
    if with_torch:
        solvers["torch"] = lambda pair: extract.tvl1(pair.frames, device="cpu", engine="torch")
    spent = dict.fromkeys(solvers, 0.0)
    for pair in pairs:
        for name, work in solvers.items():
            start = time.thread_time()
            work(pair)
            spent[name] += 1e3 * (time.thread_time() - start) / len(pairs)
    cv2.setNumThreads(threads[0])
    torch.set_num_threads(threads[1])
    print(f"\none thread, processor time over all {len(pairs)} pairs")
    for name, value in spent.items():
        ratio = spent["OpenCV, defaults"] / value
        print(f"  {name:18} {value:8.1f} ms a pair, {ratio:5.1f} times OpenCV's speed")


def curves(threads: int, with_torch: bool) -> None:
    """Cost by frame size and by batch."""
    params = TVL1Params()

    def cost(frames: np.ndarray, engine: str, batch: int) -> float:
        """Milliseconds a pair; the numba engine solves all of a call's pairs as one batch."""
        images = check_frames(frames[np.arange(batch + 1) % 2])
        if engine == "numba":
            work = functools.partial(numba_engine.solve_pairs, images, params, threads)
        else:
            work = functools.partial(
                torch_engine.solve_pairs, images, params, execution=Execution(batch)
            )
        return 1e3 * seconds(work) / batch

    print("\nms a pair by size")
    for height, width in ((64, 85), (128, 171), (256, 341), (360, 480), (540, 720)):
        frames = moved_pair(MOTIONS[1], height, width)[0]
        spent = cost(frames, "numba", 8)
        print(f"  {width:4}x{height:<4} numba, batch 8 {spent:7.1f}", end="")
        print(f" ({1e6 * spent / height / width:.0f} ns a pixel)", end="")
        print(f", torch, batch 1 {cost(frames, 'torch', 1):7.1f}" if with_torch else "")
    print("ms a pair by batch, 256x192")
    frames = moved_pair(MOTIONS[1])[0]
    for batch in (1, 2, 4, 16):
        print(f"  batch {batch:<3} numba {cost(frames, 'numba', batch):7.1f}", end="")
        print(f", torch {cost(frames, 'torch', batch):7.1f}" if with_torch else "")


def fidelity(pairs: list[Pair]) -> None:
    """Difference to OpenCV without its median filter, and what the filter itself changes."""
    print("\nfidelity: mean end-point difference to OpenCV (median filter off), pixels")
    print(f"  {'pair':32} motion    ours  within 1 level  fast    OpenCV median on")
    rows = []
    fast = flow_method("tvl1-fast", device="cpu")
    for pair in pairs:
        theirs = opencv_flow(pair.frames)
        ours = extract.tvl1(pair.frames, device="cpu")[0]
        quick = fast.compute(pair.frames, pair.frames)[0]
        patient = extract.tvl1(pair.frames, device="cpu", finest_iterations=300)[0]
        filtered = opencv_flow(pair.frames, median=True)
        row = (
            length(theirs).mean(),
            length(ours - theirs).mean(),
            within_one_level(ours, theirs),
            length(quick - theirs).mean(),
            length(filtered - theirs).mean(),
            length(patient - theirs).mean(),
        )
        rows.append(row)
        print(f"  {pair.name:32} {row[0]:6.2f}  {row[1]:6.3f}  {row[2]:14.3f}", end="")
        print(f"  {row[3]:.3f}  {row[4]:.3f}", flush=True)
    motion, apart, within, quick, filtered, patient = np.array(rows).T
    moving = motion > MOVING
    share = apart[moving].mean() / motion[moving].mean()
    print(f"  {len(rows)} pairs, {moving.sum()} with motion above {MOVING} px")
    print(f"  mean {apart.mean():.3f} (bound .10), worst {apart.max():.3f} (.5)", end=", ")
    print(f"{share:.1%} of the motion of moving pairs (10 %), {within.mean():.1%} within one level")
    print(f"  for scale: median on {filtered.mean():.3f}, worst {filtered.max():.3f}", end="; ")
    print(f"tvl1-fast {quick.mean():.3f}, worst {quick.max():.3f}; ", end="")
    print(f"300 steps on the finest level too {patient.mean():.3f}")


def known_motion() -> None:
    """End-point error where the motion is known, over the frame and in its outer 16 pixels."""
    print("\nknown motion: mean end-point error, pixels (outer 16 pixels)")
    errors = []
    for motion in MOTIONS:
        frames, truth = moved_pair(motion)
        rim = outer(truth.shape[1:])
        fields = extract.tvl1(frames, device="cpu")[0], opencv_flow(frames)
        wrong = [length(field - truth) for field in fields]
        errors.append([(error.mean(), error[rim].mean()) for error in wrong])
        (ours, ours_rim), (theirs, theirs_rim) = errors[-1]
        print(f"  {motion.name:22} ours {ours:7.3f} ({ours_rim:.3f})", end="")
        print(f"  OpenCV {theirs:7.3f} ({theirs_rim:.3f})")
    (ours, ours_rim), (theirs, theirs_rim) = np.mean(errors, axis=0)
    print(
        f"  {'mean':22} ours {ours:7.3f} ({ours_rim:.3f})  OpenCV {theirs:7.3f} ({theirs_rim:.3f})"
    )


def agreement(pairs: list[Pair]) -> None:
    """Mean difference of the two engines on every listed pair and every known motion."""
    frames = [pair.frames for pair in pairs] + [moved_pair(motion)[0] for motion in MOTIONS]
    apart = []
    for each in frames:
        images = check_frames(each)
        numba, torch_ = (
            solve(images, Engine(name, "cpu"), TVL1Params())[0] for name in ("numba", "torch")
        )
        apart.append(length(numba - torch_).mean())
    print(
        f"\nengines: mean difference {np.mean(apart):.4f} px, worst pair {np.max(apart):.4f}",
        end="",
    )
    print(f" (bound .02), {apart.count(0)} of {len(apart)} pairs equal in every bit")


def fast_method(folder: Path) -> None:
    """What tvl1-fast loses against tvl1 over 16 fields, and what it saves."""
    from extract.preprocessing.torch_ops import grey, resize_short_side
    from extract.video.clip import open_video

    print("\ntvl1-fast against tvl1 over 16 fields: difference, pixels; time")
    for name in ("clips/walking_the_dog.mp4", "clips/basketball.mp4", "clips/archery.avi"):
        with open_video(folder / name) as clip:
            frames = [
                grey(resize_short_side(torch.from_numpy(frame)[None], 256))[0].numpy()
                for n, (_, frame) in enumerate(clip.frames())
                if 40 <= n < 57
            ]
        stack = np.stack(frames)
        torch.set_num_threads(1)  # a method then computes in the calling thread
        plain, fast = (flow_method(kind, device="cpu") for kind in ("tvl1", "tvl1-fast"))
        times, fields = [], []
        for method in (plain, fast):
            start = time.thread_time()
            fields.append(method.compute(stack, stack))
            times.append(time.thread_time() - start)
        apart = np.hypot(*(fields[1] - fields[0]).transpose(1, 0, 2, 3)).mean()
        motion = np.hypot(*fields[0].transpose(1, 0, 2, 3)).mean()
        print(f"  {name:28} {apart:.3f} of {motion:.2f} px, {times[0] / times[1]:.1f} times faster")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer pairs, no torch engine")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, help="folder of real videos (BASNET_TEST_DATA)")
    options = parser.parse_args()
    default = os.environ.get("BASNET_TEST_DATA", ROOT.parent / "shared" / "data")
    folder = options.data or Path(default)
    cv2.setNumThreads(options.threads)
    torch.set_num_threads(options.threads)
    print(f"OpenCV {cv2.__version__}, torch {torch.__version__}, {options.threads} threads")
    compile_time()
    pairs = list(real_pairs(folder, every=4 if options.quick else 1))
    speed(pairs, options.threads, with_torch=not options.quick)
    processor_time(pairs, with_torch=not options.quick)
    curves(options.threads, with_torch=not options.quick)
    memory()
    fidelity(pairs)
    fast_method(folder)
    known_motion()
    if not options.quick:
        agreement(pairs)


if __name__ == "__main__":
    main()
