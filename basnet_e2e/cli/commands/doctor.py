"""`basnet doctor`: what this installation can do, and what to do about what it cannot."""

import functools
import importlib.metadata
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import message_options
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.version import __version__

PACKAGES = (
    *("torch", "torchvision", "pytorchvideo", "decord2", "av", "numpy", "scipy", "numba"),
    *("click", "safetensors"),
)
DEFAULT_NETWORK = "i3d"
DOWNLOAD = "basnet weights download "
PER_LINE = 3  # fit into 80 columns
CHECKED = 16  # samples of each kind that a GPU and the CPU compute
OPTIONAL = {
    "ray": "extracts on a cluster: pip install 'basnet-e2e[ray]'",
    "transformers": "has V-JEPA 2, VideoMAE, CLIP: pip install 'basnet-e2e[transformers]'",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``advice`` says what to do where ``ok`` is false."""

    topic: str
    text: str
    ok: bool = True
    advice: str = ""


@click.command(cls=SectionedCommand, epilog="Example: basnet doctor")
@message_options
def doctor() -> None:
    """Show versions, devices, decoders, weights and a self-test, and what is missing.

    Exit code 1 if something needed does not work.
    """
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False)
    broken = 0
    missing: list[str] = []
    for look in (_versions, _optional, _devices, _weights, _cache, _self_test):
        for finding in _careful(look):
            mark = "[green]ok[/]" if finding.ok else "[yellow]--[/]"
            console.print(f"{mark:<4} {finding.topic:<12} {finding.text}", markup=True)
            if finding.advice:
                console.print(f"   {'':<12} {finding.advice}", markup=False)
            broken += not finding.ok and (look is _self_test or finding.topic == "packages")
            if look is _weights and finding.advice.startswith(DOWNLOAD):
                missing.append(finding.advice)
    console.print(f"\nnext: {_next(bool(broken), missing)}", markup=False)
    if broken:
        raise click.exceptions.Exit(1)


def _next(broken: bool, missing: Sequence[str]) -> str:
    """The one thing to do after this report."""
    if broken:
        return "mend what is marked -- above; 'pip install --force-reinstall basnet-e2e'"
    # Pictures alone are enough to begin with; motion makes results better.
    first = [advice for advice in missing if advice.endswith(" rgb")]
    if first:
        return first[0]
    later = f" (for motion too, first: {missing[0]})" if missing else ""
    return f"basnet try video.mp4{later}"


def _careful(look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds; where a package it needs is absent, that is the finding."""
    try:
        yield from look()
    except ImportError as error:
        absent = f"cannot be looked at: {error}"
        yield Finding(look.__name__.strip("_"), absent, False, "see the packages above")


def _versions() -> Iterator[Finding]:
    yield Finding("basnet", f"{__version__}, Python {platform.python_version()}, {sys.platform}")
    versions = {name: _version(name) for name in PACKAGES}
    found = [f"{name} {version}" for name, version in versions.items() if version]
    for first in range(0, len(found), PER_LINE):
        yield Finding("packages" if not first else "", ", ".join(found[first : first + PER_LINE]))

    for name, version in versions.items():
        if version is None:
            yield Finding("packages", f"{name} is missing", False, f"pip install {name}")
    if versions["torchvision"]:
        yield from _torchvision()


def _torchvision() -> Iterator[Finding]:
    """What installs beside torch without a word may still be of another build."""
    from weights.errors import WeightsError
    from weights.formats.libraries import import_torchvision

    try:
        import_torchvision()
    except WeightsError as error:
        what, _, advice = str(error).rpartition(": ")
        yield Finding("packages", what, False, advice)


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _optional() -> Iterator[Finding]:
    for name, use in OPTIONAL.items():
        version = _version(name)
        if version:
            yield Finding("optional", f"{name} {version}")
        else:
            yield Finding("optional", f"{name} is not installed", False, use)


def _devices() -> Iterator[Finding]:
    import torch

    from extract.inference.torch_runtime import describe
    from extract.machine.devices import choose_device, cores

    threads = f"{cores()} cores, {torch.get_num_threads()} threads"
    yield Finding("cpu", threads)
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield Finding("cuda", f"cuda:{index} {torch.cuda.get_device_name(index)}")
            yield from _gpu_check(f"cuda:{index}")
    else:
        yield Finding("cuda", "no GPU found: everything runs on the CPU", False)
    yield Finding("networks", f"run on {describe(choose_device(), winograd=False)}, in float32")
    compiler = shutil.which("cc") or shutil.which("gcc")
    yield Finding("compiler", compiler or "none (needed only for fast flow on a GPU)")


def _gpu_check(device: str) -> Iterator[Finding]:
    """What a GPU computes, beside the CPU; extraction uses only one that passes."""
    from extract.flow.registry import flow_method
    from extract.machine.device_check import compare
    from extract.pipeline.device_samples import SAMPLES

    engine = flow_method("tvl1", device=device).engine
    advice = "a C compiler makes flow faster: apt install gcc python3-dev"
    fused = "triton" in engine
    yield Finding("", f"flow by {engine}", fused, "" if fused else advice)
    for sample in SAMPLES:
        found = compare(sample, device, count=CHECKED)
        if not found.agrees:
            advice = "extraction takes the CPU; another driver or build of torch may help"
            yield Finding("", str(found), False, advice)
            continue
        here, cpu = found.speeds
        yield Finding("", str(found))
        yield Finding("", f"{here:.0f} small {sample.items} per second, {cpu:.0f} on the CPU")


def _weights() -> Iterator[Finding]:
    """The default network and whatever else is here; of the rest only the names."""
    from weights.registry import entries

    others = []
    for entry in entries():
        state, name = entry.state, f"{entry.name} {entry.stream}"
        if state == "missing" and entry.name != DEFAULT_NETWORK:
            others.append(name)
            continue
        good = state in ("bundled", "present")
        advice = "" if good else f"{DOWNLOAD}{name}"
        yield Finding("weights", f"{name}: {state}", good, advice)
    if others:
        yield Finding("weights", f"{len(others)} others are not here: basnet weights list")


def _cache() -> Iterator[Finding]:
    """How large the feature cache is, and how to empty it."""
    from extract.jobs.store import FeatureCache, default_folder

    videos, size = FeatureCache().size()
    text = f"features of {counted(videos, 'video')}, {size / 1e6:.1f} MB"
    yield Finding("cache", text, advice=f"to empty it, delete {default_folder()}" if size else "")


def _timed(topic: str, work: Callable[[], str]) -> Finding:
    began = time.monotonic()
    try:
        text = work()
    except Exception as error:  # the report's whole purpose is to say what fails, whatever it is
        return Finding(topic, f"{type(error).__name__}: {error}", False, "please report this line")
    return Finding(topic, f"{text} ({time.monotonic() - began:.1f} s)")


def _self_test() -> Iterator[Finding]:
    """A few seconds of the real work: write, decode, flow, features."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.mp4"
        yield _timed("write video", functools.partial(_write_video, path))
        for decoder in ("decord", "pyav"):
            yield _timed(decoder, functools.partial(_decode, path, decoder))
        yield _timed("flow", _flow)
        yield _timed("features", functools.partial(_features, path))


def _write_video(path: Path) -> str:
    """Two seconds of moving noise at 29.97 fps."""
    from fractions import Fraction

    import av
    import numpy as np

    texture = np.random.default_rng(0).integers(0, 255, (96, 192, 3), np.uint8)
    texture = texture.repeat(2, 0).repeat(2, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("h264", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for shift in range(60):
            picture = np.ascontiguousarray(texture[48:144, shift : shift + 128])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return "60 frames, h264"


def _decode(path: Path, decoder: str) -> str:
    from extract.video.isolation.isolated_clip import open_isolated

    with open_isolated(path, decoder=decoder) as clip:
        count = sum(1 for _ in clip.frames(25))
    if count != 51:  # 60 frames at 30000/1001 fps last 2.002 s, which 51 grid frames begin within
        raise RuntimeError(f"{count} frames on the 25 fps grid instead of 51")
    return f"{count} frames on the 25 fps grid"


def _flow() -> str:
    """A texture moved by one pixel should give a flow of one pixel."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    from extract.flow.registry import flow_method

    noise = gaussian_filter(np.random.default_rng(0).normal(size=(96, 129)), 2)
    picture = (127 + 60 * noise / np.abs(noise).max()).astype(np.uint8)
    method = flow_method("tvl1", device="auto")
    frames = np.stack([picture[:, 1:], picture[:, :-1]])
    field = method.compute(frames, np.repeat(frames[..., None], 3, axis=3))[0]
    error = float(np.abs(np.median(field[0]) - 1))
    if error > 0.1:
        raise RuntimeError(f"a motion of 1 px was measured {error:.2f} px wrong")
    return f"{method.engine}, a motion of 1 px within {max(error, 0.01):.2f} px"


def _features(path: Path) -> str:
    from extract.pipeline.extractor import Extractor, ExtractSettings

    extractor = Extractor(ExtractSettings(backbone="i3d-mini"))
    features = extractor.extract(path)
    return (
        f"i3d-mini, {features.matrix().shape[1]} numbers per snippet, {features.facts['runtime']}"
    )
