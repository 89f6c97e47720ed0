import json
import signal
import statistics

import numpy as np
import pytest
import torch
from PIL import Image

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.annotations import GroundTruth
from basnet_e2e.presets import MENDS, PRESETS, RECIPES, preset
from basnet_e2e.reproduction import runs, study, tables
from basnet_e2e.reproduction.data import read_benchmark
from basnet_e2e.reproduction.pictures import mean_best_iou
from basnet_e2e.reproduction.published import PROTOCOLS, RECIPE_TITLES, protocol
from basnet_e2e.reproduction.runs import READING, Figures, Outcome, Runner, Spec
from basnet_e2e.training import fit

WIDTH = 6
CLASSES = ("swim", "jump")
THUMOS = protocol("thumos14")


pytestmark = pytest.mark.usefixtures("one_thread")


def write_tree(root, *, prefix="", divided=True, streams=("rgb", "flow")):
    """Published features of 6 training and 4 test videos, as THUMOS'14 features are laid out."""
    rng = np.random.default_rng(0)
    database = {}
    for subset, part, count in (("validation", "train", 6), ("test", "test", 4)):
        for index in range(count):
            name, label = f"{part}_{index}", CLASSES[index % 2]
            rows = int(rng.integers(20, 40))
            x = rng.normal(0, 0.3, (rows, WIDTH)).astype(np.float32)
            x[5:12, CLASSES.index(label)] += 3
            for stream in streams:
                folder = root / "features" / (part if divided else "") / stream
                folder.mkdir(parents=True, exist_ok=True)
                np.save(folder / f"{prefix}{name}.npy", x)
            segment = [f"{5 * 0.64:.2f}", f"{12 * 0.64:.2f}"]
            database[name] = {
                "subset": subset,
                "duration": rows * 0.64,
                "annotations": [{"label": label, "segment": segment}],
            }
    write_truth(root, database)
    return root


def write_truth(root, database):
    (root / "gt.json").write_text(json.dumps({"database": database}))


def read_truth(root):
    return json.loads((root / "gt.json").read_text())["database"]


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "data")


# Data --------------------------------------------------------------------------------------------


def test_the_published_layout_is_read_as_it_is(tree):
    found = read_benchmark(tree, THUMOS)
    assert [video.id for video in found.train.videos] == [f"train_{n}" for n in range(6)]
    assert found.train.labels == [(CLASSES[n % 2],) for n in range(6)]
    assert found.train.classes == ("jump", "swim")  # by name, as in the released code
    assert found.train.videos[0].x.shape[1] == 2 * WIDTH
    assert [video.id for video in found.test] == [f"test_{n}" for n in range(4)]
    assert found.truth.videos["test_1"] == [Interval("jump", 3.2, 7.68)]
    assert not found.same_data
    assert "not the data of THUMOS'14 (2 classes" in found.notes[0]


def test_split_lists_choose_the_videos(tree):
    (tree / "split_train.txt").write_text("train_1\ntrain_2\n\n")
    (tree / "split_test.txt").write_text("test_0\ntest_3\n")
    found = read_benchmark(tree, THUMOS)
    assert [video.id for video in found.train.videos] == ["train_1", "train_2"]
    assert list(found.truth.videos) == [video.id for video in found.test] == ["test_0", "test_3"]


@pytest.mark.parametrize(("part", "name"), [("train", "test_0"), ("test", "train_0")])
def test_a_split_list_cannot_move_videos_between_the_subsets(tree, part, name):
    (tree / f"split_{part}.txt").write_text(f"{part}_0\n{name}\n")
    with pytest.raises(BasnetError, match=f"not annotated as .* videos: '{name}'"):
        read_benchmark(tree, THUMOS)


def test_one_folder_of_all_videos_is_divided_by_the_annotations(tmp_path):
    root = write_tree(tmp_path, divided=False, streams=("rgb",))
    found = read_benchmark(root, THUMOS)
    assert len(found.train.videos) == 6
    assert len(found.test) == 4


def test_names_of_activitynet_files_match(tmp_path):
    root = write_tree(tmp_path, prefix="v_")
    found = read_benchmark(root, protocol("activitynet12"))
    assert found.test[0].id == "v_test_0"
    assert found.truth.videos["v_test_0"] == [Interval("swim", 3.2, 7.68)]


def test_test_videos_without_features_are_named_and_do_not_count(tree):
    for stream in ("rgb", "flow"):
        (tree / "features" / "test" / stream / "test_2.npy").unlink()
    found = read_benchmark(tree, THUMOS)
    assert list(found.truth.videos) == ["test_0", "test_1", "test_3"]
    assert "1 annotated test videos have no features" in found.notes[-1]
    assert "'test_2'" in found.notes[-1]


def test_what_is_missing_is_named(tree, tmp_path, run):
    with pytest.raises(BasnetError, match="no such folder"):
        read_benchmark(tmp_path / "nothing", THUMOS)
    (tree / "gt.json").rename(tmp_path / "other.json")
    with pytest.raises(BasnetError, match=r"gt\.json: no annotations there; name them with"):
        read_benchmark(tree, THUMOS)
    assert read_benchmark(tree, THUMOS, ground_truth=tmp_path / "other.json").test
    code, _, err = run("reproduce", "thumos14", "--features", tree)
    assert code == 2
    assert len(err) == 1


def test_the_paper_s_rows_agree_with_their_averages():
    for each in PROTOCOLS.values():
        for figures in each.ablation.values():
            assert len(figures) == len(each.shown) + 1
            if each.shown == each.tious:
                assert figures[-1] == pytest.approx(statistics.mean(figures[:-1]), abs=0.06)
        assert all(len(method.figures) == len(each.compared) + 1 for method in each.methods)
        assert set(each.ablation) <= set(RECIPES) == set(RECIPE_TITLES)


# Runs --------------------------------------------------------------------------------------------

TINY = preset("official", hidden=8, filter_hidden=8, batch=4, rate=3e-3, segments=32, steps=6)


def tiny_runner(tree, folder, **options):
    return Runner(folder, read_benchmark(tree, THUMOS), THUMOS.tious, **options)


def forbid_training(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "fit", refuse)


def test_a_finished_run_is_not_trained_again(tree, tmp_path, monkeypatch):
    runner, spec = tiny_runner(tree, tmp_path / "runs"), Spec("full", 0, TINY)
    first = runner.run(spec)
    forbid_training(monkeypatch)
    assert tiny_runner(tree, tmp_path / "runs").run(spec) == first
    detections = json.loads((runner.place(spec) / "model-detections.json").read_text())
    assert [video["video"] for video in detections["videos"]] == [f"test_{n}" for n in range(4)]


def test_mends_of_reading_use_the_same_network(tree, tmp_path, monkeypatch):
    runner = tiny_runner(tree, tmp_path / "runs")
    plain = runner.run(Spec("full", 0, TINY))
    forbid_training(monkeypatch)
    mended = runner.run(Spec("full", 0, preset(TINY, mend=("first", "centre")), "centre"))
    assert mended.last.map != plain.last.map
    with pytest.raises(AssertionError, match="trained again"):
        runner.run(Spec("full", 0, preset(TINY, mend=("norm",)), "norm"))


def test_settings_of_reading_do_not_reach_training(tree):
    mends = [name for name, settings in MENDS.items() if set(settings) <= READING]
    assert {"ranking", "contrast", "nms", "first", "fallback", "groups", "centre"} == set(mends)
    changed = preset(
        TINY, mend=mends, smooth=3, theta_class=0.1, theta_act=(0.5,), upsample=2, gamma=0.1
    )
    data = read_benchmark(tree, THUMOS).train
    one, other = (
        fit(data, each, RECIPES["full"]).last.net.state_dict() for each in (TINY, changed)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"steps": 7}, "steps"), ({"hidden": 12}, "hidden"), ({"norm": "mean"}, "norm")],
)
def test_a_run_with_other_settings_is_never_overwritten(tree, tmp_path, change, what):
    runner = tiny_runner(tree, tmp_path / "runs")
    runner.run(Spec("base", 0, TINY))
    with pytest.raises(BasnetError, match=f"of a run with another {what} .*choose another folder"):
        runner.run(Spec("base", 0, preset(TINY, **change)))


def test_a_run_on_other_data_is_never_overwritten(tree, tmp_path):
    tiny_runner(tree, tmp_path / "runs").run(Spec("base", 0, TINY))
    (tree / "split_train.txt").write_text("train_0\ntrain_1\n")
    with pytest.raises(BasnetError, match="another training data"):
        tiny_runner(tree, tmp_path / "runs").run(Spec("base", 0, TINY))


def test_figures_follow_the_test_videos(tree, tmp_path, monkeypatch):
    first = tiny_runner(tree, tmp_path / "runs").run(Spec("full", 0, TINY))
    forbid_training(monkeypatch)
    truth = read_truth(tree)
    truth["test_0"]["annotations"] = [{"label": "jump", "segment": [0, 1]}]
    write_truth(tree, truth)
    again = tiny_runner(tree, tmp_path / "runs").run(Spec("full", 0, TINY))
    assert again.last.background != first.last.background


def test_an_interrupted_run_goes_on_and_ends_alike(tree, tmp_path):
    whole = tiny_runner(tree, tmp_path / "whole").run(Spec("full", 1, TINY))

    def stop(state):
        if state.step == 3:
            signal.raise_signal(signal.SIGINT)

    runner = tiny_runner(tree, tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        runner.run(Spec("full", 1, TINY), stop)
    steps = []
    assert runner.run(Spec("full", 1, TINY), lambda state: steps.append(state.step)) == whole
    assert steps == [4, 5, 6]
    assert not list(tmp_path.rglob("*.state"))


def test_the_best_step_on_test_stands_beside_the_last_one(tree, tmp_path):
    last = tiny_runner(tree, tmp_path / "last").run(Spec("full", 0, TINY))
    both = tiny_runner(tree, tmp_path / "both", select="best-on-test").run(Spec("full", 0, TINY))
    assert last.best is None
    assert both.last == last.last  # looking changes nothing
    assert both.best is not None
    assert both.best.average >= both.last.average
    assert 1 <= both.best.step <= TINY.steps


# Tables and pictures -----------------------------------------------------------------------------


def outcome(recipe, seed, value, f_measure=0.5):
    background = dict.fromkeys(("precision", "recall", "average_precision"), 0.25)
    figures = Figures((value,) * 9, {**background, "f_measure": f_measure}, 1)
    return Outcome(Spec(recipe, seed, TINY), figures)


def test_rows_are_means_and_deviations_over_seeds():
    found = {
        "baseline": [outcome("baseline", 0, 0.10), outcome("baseline", 1, 0.20)],
        "full": [outcome("full", 0, 0.30), outcome("full", 1, 0.50)],
    }
    sheet = tables.ablation(THUMOS, found)
    rows = {row[0] + str(index): row for index, row in enumerate(sheet.rows)}
    assert rows["  paper1"][1:4] == ("32.3", "25.2", "19.8")
    assert rows["  ours2"][1:] == ("15.0",) * 10
    assert rows["  ±3"][1:] == ("7.1",) * 10  # sqrt(0.5) * 10
    assert rows["  ours6"][1:] == ("40.0",) * 10
    assert sheet.notes[0] == "Order by average mAP: BaS-Net > Baseline."
    assert sheet.markdown().count("\n|") == len(sheet.rows) + 2


def test_the_gain_of_a_mend_is_its_difference():
    sheet = tables.mends(THUMOS, [outcome("full", 0, 0.3)], {"nms": [outcome("full", 0, 0.25)]})
    assert sheet.rows[0][-2:] == ("30.0", "")
    assert sheet.rows[1] == ("nms", *("25.0",) * 10, "-5.0")


def test_the_quality_of_a_video_is_the_best_overlap_of_each_action():
    truth = GroundTruth({"a": [Interval("x", 0, 10), Interval("x", 20, 30), Interval("y", 0, 4)]})
    found = [Interval("x", 5, 10), Interval("x", 0, 10, 0.1), Interval("y", 20, 30)]
    result = Localization("a", "a.mp4", 40, "m", {}, found)
    assert mean_best_iou(truth, result) == pytest.approx((1 + 0 + 0) / 3)
    assert mean_best_iou(GroundTruth({"a": []}), result) == 0


def test_every_mend_has_its_run_unless_the_settings_have_it_already():
    asked = study.make_study(THUMOS, mend=("nms", "length"), each_mend="all", seeds=2)
    names = [spec.mend for spec in asked.mend_specs()]
    assert names == [name for name in MENDS if name not in ("nms", "length") for _ in range(2)]
    assert len(asked.specs()) == 8
    free = study.make_study(THUMOS, each_mend="reading").mend_specs()
    assert [spec.mend for spec in free if set(MENDS[spec.mend]) <= READING] == [
        *("ranking", "contrast", "nms", "first", "fallback", "groups", "centre")
    ]
    assert len(free) == 7
    with pytest.raises(BasnetError, match="recipe full"):
        study.make_study(THUMOS, recipes=("base",), each_mend="all")


# The command -------------------------------------------------------------------------------------

QUICK = ("--preset", "small", "--steps", "4", "--segments", "32", "-q")


def test_the_command_writes_the_whole_report_and_goes_on(tree, tmp_path, run, monkeypatch):
    out = tmp_path / "out"
    command = ("reproduce", "thumos14", "--features", tree, "-o", out, *QUICK)
    code, first, err = run(*command, "--recipes", "base,full")
    assert code == 0, err
    assert max(map(len, first.splitlines())) <= 80
    code, table, err = run(*command, "--seeds", "2", "--select", "best-on-test")
    assert code == 0, err
    for text in ("Baseline", "Base branch", "Suppression", "BaS-Net", "58.2", "0.846", "best*"):
        assert text in table, text
    assert "TAL-Net (full supervision)" in table
    report = json.loads((out / "report.json").read_text())
    assert [len(report["recipes"][name]) for name in RECIPES] == [2] * 4
    assert report["preset"]["steps"] == 4
    markdown = (out / "report.md").read_text()
    assert "| BaS-Net |" in markdown
    assert "![map](map.png)" in markdown
    for name in ("map", "video"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 300
            assert len(picture.getcolors(picture.width * picture.height)) > 20
        assert "<svg" in (out / f"{name}.svg").read_text()
    forbid_training(monkeypatch)
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert run(*command, "--seeds", "2", "--select", "best-on-test")[1] == table
    assert all(path.read_bytes() == data for path, data in before.items())


def test_each_mend_alone(tree, tmp_path, run, monkeypatch):
    monkeypatch.setitem(PRESETS, "official", TINY)
    command = ("reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out")
    code, out, err = run(*command, "--recipes", "full", "--each-mend", "all", "-q")
    assert code == 0, err
    for name in MENDS:
        assert f"\n{name} " in out, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "smal"), "did you mean small?"),
        (("--recipes", "ful"), "did you mean full?"),
        (("--mend", "rankin"), "did you mean ranking?"),
        (("--select", "best"), "best-on-test"),
        (("--video", "nobody", *QUICK, "--recipes", "base"), "no test video 'nobody'"),
    ],
)
def test_a_mistyped_value_is_one_line(tree, tmp_path, run, arguments, words):
    code, out, err = run(
        "reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out", "-q", *arguments
    )
    assert code == 2
    assert out == ""
    assert words in err[-1]
