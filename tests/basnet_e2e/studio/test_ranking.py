"""The order in which videos are offered."""

import numpy as np
import pytest

from basnet_e2e.studio.tasks.ranking import Candidate, ranked

CLASSES = ("jump", "run")


def one(video, jump=0.0, run=0.0, scores=(0.9,), mean=(0.0, 0.0), state="labelled", labels=None):
    intervals = tuple(("jump" if jump >= run else "run", score) for score in scores)
    mean = np.array(mean, np.float64)
    return Candidate(video, {"jump": jump, "run": run}, intervals, mean, state, labels)


def order(candidates):
    return [each.video for each in ranked(candidates, CLASSES)]


def test_an_unsure_video_comes_before_a_sure_one():
    assert order([one("sure"), one("unsure", jump=0.5)]) == ["unsure", "sure"]
    assert order([one("clear", jump=0.9), one("faint", jump=0.9, scores=(0.2, 0.1))]) == [
        "faint",
        "clear",
    ]


def test_corrected_videos_are_not_offered():
    done = one("done", jump=0.5, state="corrected", labels=("jump",))
    assert order([done, one("open", jump=0.9)]) == ["open"]
    assert order([done]) == []
    assert order([]) == []


def test_a_class_without_corrected_videos_comes_first():
    candidates = [
        one("done", state="corrected", labels=("jump",)),
        one("more", labels=("jump",), jump=1.0),
        one("new", labels=("run",), run=1.0),
    ]
    assert order(candidates) == ["new", "more"]


def test_of_two_alike_the_second_waits():
    candidates = [
        one("a", labels=("jump",), jump=0.9, mean=(1.0, 1.0)),
        one("twin", labels=("jump",), jump=0.9, mean=(1.0, 1.0)),
        one("other", labels=("jump",), jump=0.9, mean=(-1.0, 2.0)),
        one("done", state="corrected", labels=("run",), mean=(0.0, -3.0)),
    ]
    found = order(candidates)
    assert abs(found.index("a") - found.index("twin")) == 2


@pytest.mark.parametrize(
    ("candidates", "words"),
    [
        (
            [one("x", jump=0.5, run=0.45), one("y", jump=0.99, labels=("jump",))],
            "unsure whether",
        ),
        (
            [
                one("x", labels=("jump",), scores=()),
                one("y", jump=0.9, labels=("jump",)),
            ],
            "though",
        ),
    ],
)
def test_each_says_why(candidates, words):
    offers = {each.video: each.why for each in ranked(candidates, CLASSES)}
    assert words in offers["x"]
    assert all(offers.values())


def test_equal_looks_give_equal_orders():
    chance = np.random.default_rng(0)
    candidates = [
        one(str(n), *chance.uniform(0, 1, 2), mean=chance.normal(size=2)) for n in range(40)
    ]
    assert ranked(candidates, CLASSES) == ranked(candidates, CLASSES)
    assert len(ranked(candidates, CLASSES, most=7)) == 7
