"""Hand-computed cases: each defect of the released code, and each fix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.heads.common.decoding_rules import Prediction
from basnet_e2e.heads.common.suppression import non_maximum_suppression
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.proposals import (
    choose_classes,
    class_proposals,
    contrast,
    normalise,
    propose,
    runs,
    smooth,
    upsample,
)

OFFICIAL, DEFAULT = preset("official").decoding, preset("default").decoding


def one(name, fix=(), **overrides):
    """Settings with a single threshold of .5, so that a case has few proposals."""
    return preset(name, fix=fix, **({"theta_act": (0.5,)} | overrides)).decoding


def score_of(values, class_score, settings):
    values = np.array(values, float)
    bounds = np.arange(len(values) + 1.0)
    found = class_proposals(values, bounds, class_score, settings, float(len(values)))
    return found.start.tolist(), found.end.tolist(), found.score.tolist()


# Defect 1: the class score never enters the ranking ----------------------------------------------


def test_official_ranks_without_the_class_score():
    curve = [0, 0, 1, 1, 0, 0]
    for class_score in (0.3, 0.9):
        assert score_of(curve, class_score, one("official"))[2] == pytest.approx([1.2])


def test_ranking_adds_a_share_of_the_class_score():
    curve = [0, 0, 1, 1, 0, 0]
    found = score_of(curve, 0.3, one("official", ["ranking"]))[2]
    assert found == pytest.approx([1 + 0.2 * 0.3])


# Defect 2: the outer mean is taken from the curve after thresholding -----------------------------


def test_official_contrast_sees_nothing_outside():
    # Run of 4 at [2, 6), margins of one sample (.4 on both sides) are below the threshold.
    curve = [0, 0.4, 1, 1, 1, 1, 0.4, 0]
    assert score_of(curve, 1, one("official"))[2] == pytest.approx([1.2])


def test_official_contrast_sees_another_run_in_its_margin():
    # Run of 8 at [0, 8), margin of 2: [8, 9]; sample 9 belongs to another run.
    values = np.array([1] * 8 + [0.4, 0.9, 0.4, 0.4], float)
    first, stop = runs(values, 0.5)
    found = contrast(values, first, stop, 0.5, OFFICIAL)
    assert found[0] == pytest.approx(1 - 0.9 / 2)


def test_official_margins_are_truncated_positions():
    # Run of 5 at [3, 8), margin 1.25: from int(3 - 1.25) = 1 to int(7 + 1.25) = 8, both included.
    values = np.array([0.6, 0.9, 0.1, 1, 1, 1, 1, 1, 0.8, 0.7], float)
    found = contrast(values, np.array([3]), np.array([8]), 0.05, OFFICIAL)
    assert found == pytest.approx([1 - (0.9 + 0.1 + 0.8) / 3])


def test_contrast_on_the_curve():
    curve = [0, 0.4, 1, 1, 1, 1, 0.2, 0]
    found = score_of(curve, 1, one("official", ["contrast"]))[2]
    assert found == pytest.approx([1 - (0.4 + 0.2) / 2 + 0.2])


def test_contrast_clamps_at_zero_and_rounds_its_margin():
    # Run of 6, margin round(1.5) = 2 on each side; the left side ends with the video.
    values = np.array([-0.9, 1, 1, 1, 1, 1, 1, 0.3, -0.5], float)
    found = contrast(values, np.array([1]), np.array([7]), 0.5, DEFAULT)
    assert found == pytest.approx([1 - (0 + 0.3 + 0) / 3])


@pytest.mark.parametrize("settings", [OFFICIAL, DEFAULT])
def test_contrast_without_margin(settings):
    # All of the video, and a run too short for a margin sample.
    whole = contrast(np.ones(6), np.array([0]), np.array([6]), 0.5, settings)
    assert whole == pytest.approx([1])


# Defects 3 and 4: videos without output ----------------------------------------------------------


def test_official_gives_nothing_where_only_the_first_class_is_found():
    assert choose_classes(np.array([0.9, 0.1]), OFFICIAL).tolist() == []
    assert choose_classes(np.array([0.6, 0.3]), OFFICIAL).tolist() == [0, 1]
    assert choose_classes(np.array([0.1, 0.9]), OFFICIAL).tolist() == [1]


def test_first_class_is_kept():
    kept = preset("official", fix=["first"]).decoding
    assert choose_classes(np.array([0.9, 0.1]), kept).tolist() == [0]


@pytest.mark.parametrize("name", ["official", "default", "small"])
def test_no_class_no_output(name):
    assert choose_classes(np.array([0.2, 0.24, 0.2]), preset(name).decoding).tolist() == []


def test_threshold_is_included():
    assert choose_classes(np.array([0.2, 0.25]), DEFAULT).tolist() == [1]


def test_fallback_takes_the_best_class():
    forced = preset("default", fix=["fallback"]).decoding
    assert choose_classes(np.array([0.2, 0.24, 0.2]), forced).tolist() == [1]
    assert choose_classes(np.array([0.3, 0.24, 0.4]), forced).tolist() == [0, 2]


# Defect 5: suppression counts seconds like pixels ------------------------------------------------


def test_nms_of_official_adds_one_second():
    # Two intervals of 3 s sharing 2 s: IoU (2+1)/(4+4-3) = .6 instead of 2/4 = .5.
    start, end, score = np.array([0.0, 1.0]), np.array([3.0, 4.0]), np.array([2.0, 1.0])
    kept = {
        (iou, extra): len(non_maximum_suppression(start, end, score, iou, extra))
        for iou in (0.45, 0.55, 0.65)
        for extra in (0.0, 1.0)
    }
    assert kept == {
        (0.45, 0): 1, (0.55, 0): 2, (0.65, 0): 2,
        (0.45, 1): 1, (0.55, 1): 1, (0.65, 1): 2,
    }  # fmt: skip


def test_nms_counts_apart_intervals_as_overlapping_in_official():
    start, end, score = np.array([0.0, 0.3]), np.array([0.2, 0.5]), np.array([1.0, 2.0])
    assert non_maximum_suppression(start, end, score, 0.3, 1.0).tolist() == [1]
    assert non_maximum_suppression(start, end, score, 0.3).tolist() == [1, 0]


def test_nms_suppresses_at_the_threshold_itself():
    start, end, score = np.array([0.0, 1.0]), np.array([3.0, 4.0]), np.array([2.0, 1.0])
    assert non_maximum_suppression(start, end, score, 0.5).tolist() == [0]


def test_a_suppressed_interval_suppresses_nothing():
    start = np.array([0.0, 1.0, 2.0])
    kept = non_maximum_suppression(start, start + 3, np.array([3.0, 2.0, 1.0]), 0.4)
    assert kept.tolist() == [0, 2]


@pytest.mark.parametrize(("settings", "kept"), [("official", 1), ("default", 2)])
def test_presets_suppress_by_their_rule(settings, kept):
    # Two peaks of one class, .64 s rows: apart in seconds, one to the released code's rule.
    cas = np.zeros((12, 1))
    cas[[3, 5]] = 1
    chosen = one(settings, nms_iou=0.1, first="kept", groups="sound")
    edges = np.arange(13) * 0.64
    found = propose(Prediction(cas, np.ones(1)), edges, (edges[:-1] + edges[1:]) / 2, chosen, 7.68)
    assert len(found[0]) == kept


# Defect 11: runs of one sample, runs at sample 0, no clamp ---------------------------------------


def test_official_keeps_single_samples():
    assert score_of([0, 0, 1, 0, 1, 1], 1, one("official"))[0] == [2, 4]
    assert score_of([0, 0, 1, 0, 1, 1], 1, one("official", ["groups"]))[0] == [4]


def test_official_drops_a_class_active_at_sample_0_alone():
    assert score_of([1, 0, 0, 0], 1, one("official"))[0] == []
    assert score_of([1, 0, 0, 1], 1, one("official"))[0] == [0, 3]
    assert score_of([1, 1, 0, 0], 1, one("official"))[0] == [0]


def test_only_fixed_proposals_end_with_the_video():
    values, bounds = np.array([0, 0, 1, 1.0]), np.arange(5.0)
    official = class_proposals(values, bounds, 1, one("official"), 3.4)
    assert official.end.tolist() == [4]
    fixed = class_proposals(values, bounds, 1, one("official", ["groups"]), 3.4)
    assert fixed.end.tolist() == [3.4]


def test_runs_need_positive_values_at_threshold_0():
    first, stop = runs(np.array([0.0, 0.1, -0.2, 0.0, 0.3]), 0.0)
    assert (first.tolist(), stop.tolist()) == ([1, 4], [2, 5])


# Defect 13: a row's value sits at its snippet's start --------------------------------------------


def active(settings, threshold, rows=10):
    """Interval, in rows, that comes of rows [3, 6) being active."""
    curve = np.zeros(rows)
    curve[3:6] = 1
    edges = np.arange(rows + 1.0)
    values, bounds = upsample(curve, edges, edges[:-1] + 0.5, settings)
    first, stop = runs(values, threshold)
    assert len(first) == 1
    return bounds[first[0]], bounds[stop[0]]


def test_official_intervals_come_half_a_row_early():
    assert active(OFFICIAL, 0.5) == pytest.approx((2.5, 5 + 13 / 24))
    assert active(OFFICIAL, 0.2) == pytest.approx((2.21, 5.83), abs=0.005)


def test_centred_intervals():
    assert active(DEFAULT, 0.5) == pytest.approx((3.0, 6.0))
    low, high = active(DEFAULT, 0.2)
    assert low + high == pytest.approx(9.0)
    assert (low, high) == pytest.approx((2.7, 6.3), abs=1 / 24)


def test_official_extrapolates_the_tail_and_default_holds_it():
    edges = np.arange(5.0)
    curve = np.array([0.0, 0, 0, 1])
    official, _ = upsample(curve, edges, edges[:-1] + 0.5, OFFICIAL)
    assert official[-1] == pytest.approx(1 + 23 / 24)
    fixed, _ = upsample(curve, edges, edges[:-1] + 0.5, DEFAULT)
    assert (fixed[0], fixed[-1]) == (0.0, 1.0)


def test_uneven_time_grid():
    # Snippets of 1 s every .5 s; the last is cut to .25 s by the end of the video.
    start = np.array([0.0, 0.5, 1.0, 1.5])
    end = np.array([1.0, 1.5, 2.0, 1.75])
    centres = (start + end) / 2
    edges = np.array([0, 0.75, 1.25, 1.75, 1.75])
    values, bounds = upsample(np.array([0.0, 1, 1, 1]), edges, centres, DEFAULT)
    first, stop = runs(values, 0.5)
    assert bounds[first[0]] == pytest.approx(0.75, abs=0.75 / 24)
    assert bounds[stop[0]] == pytest.approx(1.75)


@pytest.mark.parametrize("settings", [OFFICIAL, DEFAULT])
def test_one_row(settings):
    values, bounds = upsample(np.array([0.7]), np.array([0.0, 0.64]), np.array([0.32]), settings)
    assert values == pytest.approx(np.full(24, 0.7))
    assert (bounds[0], bounds[-1]) == (0.0, 0.64)


# Normalisation and smoothing ---------------------------------------------------------------------


def test_normalise_by_hand():
    cas = np.array([[-2.0, 1, 3, -1], [0, 2, 3, -5], [2, 5, 3, -2]])
    found = normalise(cas, OFFICIAL)
    wanted = np.array([[-1.0, 0, 0, -1], [0, 0.25, 0, -5], [1, 1, 0, -2]])
    assert found == pytest.approx(wanted)
    assert normalise(cas, preset("default", normalise="none").decoding) is cas


def test_smooth_is_a_renormalised_hann_window():
    cas = np.array([[0.0], [0], [4], [0]])
    assert smooth(cas, 1) is cas
    assert smooth(cas, 3)[:, 0] == pytest.approx([0, 1, 2, 4 / 3])
    assert smooth(np.full((7, 2), 3.0), 5) == pytest.approx(np.full((7, 2), 3.0))


# The whole ---------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["official", "default", "activitynet"]),
)
def test_proposals_are_sound(rows, classes, seed, name):
    rng = np.random.default_rng(seed)
    chosen = preset(name).decoding
    edges = np.concatenate([[0], np.cumsum(rng.uniform(0.1, 1, rows))])
    cas = rng.normal(size=(rows, classes))
    found = propose(
        Prediction(cas, rng.uniform(size=classes)),
        edges,
        (edges[:-1] + edges[1:]) / 2,
        chosen,
        edges[-1],
    )
    extra = 1.0 if name == "official" else 0.0
    for proposals in found.values():
        assert len(proposals)
        assert (proposals.end > proposals.start).all()
        assert proposals.start.min() >= 0
        assert proposals.end.max() <= edges[-1] + 1e-9
        assert (np.diff(proposals.score) <= 0).all()
        for i in range(len(proposals)):
            shared = np.minimum(proposals.end[i], proposals.end[:i]) - np.maximum(
                proposals.start[i], proposals.start[:i]
            )
            shared = np.maximum(shared + extra, 0)
            lengths = proposals.end - proposals.start + extra
            iou = shared / (lengths[i] + lengths[:i] - shared)
            assert (iou < chosen.nms_iou).all()


def test_constant_activation_gives_nothing():
    edges = np.arange(5.0)
    found = propose(
        Prediction(np.full((4, 1), 2.0), np.ones(1)), edges, edges[:-1] + 0.5, DEFAULT, 4.0
    )
    assert found == {}
