"""`basnet doctor`: what this installation can do, and what to do about what it cannot."""

import functools
import importlib.metadata
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import click

from basnet_e2e.cli.command import command
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.version import __version__

PACKAGES = (
    *("torch", "torchvision", "pytorchvideo", "decord2", "av", "numpy", "scipy", "numba"),
    *("click", "safetensors"),
)
DEFAULT_NETWORK = "i3d"
DOWNLOAD = "basnet weights download "
SELF_TEST = "self-test"
PER_LINE = 3  # fit into 80 columns
CHECKED = 16  # samples of each kind that a GPU and the CPU compute
OPTIONAL = {
    "ray": "extracts on a cluster: pip install 'basnet-e2e[ray]'",
    "transformers": "has V-JEPA 2, VideoMAE, CLIP: pip install 'basnet-e2e[transformers]'",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``advice`` says what to do if ``ok`` is false."""

    topic: str
    text: str
    ok: bool = True
    advice: str = ""


@command("basnet doctor")
def doctor() -> None:
    """Show versions, devices, decoders, weights and a self-test, and what is missing.

    Exit code 1 if something needed does not work.
    """
    from rich.console import Console

    console = Console(soft_wrap=False, highlight=False)
    broken = False
    missing: list[str] = []
    for name in CHECKS:
        for finding in _findings(name):
            mark = "[green]ok[/]" if finding.ok else "[yellow]--[/]"
            console.print(f"{mark:<4} {finding.topic:<12} {finding.text}", markup=True)
            if finding.advice:
                console.print(f"   {'':<12} {finding.advice}", markup=False)
            needed = name == SELF_TEST or finding.topic == "packages"
            broken = broken or (needed and not finding.ok)
            if finding.advice.startswith(DOWNLOAD):
                missing.append(finding.advice)
    console.print(f"\nnext: {next_step(broken, missing)}", markup=False)
    if broken:
        raise click.exceptions.Exit(1)


def next_step(broken: bool, downloads: Sequence[str]) -> str:
    """The one thing to do after this report.

    Args:
        broken: whether something needed does not work.
        downloads: commands that fetch missing weights.
    """
    if broken:
        return "fix what is marked -- above; 'pip install --force-reinstall basnet-e2e'"
    # The pictures' network is enough to begin with; that of motion makes results better.
    first = [advice for advice in downloads if advice.endswith(" rgb")]
    if first:
        return first[0]
    later = f" (for motion too, first: {downloads[0]})" if downloads else ""
    return f"basnet try video.mp4{later}"


def _findings(name: str) -> Iterator[Finding]:
    """What a check finds; if a package that it needs is absent, that is the finding."""
    try:
        yield from CHECKS[name]()
    except ImportError as error:
        yield Finding(name, f"cannot be checked: {error}", False, "see the packages above")


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
    """Whether torchvision fits torch; pip may install one that does not."""
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
        text = f"{name} {version or 'is not installed'}"
        yield Finding("optional", text, version is not None, "" if version else use)


def _devices() -> Iterator[Finding]:
    import torch

    from extract.inference.torch_runtime import describe
    from extract.machine.devices import choose_device, cores

    yield Finding("cpu", f"{cores()} cores, {torch.get_num_threads()} threads")
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
    """Compare a GPU with the CPU; extraction uses only one that agrees."""
    from extract.flow.registry import flow_method
    from extract.machine.device_check import compare
    from extract.pipeline.device_samples import SAMPLES

    engine = flow_method("tvl1", device=device).engine
    fused = "triton" in engine
    advice = "" if fused else "a C compiler makes flow faster: apt install gcc python3-dev"
    yield Finding("", f"flow by {engine}", fused, advice)
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
    """The default network and all that are here, one by one; the rest are counted."""
    from weights.registry import entries

    others = 0
    for entry in entries():
        state, name = entry.state, f"{entry.name} {entry.stream}"
        if state == "missing" and entry.name != DEFAULT_NETWORK:
            others += 1
            continue
        good = state in ("bundled", "present")
        advice = "" if good else f"{DOWNLOAD}{name}"
        yield Finding("weights", f"{name}: {state}", good, advice)
    if others:
        yield Finding("weights", f"{others} others are not here: basnet weights list")


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
    except Exception as error:  # the report is there to say what fails, whatever it is
        return Finding(topic, f"{type(error).__name__}: {error}", False, "please report this line")
    return Finding(topic, f"{text} ({time.monotonic() - began:.1f} s)")


def _self_test() -> Iterator[Finding]:
    """A few seconds of real work: write, decode, flow, features."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.mp4"
        yield _timed("write video", functools.partial(_write_video, path))
        for decoder in ("decord", "pyav"):
            yield _timed(decoder, functools.partial(_decode, path, decoder))
        yield _timed("flow", _flow)
        yield _timed("features", functools.partial(_features, path))


def _write_video(path: Path) -> str:
    """Two seconds of moving noise at 29.97 fps."""
    import numpy as np

    from basnet_e2e.demo.footage.encode import write_video

    texture = np.random.default_rng(0).integers(0, 255, (96, 192, 3), np.uint8)
    texture = texture.repeat(2, 0).repeat(2, 1)
    pictures = (texture[48:144, shift : shift + 128] for shift in range(60))
    write_video(path, map(np.ascontiguousarray, pictures), Fraction(30000, 1001), (128, 96))
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

    made = Extractor(ExtractSettings(backbone="i3d-mini")).extract(path)
    return f"i3d-mini, {made.matrix().shape[1]} numbers per snippet, {made.facts['runtime']}"


CHECKS: dict[str, Callable[[], Iterator[Finding]]] = {
    **{"packages": _versions, "optional": _optional, "devices": _devices},
    **{"weights": _weights, "cache": _cache, SELF_TEST: _self_test},
}
