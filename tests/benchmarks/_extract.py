"""Extraction of two streams: speed against the obvious pipeline, flat cost, memory, full cores.

Run from the repository, with nothing else on the machine:

    python tests/benchmarks/extract.py            # everything, about forty minutes on two cores
    python tests/benchmarks/extract.py --quick    # the ratio of i3d on one video, about two minutes
    python tests/benchmarks/extract.py --only flat --minutes 5

The obvious pipeline decodes with OpenCV, computes TV-L1 with OpenCV's defaults pair by pair, and
runs the plain network of torch one snippet at a time. Both sides get the same seconds of the same
videos and all cores, by turns; what they load and compile once is not counted. I3D's weights are
random, since speed alone is measured.

Cores are looked at 50 times a second: a core counts as busy while a thread of the extraction runs
or could run, so that other work on the machine changes little.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402  (found by the path above, as are the next)
import cv2  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from _speed_table import keep  # noqa: E402

from extract.inference.backbone import Backbone, load_network  # noqa: E402
from extract.machine.devices import cores  # noqa: E402
from extract.pipeline.extractor import Extractor  # noqa: E402
from extract.pipeline.settings import ExtractSettings  # noqa: E402
from extract.preprocessing.flow_quantization import quantize_flow  # noqa: E402
from weights.files import cache_folder  # noqa: E402
from weights.formats.architectures import shapes  # noqa: E402
from weights.manifest import network  # noqa: E402
from weights.weights_file import store  # noqa: E402

# All of them have 25 frames a second.
VIDEOS = ("spliced/test/test_000.mp4", "clips/bikes.mp4", "clips/archery.avi")
FPS, LENGTH = 25, 16
GOALS = {"i3d": 8, "i3d-mini": 10}
LOOKS_A_SECOND = 50


def random_weights() -> None:
    """I3D with random weights that keep activations in a normal range, into the cache."""
    chance = np.random.default_rng(0)
    for stream, channels in (("rgb", 3), ("flow", 2)):
        tensors = {}
        for name, shape in shapes(channels, 400).items():
            if name.endswith("bn.weight"):
                tensors[name] = np.ones(shape, np.float32)
            elif name.endswith("running_var"):
                tensors[name] = chance.uniform(0.5, 2, shape).astype(np.float32)
            else:
                fan = np.prod(shape[1:]) if len(shape) == 5 else 10
                tensors[name] = chance.normal(0, np.sqrt(2 / fan), shape).astype(np.float32)
        store(network("i3d", stream), tensors, {"source": "random"})


def cut(source: Path, target: Path, seconds: float) -> Path:
    """The first seconds of a video of 25 frames per second, re-encoded."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        made = written.add_stream("libx264", rate=FPS)
        made.width, made.height, made.pix_fmt = stream.width, stream.height, "yuv420p"
        for number, frame in enumerate(read.decode(stream)):
            if number >= seconds * FPS:
                break
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            written.mux(made.encode(frame))
        written.mux(made.encode(None))
    return target


def looped(source: Path, target: Path, seconds: float) -> Path:
    """The packets of a video that ``cut`` made again and again, without decoding them."""
    with av.open(str(source)) as read:
        stream = read.streams.video[0]
        length = round(stream.frames / FPS / stream.time_base)
        with av.open(str(target), "w") as written:
            made = written.add_stream_from_template(stream)
            for turn in range(-(-round(seconds * FPS) // stream.frames)):
                read.seek(0)
                for packet in read.demux(stream):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + turn * length, packet.dts + turn * length
                    packet.stream = made
                    written.mux(packet)
    return target


@dataclass
class Look:
    """What the processes of an extraction were seen to do.

    Attributes:
        runnable: how many threads ran or could run, at each look.
        memory: highest resident megabytes of each process, by its number.
    """

    runnable: list[int] = field(default_factory=list)
    memory: dict[int, float] = field(default_factory=dict)

    def busy(self) -> float:
        """Share of the cores that were busy."""
        return float(np.minimum(self.runnable, cores()).mean() / cores())


def family(parent: int) -> list[int]:
    """A process and those that it and its children started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            )
        except (OSError, IndexError):
            continue
    found = [parent]
    for process in found:
        found += [child for child, own in parents.items() if own == process]
    return found


def processor_seconds(processes: Sequence[int]) -> float:
    """Processor time of processes so far."""
    spent = 0
    for process in processes:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def look_at(processes: Sequence[int], seen: Look) -> None:
    """Count the threads that run or could, and note the memory."""
    ready = 0
    for process in processes:
        try:
            for thread in Path(f"/proc/{process}/task").iterdir():
                ready += (thread / "stat").read_text().rsplit(")", 1)[1].split()[0] == "R"
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peak = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
            seen.memory[process] = max(peak, default=0.0)
        except (OSError, IndexError):
            continue
    seen.runnable.append(ready)


@dataclass
class Run:
    """One call of `basnet extract`: what it said of each video, and what was seen of it."""

    events: list[dict[str, object]]
    look: Look

    def cost(self) -> float:
        """Seconds per second of video, start-up not counted."""
        done = [event for event in self.events if event["event"] == "done"]
        return sum(float(e["seconds"]) for e in done) / sum(float(e["duration"]) for e in done)

    def peak(self) -> float:
        """Megabytes of all processes together, each at its highest."""
        return sum(self.look.memory.values())


def run_command(videos: Path, backbone: str, *options: str) -> Run:
    """Extract by the command line in a process of its own, looked at from first to last video."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "basnet_e2e", "extract", str(videos), "-o", folder]
        command += ["--backbone", backbone, "--device", "cpu", "--json-log", *options]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        events, look, ended = [], Look(), threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, look, ended))
        assert process.stderr is not None
        for line in process.stderr:
            if not line.startswith("{"):
                continue
            events.append(json.loads(line))
            if len(events) == 1:
                watcher.start()
            if events[-1]["event"] == "failed":
                raise SystemExit(f"extraction failed: {events[-1]['message']}")
            if events[-1]["event"] == "done" and _count(events, "done") == _videos(videos):
                ended.set()
        ended.set()
        watcher.join()
        if process.wait():
            raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return Run(events, look)


def _count(events: Sequence[dict[str, object]], kind: str) -> int:
    return sum(event["event"] == kind for event in events)


def _videos(path: Path) -> int:
    return len(list(path.iterdir())) if path.is_dir() else 1


def _watch(parent: int, look: Look, ended: threading.Event) -> None:
    processes = family(parent)
    while not ended.wait(1 / LOOKS_A_SECOND):
        if len(look.runnable) % LOOKS_A_SECOND == 0:
            processes = family(parent)
        look_at(processes, look)


class Obvious:
    """What anyone would write.

    Args:
        backbone: its networks are taken as they are, nothing folded or packed.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._spec = backbone.spec
        self._networks = {
            stream: load_network(backbone.spec, stream, backbone.file(stream))
            for stream in backbone.streams
        }
        self._solver = cv2.optflow.DualTVL1OpticalFlow_create()  # type: ignore[attr-defined]  # not in its stubs

    def extract(self, path: Path) -> dict[str, np.ndarray]:
        """Features of the snippets that the video fills."""
        rows: dict[str, list[np.ndarray]] = {stream: [] for stream in self._networks}
        frames = list(self._frames(path))
        for first in range(0, len(frames) - LENGTH + 1, LENGTH):
            seen = frames[first : first + LENGTH + 1]
            for stream, clip in (("rgb", self._rgb(seen[:LENGTH])), ("flow", self._flow(seen))):
                with torch.inference_mode():
                    found = self._networks[stream].features(torch.from_numpy(clip[None]))
                rows[stream].append(found.numpy()[0])
        return {stream: np.stack(found) for stream, found in rows.items()}

    def _frames(self, path: Path) -> Iterator[np.ndarray]:
        reader = cv2.VideoCapture(str(path))
        while True:
            there, frame = reader.read()
            if not there:
                return
            height, width = frame.shape[:2]
            scale = self._spec.frame_side / min(height, width)
            yield cv2.resize(frame, (round(width * scale), round(height * scale)))

    def _crop(self, clip: np.ndarray) -> np.ndarray:
        side = self._spec.crop
        top, left = (clip.shape[1] - side) // 2, (clip.shape[2] - side) // 2
        cropped = clip[:, top : top + side, left : left + side]
        return np.ascontiguousarray(cropped.transpose(3, 0, 1, 2), np.float32)

    def _rgb(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        clip = np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])
        return self._crop(clip) / 127.5 - 1

    def _flow(self, frames: Sequence[np.ndarray]) -> np.ndarray:
        grey = [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in frames]
        pairs = itertools.pairwise(grey)
        fields = [self._solver.calc(one, other, None) for one, other in pairs]
        fields += fields[-1:] * (LENGTH - len(fields))  # the last frame has none that follows
        stacked = torch.from_numpy(np.ascontiguousarray(self._crop(np.stack(fields))))
        return quantize_flow(stacked).numpy()


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor in this process and its children."""
    processes = family(os.getpid())
    began, before = time.perf_counter(), processor_seconds(processes)
    work()
    return time.perf_counter() - began, processor_seconds(processes) - before


def ratio(folder: Path, made: Path, name: str, seconds: float, videos: Sequence[str]) -> None:
    """Both pipelines by turns over the beginnings of real videos."""
    extractor = Extractor(ExtractSettings(name), device="cpu")
    obvious = Obvious(extractor.backbone)
    extractor.load()
    frames = round(seconds * FPS / LENGTH) * LENGTH  # whole snippets: both do the same work
    clips = {
        each: cut(folder / each, made / f"{n}.mp4", frames / FPS) for n, each in enumerate(videos)
    }
    warm_up = cut(folder / videos[0], made / "warm-up.mp4", LENGTH / FPS)
    extractor.extract(warm_up)
    obvious.extract(warm_up)
    print(
        f"\n{name}, two streams, {cores()} cores: seconds per second of video (processor seconds)"
    )
    rows, spent = [], []
    for each, clip in clips.items():
        length = frames / FPS
        ours = timed(lambda clip=clip: extractor.extract(clip))
        print(
            f"  {each:28} ours {ours[0] / length:7.2f} ({ours[1] / length:6.2f})",
            end="",
            flush=True,
        )
        theirs = timed(lambda clip=clip: obvious.extract(clip))
        rows.append((theirs[0] / ours[0], theirs[1] / ours[1]))
        spent.append((ours[0] / length, theirs[0] / length))
        print(f"  obvious {theirs[0] / length:7.2f} ({theirs[1] / length:6.2f})", end="")
        print(f"  {rows[-1][0]:5.1f}x ({rows[-1][1]:.1f}x)")
    by_clock, by_processor = (median(column) for column in zip(*rows, strict=True))
    ours_second, theirs_second = (median(column) for column in zip(*spent, strict=True))
    keep(
        f"a second of real video, two streams of `{name}`, {cores()} cores",
        f"{ours_second:.2f} s",
        f"OpenCV's decoder and TV-L1, torch's network: {theirs_second:.2f} s",
        by_clock,
        f"extract.py --only ratio --backbone {name}",
    )
    print(f"  median {by_clock:.1f}x (goal {GOALS[name]}x); by processor time {by_processor:.1f}x")


def flat(source: Path, made: Path, name: str, minutes: float) -> None:
    """Cost per second and memory of a short video, one of a minute, and a long one."""
    print(f"\n{name}, two streams: a clip of 10 s looped")
    clip = cut(source, made / "ten.mp4", 10)
    first: dict[str, Run] = {}
    for title, seconds in (("10 s", 10), ("1 min", 60), (f"{minutes:g} min", 60 * minutes)):
        path = looped(clip, made / f"{seconds:g}.mp4", seconds)
        first[title] = run = run_command(path, name)
        memory = ", ".join(f"{value:.0f}" for value in run.look.memory.values())
        print(
            f"  {title:8} {run.cost():.3f} s per second, peak {run.peak():.0f} MB ({memory})",
            flush=True,
        )
    short, minute, long = first.values()
    print(f"  cost of the longest: {long.cost() / short.cost():.2f} of the shortest's", end="; ")
    keep(
        f"memory of a video of {minutes:g} minutes, `{name}`",
        f"{long.peak():.0f} MB",
        f"a video of a minute: {minute.peak():.0f} MB",
        None,
        "extract.py --only flat",
    )
    print(f"its memory {long.peak() / minute.peak():.3f} of a minute's (goal at most 1.10)")


def full(folder: Path, made: Path, name: str, seconds: float) -> None:
    """Share of the cores that are busy for one long video and for a folder."""
    print(f"\n{name}, two streams: share of {cores()} cores busy (goal .95)")
    clip = cut(folder / VIDEOS[0], made / "one.mp4", seconds)
    run = run_command(clip, name)
    keep(
        f"cores at work, one video, two streams of `{name}`",
        f"{run.look.busy():.2f}",
        "goal: .95",
        None,
        f"extract.py --only full --backbone {name}",
    )
    print(
        f"  one video of {seconds:g} s      {run.look.busy():.3f}, {run.cost():.2f} s per second",
        flush=True,
    )
    many = made / "many"
    many.mkdir(exist_ok=True)
    for number in range(4):
        cut(folder / VIDEOS[number % 2], many / f"{number}.mp4", max(seconds / 4, 2))
    for jobs in ("auto", "1", str(cores())):
        run = run_command(many, name, "--jobs", jobs)
        print(f"  4 videos, --jobs {jobs:5} {run.look.busy():.3f}")


def main() -> None:
    """Print all tables."""
    sys.stdout.reconfigure(line_buffering=True)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the ratio of i3d on one video")
    parser.add_argument("--only", choices=("ratio", "flat", "full"), help="one table alone")
    parser.add_argument("--backbone", choices=tuple(GOALS), help="one of them alone")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each video, for the ratio")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long video")
    parser.add_argument("--busy", type=float, default=40.0, help="seconds of video, for the cores")
    parser.add_argument("--data", type=Path, help="folder of real videos (BASNET_TEST_DATA)")
    options = parser.parse_args()
    default = os.environ.get("BASNET_TEST_DATA", ROOT.parent / "shared" / "data")
    folder = options.data or Path(default)
    tables = (options.only,) if options.only else ("ratio", "flat", "full")
    names = (options.backbone,) if options.backbone else tuple(GOALS)
    if options.quick:
        tables, names = ("ratio",), (options.backbone or "i3d",)
    cv2.setNumThreads(cores())
    torch.set_num_threads(cores())
    compiled = cache_folder() / "numba"
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        os.environ["BASNET_CACHE"] = str(made / "cache")
        (made / "cache").mkdir()
        if compiled.is_dir():  # machine code is not part of what is measured
            (made / "cache" / "numba").symlink_to(compiled)
        random_weights()
        print(f"OpenCV {cv2.__version__}, torch {torch.__version__}")
        if "ratio" in tables:
            for each in names:
                ratio(folder, made, each, options.seconds, VIDEOS[: 1 if options.quick else None])
        if "flat" in tables:
            flat(folder / VIDEOS[0], made, options.backbone or "i3d-mini", options.minutes)
        if "full" in tables:
            for each in names:
                full(folder, made, each, options.busy)


if __name__ == "__main__":
    main()
