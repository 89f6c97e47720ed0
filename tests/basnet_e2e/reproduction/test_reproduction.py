import json

import pytest
from PIL import Image
from published_tree import TINY, read_truth, tiny, write_tree, write_truth

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.heads.basnet.settings import FIXES, PRESETS, RECIPES
from basnet_e2e.reproduction import tables
from basnet_e2e.reproduction.ablation import AblationStudy, make_ablation
from basnet_e2e.reproduction.data import read_benchmark
from basnet_e2e.reproduction.pictures import mean_best_iou
from basnet_e2e.reproduction.published import PROTOCOLS
from basnet_e2e.reproduction.runs import Figures, Outcome, Runner, changes_training

THUMOS = PROTOCOLS["thumos14"]
pytestmark = pytest.mark.usefixtures("one_thread")


def outcome(recipe, seed, value, f_measure=0.5):
    background = dict.fromkeys(("precision", "recall", "average_precision"), 0.25)
    figures = Figures((value,) * 9, {**background, "f_measure": f_measure}, 1)
    return Outcome(tiny(recipe, seed), figures)


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


def test_the_gain_of_a_fix_is_its_difference():
    sheet = tables.fixes(THUMOS, [outcome("full", 0, 0.3)], {"nms": [outcome("full", 0, 0.25)]})
    assert sheet.rows[0][-2:] == ("30.0", "")
    assert sheet.rows[1] == ("nms", *("25.0",) * 10, "-5.0")


def test_the_quality_of_a_video_is_the_best_overlap_of_each_action():
    truth = GroundTruth({"a": [Interval("x", 0, 10), Interval("x", 20, 30), Interval("y", 0, 4)]})
    found = [Interval("x", 5, 10), Interval("x", 0, 10, 0.1), Interval("y", 20, 30)]
    result = Localization("a", "a.mp4", 40, "m", {}, found)
    assert mean_best_iou(truth, result) == pytest.approx((1 + 0 + 0) / 3)
    assert mean_best_iou(GroundTruth({"a": []}), result) == 0


def test_every_fix_has_its_run_unless_the_settings_have_it_already():
    asked = make_ablation(THUMOS, fix=("nms", "length"), each_fix="all", seeds=2)
    names = [spec.fix for spec in asked.fix_specs()]
    assert names == [name for name in FIXES if name not in ("nms", "length") for _ in range(2)]
    assert len(asked.specs()) == 8
    free = make_ablation(THUMOS, each_fix="reading").fix_specs()
    assert [spec.fix for spec in free if not changes_training("basnet", spec.fix)] == [
        *("ranking", "contrast", "nms", "first", "fallback", "groups", "centre")
    ]
    assert len(free) == 7
    with pytest.raises(BasnetError, match="recipe full"):
        make_ablation(THUMOS, recipes=("base",), each_fix="all")


QUICK = ("--preset", "small", "--steps", "4", "--segments", "32", "-q")


def test_the_command_writes_the_whole_report_and_continues(tree, tmp_path, run, no_training):
    out = tmp_path / "out"
    command = ("reproduce", "thumos14", "--features", tree, "-o", out, *QUICK)
    looking = ("--seeds", "2", "--select", "best-on-test")
    code, first, err = run(*command, *looking, "--recipes", "base,full")
    assert code == 0, err
    assert max(map(len, first.splitlines())) <= 80
    code, table, err = run(*command, *looking)
    assert code == 0, err
    for text in ("Baseline", "Base branch", "Suppression", "BaS-Net", "58.2", "0.846", "best*"):
        assert text in table, text
    assert "TAL-Net (full supervision)" in table
    report = json.loads((out / "report.json").read_text())
    assert [len(report["recipes"][name]) for name in RECIPES] == [2] * 4
    assert report["preset"]["steps"] == 4
    assert report["published"]["background_f_measure"]["full"] == 0.846
    assert "centre is in no annotated" in report["definitions"]["background"]
    markdown = (out / "report.md").read_text()
    assert "| BaS-Net |" in markdown
    assert "![map](map.png)" in markdown
    for name in ("map", "video"):
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 300
            assert len(picture.getcolors(picture.width * picture.height)) > 20
        assert "<svg" in (out / f"{name}.svg").read_text()
    no_training()
    before = {path: path.read_bytes() for path in out.iterdir() if path.is_file()}
    assert run(*command, *looking)[1] == table
    assert all(path.read_bytes() == data for path, data in before.items())


def test_each_fix_alone(tree, tmp_path, run, monkeypatch):
    monkeypatch.setitem(PRESETS, "official", TINY)
    command = ("reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out")
    code, out, err = run(*command, "--recipes", "full", "--each-mend", "all", "-q")
    assert code == 0, err
    for name in FIXES:
        assert f"\n{name} " in out, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--preset", "smal"), "did you mean small?"),
        (("--recipes", "ful"), "did you mean full?"),
        (("--mend", "rankin"), "did you mean ranking?"),
        (("--select", "best"), "best-on-test"),
        (("--recipes", ","), "no recipe named"),
        (("--video", "test_9", *QUICK, "--recipes", "base"), "did you mean 'test_"),
    ],
)
def test_a_mistyped_value_is_one_line_before_training(
    tree, tmp_path, run, arguments, words, no_training
):
    no_training()
    code, out, err = run(
        "reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out", "-q", *arguments
    )
    assert code == 2
    assert out == ""
    assert words in err[-1]
    assert [line.startswith("error:") for line in err].count(True) == 1
    assert not any(line.startswith("  File") for line in err)


def test_a_folder_that_cannot_be_written_is_found_before_training(tree, tmp_path, run, no_training):
    no_training()
    (tmp_path / "file").write_text("")
    command = ("reproduce", "thumos14", "--features", tree, "-q", "-o", tmp_path / "file" / "out")
    code, _, err = run(*command)
    assert code == 2
    assert "file" in err[-1]


def test_dollars_in_names_do_not_begin_a_formula(tmp_path):
    root = write_tree(tmp_path / "data $x^{")
    truth = read_truth(root)
    for entry in truth.values():
        for item in entry["annotations"]:
            item["label"] = f"$win {item['label']} $_{{"
    write_truth(root, truth)
    benchmark = read_benchmark(root, THUMOS)
    runner = Runner(tmp_path / "runs", benchmark, THUMOS.tious)
    report = AblationStudy(benchmark.protocol, TINY, ("full",)).run(runner)
    written = report.write(tmp_path / "out", runner)
    assert [path.name for path in written][:2] == ["report.md", "report.json"]
    assert "$win" in (tmp_path / "out" / "video.svg").read_text()
