import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError
from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.basnet.settings import RECIPES
from basnet_e2e.heads.checkpoint import HeadModel
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.inference import (
    activations,
    localize_features,
    localize_pretrained,
    predict_background,
)

CLASSES = ("run", "jump")


def make_video(rows, width=5, seed=0, stride=0.64):
    rng = np.random.default_rng(seed)
    start = np.arange(rows) * stride
    x = rng.normal(size=(rows, width)).astype(np.float32)
    return VideoFeatures("v", x, start, start + 0.64, float(start[-1] + 0.64), {})


def make_model(recipe="full", name="small", **settings):
    sizes = {"hidden": 8, "filter_hidden": 4, "segments": 16, "theta_class": 0.0}
    chosen = preset(name, recipe=recipe, **sizes, **settings)
    torch.manual_seed(1)
    net = build(Shape(5, 2), chosen).eval()
    return HeadModel(net, CLASSES, chosen, Shape(5, 2))


@pytest.mark.parametrize("recipe", list(RECIPES))
@pytest.mark.parametrize("name", ["official", "default", "activitynet"])
@pytest.mark.parametrize("rows", [1, 2, 7, 40])
def test_any_length_recipe_and_preset(recipe, name, rows):
    model, video = make_model(recipe, name), make_video(rows)
    found = localize_features(model, video)
    assert set(found.classes) == set(CLASSES)
    assert all(0 <= i.start < i.end <= video.duration + 1e-9 for i in found.intervals)
    scores = [interval.score for interval in found.intervals]
    assert scores == sorted(scores, reverse=True)
    seen = activations(model, video)
    n = rows if name == "default" else 16
    assert seen.cas.shape == (n, 2)
    assert seen.prediction.raw.shape == (n, 2 + RECIPES[recipe].background)
    assert (seen.foreground is not None) == RECIPES[recipe].suppression
    predicted, score = predict_background(seen, video)
    assert predicted.shape == score.shape == (rows,)


def test_reads_the_branch_of_the_recipe():
    model, video = make_model("full"), make_video(9)
    output = model.net(torch.from_numpy(video.x)[None])
    seen = activations(model, video)
    np.testing.assert_allclose(
        seen.prediction.raw, output.cas_supp[0].detach(), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        seen.prediction.video_scores, output.scores_supp[0, :2].detach(), rtol=1e-5
    )
    model = make_model("base")
    output = model.net(torch.from_numpy(video.x)[None])
    seen = activations(model, video)
    np.testing.assert_allclose(
        seen.prediction.raw, output.cas_base[0].detach(), rtol=1e-5, atol=1e-6
    )
    # Softmax over C + 1, background dropped, not renormalised.
    np.testing.assert_allclose(
        seen.prediction.video_scores, output.scores_base[0, :2].detach(), rtol=1e-5
    )
    assert seen.prediction.video_scores.sum() < 1


def test_other_width_says_both_sizes():
    message = "features are 6 wide, the model was trained on 5"
    with pytest.raises(BasnetError, match=message):
        localize_features(make_model(), make_video(4, width=6))


def test_background_by_recipe():
    video = make_video(30)
    model = make_model("full")
    seen = activations(model, video)
    predicted, score = predict_background(seen, video)
    assert (predicted == (seen.foreground < 0.5)).all()
    assert (score == -seen.foreground).all()
    seen = activations(make_model("base"), video)
    predicted, score = predict_background(seen, video)
    assert (predicted == (seen.prediction.raw.argmax(1) == 2)).all()
    softmax = torch.softmax(torch.from_numpy(seen.prediction.raw), 1)[:, 2].numpy()
    assert score + 1 == pytest.approx(softmax)
    seen = activations(make_model("baseline"), video)
    predicted, _ = predict_background(seen, video)
    assert (predicted == (seen.cas.max(1) < 0.1)).all()


def test_background_of_rescaled_videos_is_on_the_snippets():
    model = make_model("full", "official")
    video = make_video(32)
    seen = activations(model, video)
    _, score = predict_background(seen, video)
    assert len(seen.foreground) == 16
    assert (score == -np.repeat(seen.foreground, 2)).all()


# The built-in classifier -------------------------------------------------------------------------


def test_probabilities_are_the_activation():
    # Class 1 is certain in rows [4, 8) of 12; its score is the highest row of 12 // 8 = 1.
    probabilities = np.full((12, 3), [0.5, 0.0, 0.5])
    probabilities[4:8] = [0.0, 1.0, 0.0]
    found = localize_pretrained(probabilities, make_video(12), ("a", "b", "c"), "kinetics400")
    assert found.model == "kinetics400"
    best = {}
    for interval in found.intervals:
        best.setdefault(interval.label, interval)
    assert best["b"].score == found.intervals[0].score
    # Linear between centres: cut at .1, .4 rows beyond each end; at .9, .4 rows within.
    assert best["b"].start == pytest.approx(4 * 0.64, abs=0.42 * 0.64)
    assert best["b"].start + best["b"].end == pytest.approx(12 * 0.64)
    assert found.classes == {"b": 1.0, "a": 0.5, "c": 0.5}


def test_near_certain_then_weak():
    # Likely, near certain, then weak, as a real clip of one lift: the weak part belongs to no
    # interval, and the near certain part is one of its own.
    probabilities = np.zeros((28, 2))
    probabilities[:, 0] = [0.6] * 10 + [1.0] * 11 + [0.08] * 7
    found = localize_pretrained(probabilities, make_video(28), CLASSES, "kinetics400")
    assert found.intervals[0].end == pytest.approx(21 * 0.64, abs=0.64)
    certain = [i for i in found.intervals if abs(i.start - 10 * 0.64) < 0.4]
    assert certain[0].end == pytest.approx(21 * 0.64, abs=0.64)
    assert max(i.end for i in found.intervals) < 22 * 0.64


def test_nothing_is_shorter_than_a_snippet():
    probabilities = np.full((12, 2), [0.05, 0.95])
    probabilities[5] = [0.95, 0.05]
    found = localize_pretrained(probabilities, make_video(12), CLASSES, "kinetics400")
    assert {interval.label for interval in found.intervals} == {"run", "jump"}
    assert all(interval.length > 0.64 - 1e-9 for interval in found.intervals)


def test_classes_below_a_quarter_have_no_interval():
    probabilities = np.full((10, 3), [0.55, 0.2495, 0.2005])
    found = localize_pretrained(probabilities, make_video(10), ("a", "b", "c"), "kinetics400")
    assert {interval.label for interval in found.intervals} == {"a"}
    assert list(found.classes) == ["a", "b", "c"]


def test_a_single_snippet():
    video = make_video(1)
    found = localize_pretrained(np.array([[0.9, 0.1]]), video, CLASSES, "kinetics400")
    (interval,) = found.intervals
    assert (interval.label, interval.start, interval.end) == ("run", 0.0, 0.64)
    # No margin, so the inner mean is all: .9 + .2 * .9.
    assert interval.score == pytest.approx(1.08)


def test_unlikely_classes_are_not_named():
    probabilities = np.full((4, 400), 0.1 / 399)
    probabilities[:, 7] = 0.9
    found = localize_pretrained(
        probabilities, make_video(4), [str(i) for i in range(400)], "kinetics400"
    )
    assert list(found.classes) == ["7"]


def test_probabilities_must_fit():
    with pytest.raises(BasnetError, match=r"\(4, 3\) for 5 snippets and 2 classes"):
        localize_pretrained(np.zeros((4, 3)), make_video(5), CLASSES, "kinetics400")
