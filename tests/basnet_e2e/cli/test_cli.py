"""The command line as a user meets it: results, one-line errors, exit codes, nothing lost."""

import io
import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from rich.live import Live

from basnet_e2e.cli import COMMANDS, basnet, main
from basnet_e2e.cli.messages import set_up_messages
from basnet_e2e.demo.footage.encode import write_video
from extract.features.feature_file import Features

MINI = ("--backbone", "i3d-mini", "-q")


def moving_noise(seed, frames):
    texture = np.random.default_rng(seed).integers(0, 255, (24, 60, 3), np.uint8)
    texture = texture.repeat(4, 0).repeat(4, 1)
    return (texture[:, shift % 100 : shift % 100 + 128] for shift in range(frames))


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Six short videos, two of three labels each."""
    folder = tmp_path_factory.mktemp("videos")
    for index in range(6):
        write_video(folder / f"v{index}.mp4", moving_noise(index % 3, 64), 25, (128, 96))
    return folder


@pytest.fixture(scope="module")
def labels(videos):
    path = videos.parent / f"{videos.name}-labels.csv"
    rows = [f"v{index},{['left', 'right'][index % 2]}" for index in range(5)]
    path.write_text("\n".join(["video,labels", *rows, "v5,"]) + "\n")
    return path


@pytest.fixture(scope="module")
def features(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    with pytest.raises(SystemExit) as ended:
        main(["extract", str(videos), "-o", str(folder), *MINI])
    assert ended.value.code == 0
    return folder


@pytest.fixture(scope="module")
def model(features, labels, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    command = ["train", features, "--labels", labels, "-o", path, "--preset", "small"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, command), "--steps", "3", "-q"])
    assert ended.value.code == 0
    return path


def test_help_imports_no_heavy_package():
    code = (
        "import sys; sys.argv = ['basnet', '--help']\n"
        "from basnet_e2e.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numpy', 'av', 'decord', 'numba', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(name, run):
    code, out, _ = run(name, "--help")
    assert code == 0
    command = basnet.get_command(None, name)
    has_children = hasattr(command, "commands")
    assert "Example: basnet " in out or has_children
    for child in getattr(command, "commands", {}):
        code, out, _ = run(name, child, "--help")
        assert code == 0
        assert f"Example: basnet {name} {child}" in out
    assert all(len(line) <= 80 for line in out.splitlines())


def test_the_whole_way(videos, features, model, run, tmp_path):
    made = Features.load(features / "v0.safetensors")
    assert made.rgb.shape == made.flow.shape == (4, 256)
    assert made.facts["decoder"] == "decord"
    code, out, err = run("localize", videos / "v0.mp4", "-m", model, "--keep", "all", "-q")
    assert (code, err) == (0, [])
    result = json.loads(out)
    assert set(result["classes"]) <= {"left", "right"}
    assert result["video"] == "v0"
    assert result["duration"] == 2.56
    code, printed, _ = run(
        *("localize", videos / "v0.mp4", "-m", model, "--keep", "all"),
        *("-o", tmp_path / "result.json"),
    )
    assert (code, printed) == (0, "")
    assert (tmp_path / "result.json").read_text() == out
    code, from_features, _ = run(
        "localize", features / "v0.safetensors", "-m", model, "--keep", "all", "-q"
    )
    stored, fresh = json.loads(from_features), result
    assert (stored["classes"], stored["intervals"]) == (fresh["classes"], fresh["intervals"])


def test_evaluate_reads_what_localize_wrote(features, model, run, tmp_path):
    found, truth = tmp_path / "found.json", tmp_path / "gt.json"
    code, _, _ = run("localize", features, "-m", model, "--keep", "all", "-o", found, "-q")
    assert code == 0
    annotation = {"label": "left", "segment": [0.0, 2.56]}
    entry = {"subset": "test", "duration": 2.56, "annotations": [annotation]}
    truth.write_text(json.dumps({"database": {"v0": entry}}))
    code, out, _ = run("evaluate", found, "--ground-truth", truth, "--json")
    assert code == 0
    json.loads(out)


def test_jobs_give_the_same_bytes(videos, features, run, tmp_path):
    code, _, _ = run("extract", videos, "-o", tmp_path, "--jobs", 2, *MINI)
    assert code == 0
    one, two = (
        {path.name: Features.load(path) for path in folder.glob("*.safetensors")}
        for folder in (features, tmp_path)
    )
    assert one.keys() == two.keys()
    for name, made in one.items():
        assert made.meta["settings"] == two[name].meta["settings"]
        np.testing.assert_allclose(made.matrix(), two[name].matrix(), rtol=1e-3, atol=1e-4)


def test_a_second_extract_leaves_the_files_alone(videos, features, run):
    before = {path: path.stat().st_mtime_ns for path in features.iterdir()}
    code, _, err = run("extract", videos, "-o", features, "--backbone", "i3d-mini")
    assert code == 0
    assert err == ["6 videos: 0 to do, 6 done before"]
    assert before == {path: path.stat().st_mtime_ns for path in features.iterdir()}


def test_a_broken_video_is_recorded_and_the_rest_is_done(videos, run, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(videos / "v0.mp4", folder / "good.mp4")
    (folder / "text.mp4").write_text("this is not a video\n" * 50)
    (folder / "empty.mp4").write_bytes(b"")
    whole = (videos / "v1.mp4").read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    code, _, err = run("extract", folder, "-o", tmp_path / "out", *MINI)
    assert code == 1
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())["failed"]
    assert [row["video"] for row in failures] == ["cut", "empty", "text"]
    assert (tmp_path / "out" / "good.safetensors").exists()
    for name in ("cut", "empty", "text"):
        assert sum(f"{name}.mp4" in line for line in err) == 1
    assert not any("Traceback" in line for line in err)


def bad_calls(tmp_path, videos, labels, features, model):
    """(arguments, exit code, words of the one line)."""
    out = tmp_path / "out"
    unknown = tmp_path / "unknown.csv"
    unknown.write_text(labels.read_text() + "v99,left\n")
    column = tmp_path / "column.csv"
    column.write_text("video,class\nv0,left\n")
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "text.mp4"
    text.write_text("no video " * 30)
    train = ("train", features, "-o", tmp_path / "m.safetensors", "--labels")
    return {
        "missing file": (("localize", "nowhere.mp4", "-m", model), 2, "nowhere.mp4"),
        "empty folder": (("extract", empty, "-o", out, *MINI), 2, "no video in this folder"),
        "text named mp4": (("localize", text, "-m", model), 1, "text.mp4"),
        "unknown video": ((*train, unknown), 2, "v99"),
        "missing column": ((*train, column), 2, "column.csv"),
        "missing labels": ((*train, tmp_path / "none.csv"), 2, "none.csv"),
        "not a model": (("localize", features, "-m", features / "v0.safetensors"), 2, "model"),
        "missing model": (("localize", features, "-m", "none.safetensors"), 2, "none.safetensors"),
        "no flow weights": (
            ("extract", videos, "-o", out, "--offline", "--streams", "flow"),
            2,
            "--streams rgb",
        ),
        "backbone": (("extract", videos, "-o", out, "--backbone", "i3d-mni"), 2, "i3d-mini"),
        "stream": (("extract", videos, "-o", out, "--streams", "rbg"), 2, "rgb"),
        "option": (("extract", videos, "--output-folder", out), 2, "--output"),
        "command": (("localise", text), 2, "localize"),
        "preset": ((*train, labels, "--preset", "smal"), 2, "small"),
        "recipe": ((*train, labels, "--recipe", "ful"), 2, "full"),
        "device": (("localize", text, "--device", "gpu"), 2, "cuda"),
        "precision": (("extract", videos, "-o", out, "--precision", "half"), 2, "bfloat16"),
        "no such precision here": (
            ("extract", videos, "-o", out, "--precision", "tf32", "--device", "cpu"),
            2,
            "--precision float32",
        ),
        "tiou": (
            ("evaluate", text, "--ground-truth", text, "--tiou", "0:0:0"),
            2,
            "thresholds",
        ),
    }


CASES = (
    *("missing file", "empty folder", "text named mp4", "unknown video", "missing column"),
    *("missing labels", "not a model", "missing model", "no flow weights", "backbone", "stream"),
    *("option", "command", "preset", "recipe", "device", "tiou"),
    *("precision", "no such precision here"),
)


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_gets_one_line(case, run, tmp_path, monkeypatch, videos, labels, features, model):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("BASNET_OFFLINE", raising=False)
    arguments, expected, words = bad_calls(tmp_path, videos, labels, features, model)[case]
    code, out, err = run(*arguments)
    monkeypatch.delenv("BASNET_OFFLINE", raising=False)
    errors = [line for line in err if line.startswith("error: ")]
    assert code == expected, err
    assert out == ""
    assert len(errors) == 1, err
    assert words in errors[0]
    assert not any("Traceback" in line for line in err)


def test_features_of_two_settings_are_refused(videos, features, labels, run, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(features, mixed)
    code, _, err = run("extract", videos / "v0.mp4", "-o", mixed, "--stride", 8, *MINI)
    assert code == 2
    assert "stride" in err[-1]
    other = tmp_path / "other"
    assert run("extract", videos / "v0.mp4", "-o", other, "--stride", 8, *MINI)[0] == 0
    shutil.copy(other / "v0.safetensors", mixed / "v0.safetensors")
    code, _, err = run("train", mixed, "--labels", labels, "-o", tmp_path / "m.safetensors")
    assert code == 2
    assert len(err) == 1
    assert "stride" in err[0]


def test_a_model_of_other_features_is_refused(videos, model, run, tmp_path):
    rgb = tmp_path / "rgb"
    assert run("extract", videos / "v0.mp4", "-o", rgb, "--streams", "rgb", *MINI)[0] == 0
    code, out, err = run("localize", rgb / "v0.safetensors", "-m", model)
    assert (code, out, len(err)) == (2, "", 1)
    array = tmp_path / "array.npy"
    np.save(array, np.zeros((5, 77), np.float32))
    code, out, err = run("localize", array, "-m", model)
    assert (code, out) == (2, "")
    assert "77" in err[-1]


def test_a_dry_run_fetches_nothing(videos, run, tmp_path, monkeypatch):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("weights.registry.download", lambda *args, **how: pytest.fail("fetched"))
    code, out, err = run("extract", videos, "-o", tmp_path / "out", "--flow", "raft", "--dry-run")
    assert code == 0, err
    assert len(out.splitlines()) == 6
    assert sum("not here yet" in line for line in err) == 3
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_what_is_there(videos, features, run):
    code, out, err = run("extract", videos, "-o", features, "--backbone", "i3d-mini", "--dry-run")
    assert (code, out) == (0, "")
    assert err == ["6 videos: 0 to do, 6 done before"]


def test_doctor_names_what_is_missing(run, monkeypatch):
    import importlib.metadata

    from basnet_e2e.cli.commands import doctor

    real = importlib.metadata.version

    def version(name):
        if name == "pytorchvideo":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    def devices():
        raise ImportError("No module named 'torch'")
        yield

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(doctor.CHECKS, "devices", devices)
    monkeypatch.setitem(doctor.CHECKS, doctor.SELF_TEST, lambda: iter(()))
    code, out, err = run("doctor")
    assert (code, err) == (1, [])
    assert "pytorchvideo is missing" in out
    assert "pip install pytorchvideo" in out
    assert "No module named 'torch'" in out


def test_doctor_names_a_torchvision_that_cannot_be_imported(run, monkeypatch):
    from basnet_e2e.cli.commands import doctor

    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(doctor.CHECKS, doctor.SELF_TEST, lambda: iter(()))
    code, out, err = run("doctor")
    assert (code, err) == (1, [])
    assert "torchvision cannot be imported" in out
    assert "pip install --force-reinstall torch torchvision" in out


def test_doctor_shows_what_a_gpu_computes_beside_the_cpu(run, monkeypatch):
    """The GPU is pretended: a work that agrees, one that does not, and no kernels for flow."""
    import numpy as np
    import torch

    from basnet_e2e.cli.commands import doctor
    from extract.machine.device_check import Sample
    from extract.pipeline import device_samples

    def sample(name, wrong):
        def prepare(device):
            value = 1 if device == "cpu" else 1 + wrong
            return lambda count: np.full((count, 3), value)

        difference = lambda a, b: float(np.abs(a - b).max())  # noqa: E731
        return Sample(name, "sums", prepare, difference, 0.1, "px")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Pretended")
    monkeypatch.setattr(device_samples, "SAMPLES", (sample("addition", 0), sample("product", 0.5)))
    monkeypatch.setitem(doctor.CHECKS, doctor.SELF_TEST, lambda: iter(()))
    code, out, _ = run("doctor")
    assert code == 0
    told = [" ".join(line.split()) for line in out.splitlines()]
    at = told.index("ok cuda cuda:0 Pretended")
    assert told[at + 1].startswith("-- flow by torch ")
    assert told[at + 2].endswith("apt install gcc python3-dev")
    assert told[at + 3] == "ok addition differs by 0 px (0.1 allowed)"
    assert told[at + 4].endswith("on the CPU")
    assert told[at + 5] == "-- product differs by 0.5 px (0.1 allowed)"
    assert told[at + 6].startswith("extraction takes the CPU")


@pytest.mark.parametrize(
    ("name", "jobs", "expected"), [("SIGINT", 1, 130), ("SIGTERM", 1, 143), ("SIGTERM", 2, 143)]
)
def test_a_stop_ends_cleanly_and_loses_nothing(videos, tmp_path, name, jobs, expected):
    """A real process, a real signal: what was written stays, a second run does the rest."""
    import signal
    import time

    folder = tmp_path / "many"
    folder.mkdir()
    for index in range(8):
        shutil.copy(videos / f"v{index % 6}.mp4", folder / f"w{index}.mp4")
    command = [sys.executable, "-m", "basnet_e2e", "extract", folder, "-o", tmp_path / "out"]
    process = subprocess.Popen(
        [*map(str, command), "--backbone", "i3d-mini", "--jobs", str(jobs)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 1200
    while not list((tmp_path / "out").glob("w*.safetensors")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=600)
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("w*.safetensors")}
    assert process.returncode == expected or len(done) == 8, err
    assert "Traceback" not in err
    if process.returncode:
        assert err.splitlines()[-1].endswith("run the same command to continue")
    assert not list((tmp_path / "out").glob(".*"))
    with pytest.raises(SystemExit) as ended:
        main(["extract", str(folder), "-o", str(tmp_path / "out"), *MINI])
    assert ended.value.code == 0
    assert len(list((tmp_path / "out").glob("w*.safetensors"))) == 8
    assert all(path.stat().st_mtime_ns == made for path, made in done.items())


def test_messages_appear_above_a_progress_bar(monkeypatch):
    """The bar puts a stand-in in the place of stderr, which a message must not get around."""
    terminal = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stderr", terminal)
    set_up_messages(0, False)
    console = Console(file=terminal, force_terminal=True, width=60)
    with Live("the bar", console=console, auto_refresh=False) as live:
        live.refresh()
        logging.getLogger("basnet_e2e").info("a message")
    written = terminal.buffer.getvalue().decode()
    assert "the bara message" not in written.replace("\x1b[2K", "")
    assert "a message\n" in written.replace("\r", "")
