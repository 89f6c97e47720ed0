import json
import signal

import numpy as np
import pytest
import torch
from published_tree import TINY, read_truth, tiny, write_truth

from basnet_e2e import BasnetError
from basnet_e2e.heads.basnet.settings import FIXES
from basnet_e2e.heads.presets import preset
from basnet_e2e.reproduction.data import read_benchmark
from basnet_e2e.reproduction.published import PROTOCOLS
from basnet_e2e.reproduction.runs import Runner, changes_training
from basnet_e2e.training.fit import fit
from basnet_e2e.training.run_identity import RunInputs

THUMOS = PROTOCOLS["thumos14"]
pytestmark = pytest.mark.usefixtures("one_thread")


def tiny_runner(tree, folder, **options):
    return Runner(folder, read_benchmark(tree, THUMOS), THUMOS.tious, **options)


def test_a_finished_run_is_not_trained_again(tree, tmp_path, no_training):
    runner, spec = tiny_runner(tree, tmp_path / "runs"), tiny("full", 0)
    first = runner.run(spec)
    no_training()
    assert tiny_runner(tree, tmp_path / "runs").run(spec) == first
    detections = json.loads((runner.place(spec) / "model-detections.json").read_text())
    assert [video["video"] for video in detections["videos"]] == [f"test_{n}" for n in range(4)]


def test_fixes_of_reading_use_the_same_network(tree, tmp_path, no_training):
    runner = tiny_runner(tree, tmp_path / "runs")
    plain = runner.run(tiny("full", 0))
    no_training()
    fixed = runner.run(tiny("full", 0, preset(TINY, fix=("first", "centre")), "centre"))
    assert fixed.last.map != plain.last.map
    with pytest.raises(AssertionError, match="trained again"):
        runner.run(tiny("full", 0, preset(TINY, fix=("norm",)), "norm"))


def test_settings_of_reading_do_not_reach_training(tree):
    fixes = [name for name in FIXES if not changes_training("basnet", name)]
    assert {"ranking", "contrast", "nms", "first", "fallback", "groups", "centre"} == set(fixes)
    numbers = {"smooth": 3, "theta_class": 0.1, "upsample": 2, "gamma": 0.1, "nms_iou": 0.5}
    words = {"normalise": "none", "name": "other", "theta_act": (0.5,), "outer": 0.5, "shortest": 3}
    changed = preset(TINY, fix=fixes, **numbers, **words)
    before, after = TINY.decoding.to_json(), changed.decoding.to_json()
    assert all(before[name] != after[name] for name in before)
    data = read_benchmark(tree, THUMOS).train
    one, other = (fit(RunInputs(data, each)).last.net.state_dict() for each in (TINY, changed))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"steps": 7}, "steps"), ({"hidden": 12}, "hidden"), ({"norm": "mean"}, "norm")],
)
def test_a_run_with_other_settings_is_never_overwritten(tree, tmp_path, change, what):
    runner = tiny_runner(tree, tmp_path / "runs")
    runner.run(tiny("base", 0))
    with pytest.raises(
        BasnetError, match=f"from a run with another {what} .*choose another folder"
    ):
        runner.run(tiny("base", 0, preset(TINY, **change)))


def test_a_run_on_other_data_is_never_overwritten(tree, tmp_path):
    tiny_runner(tree, tmp_path / "runs").run(tiny("base", 0))
    (tree / "split_train.txt").write_text("train_0\ntrain_1\n")
    with pytest.raises(BasnetError, match="another training data"):
        tiny_runner(tree, tmp_path / "runs").run(tiny("base", 0))


def test_figures_follow_the_test_videos(tree, tmp_path, no_training):
    first = tiny_runner(tree, tmp_path / "runs").run(tiny("full", 0))
    no_training()
    truth = read_truth(tree)
    truth["test_0"]["annotations"] = [{"label": "jump", "segment": [0, 1]}]
    write_truth(tree, truth)
    again = tiny_runner(tree, tmp_path / "runs").run(tiny("full", 0))
    assert again.last.background != first.last.background


@pytest.mark.parametrize("change", ["grid", "duration", "middle rows"])
def test_figures_are_not_kept_for_other_test_data(tree, tmp_path, change):
    spec = tiny("full", 0, preset(TINY, fix=("groups",)))  # ends intervals with the video
    runner = tiny_runner(tree, tmp_path / "runs")
    first = runner.run(spec)
    truth = read_truth(tree)
    grid = None
    if change == "grid":
        grid = "50,16,16"
    elif change == "duration":
        for entry in truth.values():
            entry["duration"] /= 2
        write_truth(tree, truth)
    else:
        for path in (tree / "features" / "test").rglob("*.npy"):
            x = np.load(path)
            x[1:-1] = 0
            np.save(path, x)
    again = Runner(tmp_path / "runs", read_benchmark(tree, THUMOS, grid=grid), THUMOS.tious)
    fresh = Runner(tmp_path / "fresh", again.benchmark, THUMOS.tious)
    assert again.run(spec) == fresh.run(spec) != first


def test_training_data_are_distinguished_by_every_row(tree, tmp_path):
    tiny_runner(tree, tmp_path / "runs").run(tiny("base", 0))
    path = tree / "features" / "train" / "rgb" / "train_3.npy"
    x = np.load(path)
    x[8] += 1
    np.save(path, x)
    with pytest.raises(BasnetError, match="another training data"):
        tiny_runner(tree, tmp_path / "runs").run(tiny("base", 0))


def test_a_fix_of_reading_keeps_figures_of_its_own(tree, tmp_path):
    runner = tiny_runner(tree, tmp_path / "runs")
    plain = tiny("full", 0)
    runner.run(plain)
    kept = runner.place(plain) / "model-figures.json"
    before = kept.read_bytes()
    runner.run(tiny("full", 0, preset(TINY, fix=("first",)), "first"))
    assert kept.read_bytes() == before
    assert (runner.place(plain) / "model+first-detections.json").is_file()


@pytest.mark.parametrize("damage", ["{", '{"made_by": 1}', None])
def test_damaged_figures_are_recomputed(tree, tmp_path, damage):
    runner, spec = tiny_runner(tree, tmp_path / "runs"), tiny("base", 0)
    first = runner.run(spec)
    kept = runner.place(spec) / "model-figures.json"
    if damage is None:
        document = json.loads(kept.read_text())
        document["figures"]["map"] = [0.5]
        damage = json.dumps(document)
    kept.write_text(damage)
    assert runner.run(spec) == first


def test_the_best_step_is_not_reused_when_what_chose_it_changes(tree, tmp_path):
    options = {"best_on_test": True}
    tiny_runner(tree, tmp_path / "runs", **options).run(tiny("full", 0))
    fixed = tiny("full", 0, preset(TINY, fix=("ranking",)))
    with pytest.raises(BasnetError, match=r"best-on-test.* another ranking"):
        tiny_runner(tree, tmp_path / "runs", **options).run(fixed)
    truth = read_truth(tree)
    truth["test_0"]["annotations"][0]["segment"] = [0, 1]
    write_truth(tree, truth)
    with pytest.raises(BasnetError, match="another test set"):
        tiny_runner(tree, tmp_path / "runs", **options).run(tiny("full", 0))


def test_the_best_step_of_a_finished_run_is_unknown(tree, tmp_path, no_training):
    tiny_runner(tree, tmp_path / "runs").run(tiny("full", 0))
    no_training()
    with pytest.raises(BasnetError, match="its best step is not known"):
        tiny_runner(tree, tmp_path / "runs", best_on_test=True).run(tiny("full", 0))


def test_an_interrupted_run_continues_only_with_other_reading_settings(tree, tmp_path):
    def stop(state):
        signal.raise_signal(signal.SIGINT)

    runner = tiny_runner(tree, tmp_path / "runs")
    with pytest.raises(KeyboardInterrupt):
        runner.run(tiny("full", 1), stop)
    with pytest.raises(BasnetError, match=r"another norm \(\"sum\" against \"mean\"\)"):
        runner.run(tiny("full", 1, preset(TINY, fix=("norm",))))
    runner.run(tiny("full", 1, preset(TINY, fix=("ranking",))))


def test_an_interrupted_run_continues_and_ends_alike(tree, tmp_path):
    whole = tiny_runner(tree, tmp_path / "whole").run(tiny("full", 1))

    def stop(state):
        if state.step == 3:
            signal.raise_signal(signal.SIGINT)

    runner = tiny_runner(tree, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        runner.run(tiny("full", 1), stop)
    steps = []
    assert runner.run(tiny("full", 1), lambda state: steps.append(state.step)) == whole
    assert steps == [4, 5, 6]
    assert not list(tmp_path.rglob("*.state"))


def test_the_best_step_on_test_comes_with_the_last_one(tree, tmp_path):
    last = tiny_runner(tree, tmp_path / "last").run(tiny("full", 0))
    both = tiny_runner(tree, tmp_path / "both", best_on_test=True).run(tiny("full", 0))
    assert last.best is None
    assert both.last == last.last  # looking changes nothing
    assert both.best is not None
    assert both.best.average >= both.last.average
    assert 1 <= both.best.step <= TINY.training.steps
