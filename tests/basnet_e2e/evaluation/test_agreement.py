"""Agreement of two annotations, checked against scikit-learn and by hand."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, Interval
from basnet_e2e.evaluation.agreement import agreement
from basnet_e2e.interchange.annotated import AnnotatedVideo
from basnet_e2e.interchange.compared import Pair

STEP = 0.1
BORDERS = st.integers(0, 100)
STRETCHES = st.lists(st.tuples(st.sampled_from("xyz"), BORDERS, BORDERS), max_size=5)


def side_of(intervals, unknown=()):
    return AnnotatedVideo.of("v", intervals, unknown=unknown)


def side(stretches):
    return side_of(
        [Interval(label, min(a, b) * STEP, max(a, b) * STEP) for label, a, b in stretches]
    )


def grid(stretches, count):
    """What happens in each step, as a text."""
    cells = [set() for _ in range(count)]
    for label, one, two in stretches:
        first, last = min(one, two), max(one, two)
        for cell in range(first, last if last > first else first + 1):
            if cell < count:
                cells[cell].add(label)
            elif first == last:
                cells[-1].add(label)  # a point at the very end
    return ["".join(sorted(cell)) for cell in cells]


@settings(deadline=None)
@given(st.lists(st.tuples(STRETCHES, STRETCHES), min_size=1, max_size=3))
@example([([("x", 0, 43)], [("x", 43, 43)])])
def test_kappa_is_that_of_scikit_learn(videos):
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = [Pair(100 * STEP, side(one), side(two)) for one, two in videos]
    found = agreement(pairs, STEP, draws=0)
    ours, theirs = (
        list(itertools.chain.from_iterable(grid(video[k], 100) for video in videos)) for k in (0, 1)
    )

    def same(value, first, second):
        if len({*first, *second}) == 1:
            assert value is None  # scikit-learn warns and gives NaN too
        else:
            assert value == pytest.approx(metrics.cohen_kappa_score(first, second))

    same(found.overall.kappa, ours, theirs)
    agreed = np.mean([a == b for a, b in zip(ours, theirs, strict=True)])
    assert found.overall.percent == pytest.approx(100 * agreed)
    for name, score in found.classes.items():
        same(score.kappa, [name in cell for cell in ours], [name in cell for cell in theirs])
    assert found.seconds == pytest.approx(len(ours) * STEP)
    assert found.confusion.sum() == pytest.approx(found.seconds)
    assert found.confusion.trace() == pytest.approx(agreed * found.seconds)


def test_by_hand():
    # Of 10 s both see the action for 2 s, each alone for 1 s, nobody for 6 s.
    pair = Pair(10.0, side_of([Interval("x", 1.0, 4.0)]), side_of([Interval("x", 2.0, 5.0)]))
    found = agreement([pair])
    chance = 0.3 * 0.3 + 0.7 * 0.7
    assert found.overall.kappa == pytest.approx((0.8 - chance) / (1 - chance))
    assert found.overall.percent == pytest.approx(80.0)
    assert found.categories == ["no action", "x"]
    assert found.confusion == pytest.approx(np.array([[6.0, 1.0], [1.0, 2.0]]))
    assert found.overall.low is None  # one video says nothing of other videos


def test_what_nobody_looked_at_does_not_count():
    seen = [Interval("x", 1.0, 2.0)]
    other = [Interval("x", 1.0, 2.0), Interval("x", 5.0, 9.0)]
    pair = Pair(10.0, side_of(seen, [(4.0, 10.0)]), side_of(other))
    found = agreement([pair])
    assert found.seconds == pytest.approx(4.0)
    assert found.overall.kappa == pytest.approx(1.0)


def test_bounds_hold_the_value_and_repeat():
    generator = np.random.default_rng(1)
    pairs = []
    for _ in range(20):
        start, shift = generator.uniform(1, 5), generator.uniform(-1, 1)
        pairs.append(
            Pair(
                10.0,
                side_of([Interval("x", start, start + 3)]),
                side_of([Interval("x", start + shift, start + shift + 3)]),
            )
        )
    found, again = (agreement(pairs).overall for _ in range(2))
    assert found == again
    assert found.low < found.kappa < found.high


def test_a_grid_that_is_too_fine():
    with pytest.raises(BasnetError, match="--step"):
        agreement([Pair(1e9, side_of([]), side_of([]))])


def test_the_command(tmp_path, run):
    rows = {
        "a.csv": ["v,x,1,4", "w,,,", "alone,x,1,2"],
        "b.csv": ["set/v.mp4,x,2,5", "w,,,"],
    }
    for name, lines in rows.items():
        (tmp_path / name).write_text("\n".join(["video,label,start,end", *lines]))
    arguments = ("agreement", tmp_path / "a.csv", tmp_path / "b.csv")
    code, out, err = run(*arguments)
    assert code == 0, err
    assert "over all" in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert any("'alone'" in line for line in err)
    code, out, _ = run(*arguments, "--json", "--step", "0.5")
    document = json.loads(out)
    assert document["videos"] == ["set/v", "w"]
    assert document["classes"]["x"]["percent"] == pytest.approx(100 * (1 - 4 / 11))
    (tmp_path / "c.csv").write_text("video,label,start,end\nother,x,1,2\n")
    code, _, err = run("agreement", tmp_path / "a.csv", tmp_path / "c.csv")
    assert code == 2
    assert "no video in common" in err[-1]


def test_two_observations_of_one_project(tmp_path, run):
    events = {"anna": (1.0, 4.0), "bert": (2.0, 5.0)}
    observations = {
        name: {
            "file": {"1": ["v.mp4"]},
            "type": "MEDIA",
            "events": [[time, "", "x", "", ""] for time in times],
            "media_info": {"length": {"v.mp4": 10.0}},
        }
        for name, times in events.items()
    }
    behaviors = {"0": {"type": "State event", "code": "x"}}
    path = tmp_path / "p.boris"
    path.write_text(json.dumps({"behaviors_conf": behaviors, "observations": observations}))
    code, out, err = run(
        *("agreement", path, path, "--observation", "anna", "--observation", "bert", "--json")
    )
    assert code == 0, err
    assert json.loads(out)["overall"]["percent"] == pytest.approx(80.0)
