"""Several heads on the same data, beside what was published of them."""

import json

import pytest
from PIL import Image
from published_tree import TINY

from basnet_e2e import BasnetError
from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS
from basnet_e2e.reproduction.heads import HeadReport, make_head_study
from basnet_e2e.reproduction.published import HEAD_TITLES, PROTOCOLS
from basnet_e2e.reproduction.runs import Figures, Outcome, Spec

THUMOS = PROTOCOLS["thumos14"]
pytestmark = pytest.mark.usefixtures("one_thread")


def outcome(head, seed, value, seconds=None):
    background = dict.fromkeys(("precision", "recall", "f_measure", "average_precision"), 0.5)
    figures = Figures((value,) * 9, background, 1)
    chosen = TINY if head == "basnet" else preset("small", head=head)
    return Outcome(Spec(chosen, seed), figures, None, seconds, 1234)


def report_of(outcomes):
    presets = tuple(runs[0].spec.preset for runs in outcomes.values())
    return HeadReport(THUMOS, outcomes, (), presets)


def test_rows_are_above_their_published_figures():
    found = {
        "stpn": [outcome("stpn", 0, 0.1, 2.0), outcome("stpn", 1, 0.2, 4.0)],
        "autoloc": [outcome("autoloc", 0, 0.3), outcome("autoloc", 1, 0.3)],
    }
    table, cost, background = report_of(found).sheets()
    assert [row[0] for row in table.rows] == [
        "STPN", "  here", "  ±", "  I3D", "AutoLoc", "  here", "  ±", "  UNT"
    ]  # fmt: skip
    assert table.rows[1][1:] == ("15.0",) * 10
    assert table.rows[2][1:] == ("7.1",) * 10
    assert table.rows[3][1:] == ("52.0", "44.7", "35.5", "25.8", "16.9", "9.9", "4.3", *"---")
    assert table.rows[7][1:4] == ("-", "-", "35.8")
    assert "Order by average mAP: AutoLoc > STPN." in table.notes
    assert cost.rows == (("STPN", "1,234", "300", "3.0"), ("AutoLoc", "1,234", "700", "-"))
    assert background.rows[0][0] == "STPN"


def test_every_head_has_a_title_and_published_figures():
    assert HEAD_TITLES.keys() == HEADS.keys() == THUMOS.heads.keys() | {"plus"}
    assert all(len(each.figures) == len(THUMOS.shown) + 1 for each in THUMOS.heads.values())
    # The two columns that the comparison of methods has too.
    for name, figures in (("stpn", (52.0, 16.9)), ("maan", (59.8, 20.3)), ("wtalc", (55.2, 22.8))):
        assert (THUMOS.heads[name].figures[0], THUMOS.heads[name].figures[4]) == figures


def test_all_heads_are_compared_and_the_second_time_nothing_is_trained(
    tree, tmp_path, run, no_training
):
    command = ["reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out"]
    command += ["--heads", "all", "--preset", "small", "--steps", 2, "--device", "cpu", "-q"]
    code, first, err = run(*command)
    assert code == 0, err
    assert all(len(line) <= 80 for line in first.splitlines())
    assert all(title in first for title in HEAD_TITLES.values())
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["heads"].keys() == HEADS.keys()
    for (each,) in report["heads"].values():
        assert each["seconds"] > 0
        assert each["parameters"] > 10
    assert kind_of(tmp_path / "out" / "report.json") is Kind.REPORT
    assert "methods compared" in (tmp_path / "out" / "report.md").read_text()
    assert Image.open(tmp_path / "out" / "map.png").size[0] > 500
    no_training()
    code, second, err = run(*command)
    assert (code, second) == (0, first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--heads", "stpm"), "no head 'stpm'; did you mean stpn?"),
        (("--heads", ","), "no head named"),
        (("--heads", "stpn", "--preset", "activitynet"), "no preset 'activitynet'"),
        (("--heads", "stpn", "--mend", "nms"), "--mend: for BaS-Net's ablation"),
        (("--heads", "stpn", "--select", "best-on-test"), "--select: for BaS-Net's ablation"),
    ],
)
def test_mistakes_are_one_line(tree, tmp_path, run, options, message):
    command = ("reproduce", "thumos14", "--features", tree, "-o", tmp_path / "out")
    code, _, err = run(*command, *options)
    assert code == 2
    assert message in err[-1]


def test_official_by_default():
    study = make_head_study(THUMOS, ("all",), steps=7)
    assert [each.head for each in study.presets] == list(HEADS)
    assert {each.head: each.name for each in study.presets} == {
        name: "default" if name == "plus" else "official" for name in HEADS
    }
    assert {each.training.steps for each in study.presets} == {7}
    with pytest.raises(BasnetError, match="no head 'all'"):
        make_head_study(THUMOS, ("all", "stpn"))
