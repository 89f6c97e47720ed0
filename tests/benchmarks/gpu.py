"""From frames to features on a GPU: every figure beside its prediction.

Run on any machine with a GPU, with nothing else on it; one command, less than five minutes:

    python tests/benchmarks/gpu.py [VIDEO] [--device cuda:1] [--raft-small WEIGHTS]

It keeps what it measured in ``gpu.json`` beside it, and writes the tables of ``README.md``. Without
a GPU it shows what is predicted. ``--predict`` counts that again (`_gpu_prediction`).

Without a video it makes one of 720p. Weights are random where only time is measured. Stages are
measured alone, one after the other in each round, with the GPU idle before and after each; their
shares are of the sum. In the whole they overlap.
"""

import argparse
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "benchmarks")]

import _gpu_prediction as prediction  # noqa: E402  (found by the path above, as are the next)
import _gpu_tables as tables  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

import extract  # noqa: E402
from extract.backbones.registry import BACKBONES  # noqa: E402
from extract.backbones.spec import BackboneSpec  # noqa: E402
from extract.errors import ExtractError  # noqa: E402
from extract.flow.raft import raft_tensors  # noqa: E402
from extract.flow.tvl1.method import TVL1Flow  # noqa: E402
from extract.flow.tvl1.torch_engine import Execution, plain_level  # noqa: E402
from extract.inference.backbone import Backbone  # noqa: E402
from extract.inference.batching import GPU_BATCH  # noqa: E402
from extract.inference.precision import PRECISIONS, check_precision  # noqa: E402
from extract.machine.devices import choose_device, exact_float32  # noqa: E402
from extract.pipeline.extractor import Extractor  # noqa: E402
from extract.pipeline.frame_steps import FrameSteps  # noqa: E402
from extract.pipeline.settings import ExtractSettings  # noqa: E402
from extract.pipeline.transfer import chunk_length, transfer_with  # noqa: E402
from extract.preprocessing import torch_ops as on_device  # noqa: E402
from extract.streams import CHANNELS, STREAMS  # noqa: E402
from extract.video.clip import open_video  # noqa: E402

Work = Callable[[], Any]


class RandomBackbone(Backbone):
    """A backbone whose networks have random weights that keep activations in a normal range."""

    def __init__(self, spec: BackboneSpec, device: str, precision: str = "float32") -> None:
        super().__init__(spec, STREAMS, choose_device(device), precision=precision)

    def network(self, stream: str) -> nn.Module:
        """The plain module of a stream, the same each time."""
        torch.manual_seed(len(stream))
        network = self.spec.build(stream, 400)
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight)
        return network.eval().requires_grad_(False)

    def weights_hashes(self, streams: Sequence[str] | None = None) -> dict[str, str]:
        """None that could be mistaken for those of real weights."""
        return dict.fromkeys(streams or self.streams, "random")


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


@dataclass
class Report:
    """Figures that are printed, each beside its prediction, and collected.

    Attributes:
        predicted: figures by name; none of a GPU that has no data sheet here.
        measured: figures by name.
    """

    predicted: dict[str, float]
    measured: dict[str, float] = field(default_factory=dict)

    def section(self, title: str) -> None:
        """Begin a table."""
        print(f"\n{title}\n  {'':34} {'measured':>10} {'predicted':>10}")

    def tell(self, name: str, value: float, note: str = "") -> None:
        """One figure."""
        self.measured[name] = value
        expected = self.predicted.get(name)
        told = "-" if expected is None else f"{expected:.4g}"
        print(f"  {name:34} {value:>10.4g} {told:>10}  {note}".rstrip(), flush=True)


def frames_of(path: Path, count: int) -> list[np.ndarray]:
    """The first grid frames of a video."""
    with open_video(path) as clip:
        return [frame for _, (_, frame) in zip(range(count), clip.frames(), strict=False)]


def chunks(frames: list[np.ndarray]) -> Iterator[list[np.ndarray]]:
    length = chunk_length(frames[0])
    for first in range(0, len(frames), length):
        yield frames[first : first + length]


def stages(
    bench: Bench, report: Report, path: Path, frames: list[np.ndarray], backbone: RandomBackbone
) -> None:
    """Frames per second of each stage alone, and its share of the sum."""
    spec, length = backbone.spec, backbone.spec.length
    transfer = transfer_with(torch.device(bench.device))
    work = FrameSteps(backbone, TVL1Flow(spec.flow_overrides, bench.device), "uint8")
    there = torch.cat([transfer.up(chunk) for chunk in chunks(frames)])
    made = list(on_device.resize_short_side(there, spec.frame_side).unbind())
    fields = work.fields(made)
    rows = [list(range(n, n + length)) for n in range(0, len(frames) - length, length)]
    by_number = dict(enumerate(made)), dict(enumerate(fields))
    found = bench.seconds(
        {
            "decode": lambda: frames_of(path, len(frames)),
            "upload": lambda: [transfer.up(chunk) for chunk in chunks(frames)],
            "resize": lambda: on_device.resize_short_side(there, spec.frame_side),
            "flow (TV-L1)": lambda: work.fields(made),
            "rgb network": lambda: work.rgb(by_number[0], rows)(),
            "flow network": lambda: work.flow(by_number[1], rows)(),
        }
    )
    height, width = made[0].shape[:2]
    expected = report.predicted
    if expected:
        wider = height * width / np.prod(prediction.SIZE)
        expected["flow (TV-L1) frames/s"] = expected["TV-L1 pairs/s"] / wider
        for stream in spec.streams:
            rate = expected[f"I3D {stream} float32 snippets/s"] * length
            expected[f"{stream} network frames/s"] = rate
        # The networks and flow share the GPU; decoding runs beside it.
        busy = sum(1 / rate for name, rate in expected.items() if name.endswith(" frames/s"))
        slowest = max(busy, found["decode"] / len(frames))
        expected["whole x real time"] = 1 / slowest / float(spec.fps)
    size = "x".join(map(str, frames[0].shape[1::-1]))
    report.section(f"stages alone, {len(frames)} frames of {size}, {len(rows)} snippets")
    total = sum(found.values())
    for name, seconds in found.items():
        share = f"{seconds / total:.1%} of the sum"
        report.tell(f"{name} frames/s", len(frames) / seconds, share)


def flows(bench: Bench, report: Report, frames: list[np.ndarray], spec: BackboneSpec) -> None:
    """TV-L1 by the fused kernels and by plain torch, beside torchvision's RAFT."""
    from torchvision.models.optical_flow import raft_large, raft_small

    place = torch.device(bench.device)
    uploaded = torch.from_numpy(np.stack(frames)).to(place)
    rgb = on_device.resize_short_side(uploaded, spec.frame_side)[:, :, : prediction.SIZE[1]]
    grey = on_device.grey(rgb)
    works: dict[str, Work] = {}
    for name, how in (
        ("TV-L1", None),
        ("TV-L1 plain torch", Execution(solver=plain_level)),
        ("TV-L1 all steps", Execution(early=False)),
    ):
        flow = TVL1Flow(spec.flow_overrides, bench.device)
        flow.execution = how
        works[name] = functools.partial(flow.compute_on_device, grey, rgb)
    for name, make in (("RAFT-small", raft_small), ("RAFT", raft_large)):
        network = make(weights=None).eval().requires_grad_(False).to(place)
        works[name] = functools.partial(raft_tensors, network, rgb)
    found = bench.seconds(works)
    pairs, (height, width) = len(frames) - 1, rgb.shape[1:3]
    report.section(f"flow alone, {pairs} pairs of {width}x{height}")
    for name, seconds in found.items():
        ratio = f"{found['RAFT-small'] / seconds:.2f} times RAFT-small's speed"
        report.tell(f"{name} pairs/s", pairs / seconds, ratio)


def errors(device: str, report: Report, raft_small: Path) -> None:
    """End-point errors on known motion, and how far the device's TV-L1 is from the CPU's."""
    from flow_reference import MOTIONS, length, moved_pair
    from torchvision.models.optical_flow import raft_small as make

    network = None
    if raft_small.exists():
        network = make(weights=None).eval().to(device)
        network.load_state_dict(torch.load(raft_small, weights_only=True))
    apart, ours, theirs = [], [], []
    for motion in MOTIONS:
        frames, truth = moved_pair(motion)
        found, expected = (extract.tvl1(frames, device=place)[0] for place in (device, "cpu"))
        apart.append(np.abs(found - expected).max())
        ours.append(length(found - truth).mean())
        if network is not None:
            rgb = torch.from_numpy(np.repeat(frames[..., None], 3, axis=3)).to(device)
            flow = raft_tensors(network, rgb)[0].cpu().numpy()
            theirs.append(length(flow - truth).mean())
    report.section(f"error on {len(MOTIONS)} known motions of 256x192")
    report.predicted["TV-L1 largest px from the CPU"] = 0
    report.tell("TV-L1 largest px from the CPU", float(np.max(apart)))
    report.tell("TV-L1 mean px", float(np.mean(ours)))
    if theirs:
        report.tell("RAFT-small mean px", float(np.mean(theirs)))
    else:
        print(f"  RAFT-small: no weights in {raft_small}")


def networks(bench: Bench, report: Report, backbone: RandomBackbone, count: int) -> None:
    """Each network beside the plain module, and in each precision that the device has."""
    spec = backbone.spec
    random = torch.Generator().manual_seed(0)
    report.section(f"networks, {count} snippets")
    for stream in spec.streams:
        shape = (count, CHANNELS[stream], spec.length, spec.crop, spec.crop)
        clips = (torch.rand(shape, generator=random) * 2 - 1).to(bench.device)
        plain = backbone.network(stream).to(bench.device)

        def one_by_one(plain: Any = plain, clips: torch.Tensor = clips) -> torch.Tensor:
            with torch.inference_mode(), exact_float32():
                return torch.cat([plain.features(clip[None]) for clip in clips])

        runs: dict[str, Work] = {"plain, one at a time": one_by_one}
        for precision in PRECISIONS:
            try:
                check_precision(precision, bench.device)
            except ExtractError as error:
                print(f"  {stream}: {error}")
                continue
            own = RandomBackbone(spec, bench.device, precision)
            runs[precision] = functools.partial(getattr(own, stream), clips)
        found = bench.seconds(runs)
        exact = one_by_one()
        for name, seconds in found.items():
            apart = float((runs[name]() - exact).abs().max() / exact.abs().max())
            told = f"off by {apart:.1e} of the largest value"
            report.tell(f"I3D {stream} {name} snippets/s", count / seconds, told)


def neighbours(device: str, backbone: RandomBackbone, count: int) -> bool:
    """Whether a snippet's feature is the same in every place of a batch, whatever is beside it."""
    spec = backbone.spec
    random = torch.Generator().manual_seed(1)
    equal = True
    for stream in spec.streams:
        shape = (count, CHANNELS[stream], spec.length, spec.crop, spec.crop)
        clips = (torch.rand(shape, generator=random) * 2 - 1).to(device)
        run = getattr(backbone, stream)
        alone = run(clips[:1])[0]
        for place in range(0, count, 3):
            moved = clips.roll(place, 0)
            equal = equal and bool(torch.equal(run(moved)[place], alone))
    print(f"\na snippet's feature in other places of a batch: {'equal' if equal else 'NOT equal'}")
    return equal


def whole(bench: Bench, report: Report, path: Path, spec: BackboneSpec) -> None:
    """A video from file to features of both streams."""
    backbone = RandomBackbone(spec, bench.device)
    backbone.load(STREAMS)
    with open_video(path) as clip:
        duration = float(clip.duration)
    extractor = Extractor(ExtractSettings(spec.name), device=bench.device, backbone=backbone)
    seconds = bench.seconds({"whole": lambda: extractor.extract(path)})["whole"]
    report.section(f"the whole, {duration:.1f} s of video, both streams")
    report.tell("whole x real time", duration / seconds)


def pictures_agree(device: str, frames: list[np.ndarray], backbone: RandomBackbone) -> bool:
    """Whether the device makes the very pictures that the CPU makes."""
    side = backbone.spec.frame_side
    stacked = torch.from_numpy(np.stack(frames[:5]))
    one, other = (on_device.resize_short_side(stacked.to(on), side).cpu() for on in ("cpu", device))
    equal = torch.equal(one, other) and torch.equal(on_device.grey(one), on_device.grey(other))
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
    parser.add_argument("video", nargs="?", type=Path, help="default: one that is made")
    parser.add_argument("--device", default="cuda", help="cuda or cuda:N")
    parser.add_argument("--backbone", default="i3d", choices=["i3d", "i3d-mini"])
    parser.add_argument("--predict", action="store_true", help="count the predictions again")
    hub = Path(torch.hub.get_dir(), "checkpoints", "raft_small_C_T_V2-01064c6d.pth")
    parser.add_argument("--raft-small", type=Path, default=hub, help="torchvision's weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=16 * GPU_BATCH + 1, help=argparse.SUPPRESS)
    parser.add_argument("--clips", type=int, default=GPU_BATCH, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=prediction.BATCH, help=argparse.SUPPRESS)
    options = parser.parse_args()
    on_cpu = options.device == "cpu"  # for the test of this program alone
    kept = prediction.load()
    if options.predict:
        videos = os.environ.get("BASNET_TEST_DATA", ROOT.parent / "shared" / "data")
        prediction.count_again(kept, Path(videos))
        prediction.save(kept)
        tables.write(kept)
    if not on_cpu and not torch.cuda.is_available():
        print("no GPU here: torch finds none, nothing was measured")
        print(tables.predictions(kept))
        return
    name = "processor" if on_cpu else torch.cuda.get_device_name(options.device)
    print(f"{name}, torch {torch.__version__}")
    known = [gpu for gpu in prediction.GPUS if gpu in name and options.backbone == "i3d"]
    report = Report(dict(kept["predicted"][known[0]]) if known else {})
    bench, spec = Bench(options.device, options.rounds), BACKBONES[options.backbone]
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or made_video(Path(folder), seconds=60)
        frames = frames_of(path, options.frames)
        backbone = RandomBackbone(spec, options.device)
        right = pictures_agree(options.device, frames, backbone)
        stages(bench, report, path, frames, backbone)
        flows(bench, report, frames[: 1 + options.pairs], spec)
        if not on_cpu:
            errors(options.device, report, options.raft_small)
        networks(bench, report, backbone, options.clips)
        right = neighbours(options.device, backbone, options.clips) and right
        whole(bench, report, path, spec)
    if not on_cpu:
        kept.setdefault("measured", {})[name] = report.measured
        prediction.save(kept)
        tables.write(kept)
    if not right:
        raise SystemExit("what must be equal is not")


if __name__ == "__main__":
    main()
