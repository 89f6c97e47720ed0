"""`basnet inspect`: what a file is, in words and as JSON."""

import json
from pathlib import Path

import numpy as np

from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from basnet_e2e.interchange.writers import format_results
from basnet_e2e.intervals import Failure, Interval, Localization
from extract.features.feature_file import Features
from weights.manifest import HERE

SETTINGS = {
    **{"format": 1, "fps": "25", "length": 16, "stride": 8, "backbone": "i3d-mini"},
    **{"streams": ["rgb", "flow"], "weights": {}, "flow": {"method": "tvl1"}, "quantize": "uint8"},
}


def test_a_model(run, tmp_path):
    chosen = preset("small", recipe="base", hidden=8, filter_hidden=4, segments=16)
    net = build(Shape(5, 2), chosen)
    training = {
        "videos": 7,
        "unlabelled": 1,
        "steps": 30,
        "seed": 3,
        "loss": 0.12345,
        "times": ["a", "b"],
    }
    path = tmp_path / "m.safetensors"
    save_model(HeadModel(net, ("run", "jump"), chosen, Shape(5, 2), SETTINGS, training), path)
    code, out, err = run("inspect", path)
    assert (code, err) == (0, [])
    first, *lines = out.splitlines()
    assert first == f"{path}: a model"
    said = dict(line.strip().split(maxsplit=1) for line in lines)
    assert said["classes"] == "2: run, jump"
    assert "basnet, recipe base, preset small" in said["head"]
    assert "7 videos, 1 of them without labels; 30 steps, seed 3" in out
    assert said["times"] == "intervals or points of 2 videos"
    assert "i3d-mini, streams rgb,flow, 25 fps, snippets of 16 frames every 8" in out
    found = json.loads(run("inspect", path, "--json")[1])
    assert (found["kind"], found["classes"], found["features"]) == ("model", ["run", "jump"], 5)
    assert found["training"] == training


def test_features(run, tmp_path):
    path = tmp_path / "f.safetensors"
    facts = {"file": "v.mp4", "duration": 2.56, "source_fps": 29.97, "size": [128, 96]}
    rows = np.ones((3, 4), np.float32)
    meta = {"settings": SETTINGS, "facts": facts | {"decoder": "pyav", "partial": "ends at 1 s"}}
    Features(rows, rows[:, :2], np.arange(3.0), np.arange(3.0) + 1, meta).save(path)
    code, out, _ = run("inspect", path)
    assert code == 0
    for words in ("v.mp4, 2.56 s, 29.97 fps, 128 x 96", "3 snippets", "rgb 4", "flow 2", "pyav"):
        assert words in out
    assert "ends at 1 s" in out
    found = json.loads(run("inspect", path, "--json")[1])
    assert (found["kind"], found["rows"], found["widths"]) == ("features", 3, {"rgb": 4, "flow": 2})
    assert found["settings"] == SETTINGS
    path.write_bytes(path.read_bytes()[:-5])
    code, _, (error,) = run("inspect", path)
    assert code == 2
    assert "damaged" in error


def test_results_of_both_layouts(run, tmp_path):
    made = {"keep": "all", "min_score": None, "min_length": 0.5}
    kept = [Interval("run", 0, 2, 0.5), Interval("run", 3, 4, 0.4), Interval("jump", 0, 1, 0.3)]
    result = Localization("v", "v.mp4", 9.0, "sport", {}, kept, made)
    failed = [Failure("w", "w.mp4", "damaged")]
    for layout in ("json", "activitynet"):
        path = tmp_path / f"{layout}.json"
        path.write_text(format_results([result], failed, layout))
        code, out, _ = run("inspect", path)
        assert code == 0
        assert out.startswith(f"{path}: a result\n")
        for words in ("3 intervals: run 2, jump 1", "--keep all, 0.5 s or longer", layout):
            assert words in out
        assert ("1: 'w'" in out and "sport" in out) == (layout == "json")
        found = json.loads(run("inspect", path, "--json")[1])
        assert (found["kind"], found["intervals"]) == ("result", {"run": 2, "jump": 1})
        assert found["kept"] == [made]


def test_other_files(run, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("video,labels\na,x\n")
    assert "labels" in run("inspect", labels)[1]
    assert "network weights" in run("inspect", next(HERE.glob("*.safetensors")))[1]
    text = tmp_path / "note.txt"
    text.write_text("a note")
    for path, words in (
        (text, "neither reads nor writes"),
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere", "no such file"),
    ):
        code, out, (error,) = run("inspect", path)
        assert (code, out) == (2, "")
        assert words in error


def test_lines_fit_a_terminal(run, tmp_path):
    chosen = preset("small", recipe="base", hidden=8, filter_hidden=4, segments=16)
    classes = tuple(f"a class of number {index}" for index in range(40))
    path = tmp_path / "m.safetensors"
    save_model(HeadModel(build(Shape(5, 40), chosen), classes, chosen, Shape(5, 40)), path)
    _, first, *lines = ["", *run("inspect", path)[1].splitlines()]
    assert first == f"{path}: a model"
    assert all(len(line) <= 80 for line in lines)


def test_a_model_of_format_1(run):
    path = Path(__file__).parents[1] / "fixtures" / "model_v1.safetensors"
    code, out, _ = run("inspect", path)
    assert code == 0
    assert "basnet, recipe full, preset small, T = 64" in out
