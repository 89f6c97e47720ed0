"""What commands import: torch and numba take seconds, so what needs neither starts without."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from basnet_e2e.interchange.writers import write_results
from basnet_e2e.intervals import Interval, Localization
from extract.features.feature_file import Features

ROOT = Path(__file__).resolve().parents[3]


def imported(*arguments):
    """Modules in a process after it ran a command that succeeded."""
    program = (
        "import sys\n"
        "from basnet_e2e.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(ast.literal_eval(done.stderr.strip().splitlines()[-1]))


@pytest.fixture
def files(tmp_path):
    """One small file of each kind."""
    truth = {"a": {"subset": "test", "duration": 10, "annotations": []}}
    truth["a"]["annotations"].append({"label": "run", "segment": [1, 3]})
    (tmp_path / "gt.json").write_text(json.dumps({"database": truth}))
    found = Localization("a", "a.mp4", 10, "m", {"run": 0.9}, [Interval("run", 1, 3, 0.9)])
    write_results(tmp_path / "result.json", [found])
    rows = np.ones((3, 4), np.float32)
    settings = {"format": 1, "fps": "25", "length": 16, "stride": 16, "backbone": "i3d-mini"}
    settings |= {"streams": ["rgb"], "weights": {}, "flow": None, "quantize": None}
    meta = {"settings": settings, "facts": {"file": "a.mp4", "duration": 3.0}}
    (tmp_path / "features").mkdir()
    Features(rows, None, np.arange(3.0), np.arange(3.0) + 1, meta).save(
        tmp_path / "features" / "a.safetensors"
    )
    shutil.copy(tmp_path / "features" / "a.safetensors", tmp_path / "features" / "b.safetensors")
    (tmp_path / "labels.csv").write_text("video,labels\na,run\nb,\n")
    chosen = preset("small", recipe="base", hidden=8, filter_hidden=4, segments=16)
    net = build(Shape(4, 1), chosen)
    save_model(
        HeadModel(net, ("run",), chosen, Shape(4, 1), settings, {}), tmp_path / "model.safetensors"
    )
    return tmp_path


WITHOUT_TORCH = [
    "evaluate {}/result.json --ground-truth {}/gt.json --bootstrap 10",
    "export features {}/features -o {}/arrays",
    "export intervals {}/result.json --format csv -o {}/result.csv",
    "labels {}/features --check {}/labels.csv",
    "inspect {}/model.safetensors",
    "inspect {}/features/a.safetensors",
    "inspect {}/result.json",
    "report {}/result.json -o {}/page.html",
    "weights list",
    "weights list i3d",
]


@pytest.mark.parametrize("line", WITHOUT_TORCH)
def test_no_torch(files, line):
    loaded = imported(*(part.replace("{}", str(files)) for part in line.split()))
    assert loaded & {"torch", "numba", "decord"} == set()


def test_a_short_clip_goes_without_numba(tmp_path):
    video = tmp_path / "short.mp4"
    with av.open(str(video), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 72, "yuv420p"
        for level in range(3):
            picture = np.full((72, 96, 3), 60 * level, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    command = ("extract", video, "--backbone", "i3d-mini", "--streams", "rgb", "-o", tmp_path / "f")
    loaded = imported(*command, "--offline", "-q")
    assert "torch" in loaded
    assert "numba" not in loaded
