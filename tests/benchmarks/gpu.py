"""From frames to features on a GPU: each part alone, the whole, and what it is held against.

Run on any machine with a GPU, with nothing else on it; one command, some minutes:

    python tests/benchmarks/gpu.py [VIDEO] [--device cuda:1] [--backbone i3d-mini]

Without a GPU it says so and ends. Without a video it makes one of 720p. Weights are random where
only time is measured. Parts are measured alone, one after the other in each round, with the GPU
idle before and after each; their shares are of the sum. In the whole they overlap.
"""

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402  (found by the path above, as are the next)
import torch  # noqa: E402
from torch import nn  # noqa: E402

from extract.backbones.registry import BACKBONES  # noqa: E402
from extract.backbones.spec import BackboneRecord  # noqa: E402
from extract.errors import ExtractError  # noqa: E402
from extract.flow.raft import raft_tensors  # noqa: E402
from extract.flow.tvl1.method import TVL1Flow  # noqa: E402
from extract.flow.tvl1.torch_engine import Execution  # noqa: E402
from extract.inference.backbone import Backbone  # noqa: E402
from extract.inference.batching import GPU_BATCH  # noqa: E402
from extract.inference.precision import PRECISIONS, check_precision  # noqa: E402
from extract.inference.runtimes import choose_runtime, make_runtime  # noqa: E402
from extract.machine.devices import exact_float32  # noqa: E402
from extract.pipeline.device_steps import DeviceSteps  # noqa: E402
from extract.pipeline.extractor import Extractor  # noqa: E402
from extract.pipeline.frame_steps import ArraySteps  # noqa: E402
from extract.pipeline.settings import ExtractSettings  # noqa: E402
from extract.pipeline.transfer import chunk_length, transfer_with  # noqa: E402
from extract.preprocessing import torch_ops as on_device  # noqa: E402
from extract.streams import CHANNELS, STREAMS  # noqa: E402
from extract.video.clip import open_video  # noqa: E402

Work = Callable[[], Any]


class RandomBackbone(Backbone):
    """A backbone whose networks have random weights that keep activations in a normal range."""

    def __init__(self, record: BackboneRecord, device: str, precision: str = "float32") -> None:
        choice = choose_runtime("torch", device)
        prepare = functools.partial(make_runtime, choice=choice, precision=precision)
        super().__init__(record, STREAMS, prepare, choice, precision)

    def network(self, stream: str) -> nn.Module:
        """The plain module of a stream, the same each time."""
        torch.manual_seed(len(stream))
        network = self.record.build(stream, 400)
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)
        return network.eval().requires_grad_(False)

    def weights_hashes(self, streams: Sequence[str] | None = None) -> dict[str, str]:
        """None that could be mistaken for those of real weights."""
        return dict.fromkeys(streams or self.streams, "random")

    def _load(self, stream: str) -> None:
        side = self.record.crop
        shape = (CHANNELS[stream], self.record.length, side, side)
        self._runtimes[stream] = self._prepare(self.network(stream), shape)


@dataclass(frozen=True)
class Bench:
    """How times are taken.

    Attributes:
        device: what is measured.
        rounds: times that each work is done; the median counts.
    """

    device: str
    rounds: int

    def seconds(self, works: dict[str, Work]) -> dict[str, float]:
        """Median seconds of each work, done in turn, after one round to warm up."""
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(self.rounds + 1):
            for name, work in works.items():
                self._wait()
                began = time.perf_counter()
                work()
                self._wait()
                if number:
                    times[name].append(time.perf_counter() - began)
        return {name: statistics.median(found) for name, found in times.items()}

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)


def frames_of(path: Path, count: int) -> list[np.ndarray]:
    """The first grid frames of a video."""
    with open_video(path) as clip:
        return [frame for _, (_, frame) in zip(range(count), clip.frames(), strict=False)]


def decode(path: Path, count: int) -> None:
    for _ in frames_of(path, count):
        pass


def chunks(frames: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    length = chunk_length(frames[0])
    for first in range(0, len(frames), length):
        yield frames[first : first + length]


def parts(bench: Bench, path: Path, frames: list[np.ndarray], backbone: RandomBackbone) -> None:
    """Frames a second of each part alone, and its share of the sum."""
    record, length = backbone.record, backbone.record.length
    place = torch.device(bench.device)
    transfer = transfer_with(place)
    flow = TVL1Flow(record.flow_overrides, bench.device)
    work = DeviceSteps(backbone, flow, "uint8")
    there = torch.cat([transfer.up(chunk) for chunk in chunks(frames)])
    made = list(on_device.resize_short_side(there, record.frame_side).unbind())
    fields = work.fields(made)
    rows = [list(range(n, n + length)) for n in range(0, len(frames) - length, length)]
    by_number = dict(enumerate(made)), dict(enumerate(fields))

    found = bench.seconds(
        {
            "decode": lambda: decode(path, len(frames)),
            "upload": lambda: [transfer.up(chunk) for chunk in chunks(frames)],
            "resize": lambda: on_device.resize_short_side(there, record.frame_side),
            "flow (TV-L1)": lambda: work.fields(made),
            "rgb network": lambda: work.rgb(by_number[0], rows)(),
            "flow network": lambda: work.flow(by_number[1], rows)(),
        }
    )
    height, width = frames[0].shape[:2]
    total = sum(found.values())
    print(f"\nparts alone, {len(frames)} frames of {width}x{height}, {len(rows)} snippets")
    print(f"  {'':14} frames a second   share of the sum")
    for name, seconds in found.items():
        print(f"  {name:14} {len(frames) / seconds:15.0f}   {seconds / total:16.1%}")
    print(f"  {'one by one':14} {len(frames) / total:15.0f}")


def flows(bench: Bench, frames: list[np.ndarray], record: BackboneRecord) -> None:
    """TV-L1 as it runs and as it might, beside torchvision's RAFT on the same pictures."""
    from torchvision.models.optical_flow import raft_large

    place = torch.device(bench.device)
    uploaded = torch.from_numpy(np.stack(frames)).to(place)
    rgb = on_device.resize_short_side(uploaded, record.frame_side)
    grey = on_device.grey(rgb)
    ways = {
        "TV-L1": None,
        "TV-L1, not compiled": Execution(compiled=False),
        "TV-L1, all steps": Execution(early=False),
        "TV-L1, 32 pairs at once": Execution(batch=32),
    }
    works: dict[str, Work] = {}
    for name, how in ways.items():
        flow = TVL1Flow(record.flow_overrides, bench.device)
        flow.how = how
        works[name] = functools.partial(flow.compute_there, grey, rgb)
    network = raft_large(weights=None).eval().requires_grad_(False).to(place)
    works["RAFT, as --flow raft"] = lambda: raft_tensors(network, rgb)
    works["RAFT, a pair at a time"] = lambda: raft_tensors(network, rgb, batch=1)
    found = bench.seconds(works)
    pairs, (height, width) = len(frames) - 1, rgb.shape[1:3]
    print(f"\nflow alone, {pairs} pairs of {width}x{height}")
    for name, seconds in found.items():
        ratio = found["RAFT, as --flow raft"] / seconds
        print(f"  {name:24} {pairs / seconds:8.1f} pairs a second, {ratio:6.2f} times RAFT's speed")


def networks(bench: Bench, backbone: RandomBackbone, count: int) -> None:
    """Each network beside the plain module, and in each precision that the device has."""
    record = backbone.record
    random = torch.Generator().manual_seed(0)
    print(f"\nnetworks, {count} snippets")
    for stream in record.streams:
        shape = (count, CHANNELS[stream], record.length, record.crop, record.crop)
        clips = (torch.rand(shape, generator=random) * 2 - 1).to(bench.device)
        plain = backbone.network(stream).to(bench.device)

        def one_by_one(plain: Any = plain, clips: torch.Tensor = clips) -> torch.Tensor:
            with torch.inference_mode(), exact_float32():
                return torch.cat([plain.features(clip[None]) for clip in clips])

        runs: dict[str, Work] = {"plain module, one at a time": one_by_one}
        for precision in PRECISIONS:
            try:
                check_precision(precision, bench.device)
            except ExtractError as error:
                print(f"  {stream}: {error}")
                continue
            own = RandomBackbone(record, bench.device, precision)
            runs[precision] = functools.partial(getattr(own, stream), clips)
        found = bench.seconds(runs)
        exact = one_by_one()
        for name, seconds in found.items():
            apart = float((runs[name]() - exact).abs().max() / exact.abs().max())
            ratio = found["plain module, one at a time"] / seconds
            print(f"  {stream:5} {name:28} {count / seconds:8.1f} snippets a second, ", end="")
            print(f"{ratio:5.2f} times, off by {apart:.1e} of the largest value")


def neighbours(device: str, backbone: RandomBackbone, count: int) -> bool:
    """Whether a snippet's feature is the same in every place of a batch, whatever is beside it."""
    record = backbone.record
    random = torch.Generator().manual_seed(1)
    equal = True
    for stream in record.streams:
        shape = (count, CHANNELS[stream], record.length, record.crop, record.crop)
        clips = (torch.rand(shape, generator=random) * 2 - 1).to(device)
        run = getattr(backbone, stream)
        alone = run(clips[:1])[0]
        for place in range(0, count, 3):
            moved = clips.roll(place, 0)
            equal = equal and bool(torch.equal(run(moved)[place], alone))
    print(f"\na snippet's feature in other places of a batch: {'equal' if equal else 'NOT equal'}")
    return equal


def whole(bench: Bench, path: Path, record: BackboneRecord) -> None:
    """A video from file to features, on tensors and on arrays that go up and down each time."""
    backbone = RandomBackbone(record, bench.device)
    backbone.load(STREAMS)
    with open_video(path) as clip:
        duration, count = clip.duration, clip.frame_count(record.fps)
    extractors = {
        ("tensors of the device" if tensors else "arrays, up and down"): Extractor(
            ExtractSettings(record.name), device=bench.device, backbone=backbone, tensors=tensors
        )
        for tensors in (True, False)
    }
    runs = {name: functools.partial(one.extract, path) for name, one in extractors.items()}
    found = bench.seconds(runs)
    print(f"\nthe whole, {duration:.1f} s of video, both streams")
    for name, seconds in found.items():
        print(f"  {name:24} {count / seconds:8.1f} frames a second, ", end="")
        print(f"{seconds / duration:.3f} s a second of video")
    made = [run() for run in runs.values()]
    for stream in STREAMS:
        one, other = (getattr(features, stream) for features in made)
        print(f"  {stream}: off by {np.abs(one - other).max() / np.abs(other).max():.1e}")


def pictures_agree(frames: list[np.ndarray], backbone: RandomBackbone) -> bool:
    """Whether the device makes the very pictures that numpy makes."""
    ways = (way(backbone, None, "uint8") for way in (ArraySteps, DeviceSteps))
    one, other = (list(way.pictures(frames[:5])) for way in ways)
    equal = all(np.array_equal(a, b.cpu().numpy()) for a, b in zip(one, other, strict=True))
    print(f"pictures made on the device: {'equal' if equal else 'NOT equal'}")
    return equal


def made_video(folder: Path, seconds: int) -> Path:
    """A moving pattern of 720p."""
    import av

    path = folder / "made.mp4"
    y, x = np.mgrid[:720, :1280].astype(np.float32)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for n in range(25 * seconds):
            grey = 127 + 60 * np.sin(0.05 * (x - 3 * n)) + 50 * np.cos(0.04 * (y + 2 * n))
            picture = np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return path


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", nargs="?", type=Path, help="made where none is given")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N")
    parser.add_argument("--backbone", default="i3d", choices=["i3d", "i3d-mini"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=16 * GPU_BATCH + 1, help=argparse.SUPPRESS)
    parser.add_argument("--clips", type=int, default=GPU_BATCH, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=64, help=argparse.SUPPRESS)
    options = parser.parse_args()
    on_cpu = options.device == "cpu"  # for the test of this program alone
    if not on_cpu and not torch.cuda.is_available():
        print("no GPU here: torch finds none, nothing was measured")
        return
    name = "processor" if on_cpu else torch.cuda.get_device_name(options.device)
    print(f"{name}, torch {torch.__version__}")
    bench, record = Bench(options.device, options.rounds), BACKBONES[options.backbone]
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or made_video(Path(folder), seconds=60)
        frames = frames_of(path, options.frames)
        backbone = RandomBackbone(record, options.device)
        right = pictures_agree(frames, backbone)
        parts(bench, path, frames, backbone)
        flows(bench, frames[: 1 + options.pairs], record)
        networks(bench, backbone, options.clips)
        right = neighbours(options.device, backbone, options.clips) and right
        whole(bench, path, record)
    if not right:
        raise SystemExit("what must be equal is not")


if __name__ == "__main__":
    main()
