"""Batches that hold every class equally often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, train
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.common.settings import TrainingSettings
from basnet_e2e.heads.common.video_order import choose_videos

pytestmark = pytest.mark.usefixtures("one_thread")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=30), st.integers(1, 9), st.integers(0, 5))
def test_every_class_comes_equally_often(codes, size, seed):
    """Codes are sets of three classes; 0 is a video of background alone."""
    labels = np.array([[code >> bit & 1 for bit in range(3)] for code in codes], np.float32)
    training = TrainingSettings(batch=size, batches="balanced")
    steps = range(60)
    batches = [choose_videos(labels, step, seed, training) for step in steps]
    assert batches == [choose_videos(labels, step, seed, training) for step in steps]
    assert {len(batch) for batch in batches} == {min(size, len(codes))}
    drawn = np.concatenate(batches)
    groups = [set(np.flatnonzero(column)) for column in labels.T if column.any()]
    groups += [set(np.flatnonzero(~labels.any(axis=1)))] if not labels.any(axis=1).all() else []
    rounds = len(drawn) // len(groups)
    for group in groups:
        others = set().union(*(other for other in groups if other is not group))
        alone = group - others
        # Videos of this class only come by its own turns.
        if alone == group:
            count = sum(int(index) in group for index in drawn)
            assert rounds <= count <= rounds + 1
        if len(drawn) >= len(groups) * len(group):
            assert group <= set(drawn.tolist())


def test_a_rare_class_is_drawn_as_often_as_a_frequent_one():
    labels = np.zeros((22, 2), np.float32)
    labels[:18, 0] = labels[18:20, 1] = 1
    drawn = np.concatenate(
        [
            choose_videos(labels, step, 0, TrainingSettings(batch=6, batches="balanced"))
            for step in range(30)
        ]
    )
    counts = np.bincount(drawn, minlength=22)
    assert [counts[:18].sum(), counts[18:20].sum(), counts[20:].sum()] == [60, 60, 60]
    assert counts[:18].max() - counts[:18].min() <= 1
    assert choose_videos(labels, 3, 0, TrainingSettings(batches="balanced")) != choose_videos(
        labels, 3, 1, TrainingSettings(batches="balanced")
    )


def make_set():
    rng = np.random.default_rng(0)
    start = np.arange(12) * 0.64
    videos = [
        VideoFeatures(
            *(f"v{n}", rng.normal(size=(12, 5)).astype(np.float32)),
            *(start, start + 0.64, 12 * 0.64, {}),
        )
        for n in range(6)
    ]
    return LabelledSet(videos, [("a",), ("b",), ("a",), ("a",), ("a",), ()], ("a", "b"), {})


def test_the_choice_stands_in_the_model(tmp_path):
    options = {"preset": "small", "steps": 2, "output": tmp_path / "m"}
    train(make_set(), balanced=True, **options)
    assert load_model(tmp_path / "m").preset.training.batches == "balanced"
    with pytest.raises(BasnetError, match=r'another batches \("balanced" against "epochs"\)'):
        train(make_set(), resume=True, **options)


def test_a_head_that_draws_pairs_says_so():
    with pytest.raises(BasnetError, match="wtalc draws its batches in its own way"):
        train(make_set(), head="wtalc", balanced=True, steps=1)
