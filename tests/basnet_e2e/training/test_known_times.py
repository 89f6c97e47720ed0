"""Training by whatever is known of when actions happen."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError, evaluate, train
from basnet_e2e.data.annotations.known_times import KnownTimes, Times
from basnet_e2e.data.features.dataset import FeatureSet, LabelledSet, VideoFeatures
from basnet_e2e.evaluation.evaluate import evaluate as judge
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.presets import preset
from basnet_e2e.intervals import Interval
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.training import second_stage
from basnet_e2e.training.known_times import read_any_times

pytestmark = pytest.mark.usefixtures("one_thread")
BASNET = preset("small", hidden=8, filter_hidden=4, batch=4, steps=4)
PLUS = preset("small", head="plus", hidden=16, attention_hidden=8, networks=2, batch=4, steps=20)
ROW = 0.64


@pytest.fixture(autouse=True)
def brief(request, monkeypatch):
    """A second stage of few steps, where it does not matter how good it is."""
    if "borders_right" not in request.node.name:
        monkeypatch.setattr(second_stage, "STEPS", 5)


def made(count, seed=0):
    """Videos in which feature 0 (class a) or 1 (class b) rises gently over some rows."""
    rng = np.random.default_rng(seed)
    videos, labels, times = [], [], {}
    for index in range(count):
        rows, name = int(rng.integers(30, 50)), "ab"[index % 2]
        x = 0.3 * rng.normal(size=(rows, 6)).astype(np.float32)
        found = []
        for first in range(int(rng.integers(3, 7)), rows - 8, 12):
            length = int(rng.integers(4, 8))
            shape = np.concatenate([[0.3], np.ones(length - 2), [0.3]])
            x[first : first + length, index % 2] += 3 * shape
            found.append(Interval(name, first * ROW, (first + length) * ROW))
        start = np.arange(rows) * ROW
        videos.append(VideoFeatures(f"v{index}", x, start, start + ROW, rows * ROW, {}))
        labels.append((name,))
        times[f"v{index}"] = found
    return LabelledSet(videos, labels, ("a", "b"), {}), times


@pytest.fixture(scope="module")
def known():
    return made(8)


def weights(model):
    return {
        name: value
        for name, value in model.net.state_dict().items()
        if not name.startswith("second_stage")
    }


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("settings", [BASNET, PLUS])
def test_without_times_nothing_changes(known, settings):
    data, _ = known
    bare = train(data, preset=settings.changed(second_stage=False, row_weight=0.0))
    assert equal(weights(train(data, preset=settings)), bare.net.state_dict())
    assert "times" not in bare.training


@pytest.mark.parametrize("settings", [BASNET, PLUS])
def test_times_teach_and_are_recorded(known, settings):
    data, times = known
    some = KnownTimes.of({name: times[name] for name in ("v0", "v3")})
    model = train(data, preset=settings, intervals=some)
    assert model.training["times"] == ["v0", "v3"]
    assert model.preset.training.second_stage
    labels_only = train(data, preset=settings)
    assert not equal(model.net.state_dict(), labels_only.net.state_dict())


def test_rows_are_learnt_where_most_videos_are_annotated(known):
    data, times = known
    few = KnownTimes.of({name: times[name] for name in ("v0", "v3")})
    bare, some, most = (
        train(data, preset=PLUS, intervals=given) for given in (None, few, KnownTimes.of(times))
    )
    assert equal(weights(some), bare.net.state_dict())
    assert (some.preset.training.rows, some.preset.own.centred) == ("points", 0)
    assert not equal(weights(most), bare.net.state_dict())
    assert (most.preset.training.rows, most.preset.own.centred) == ("all", 0.6)


@pytest.mark.parametrize("settings", [BASNET, PLUS])
def test_resumed_with_times_equals_uninterrupted(known, tmp_path, settings):
    data, times = known
    given = {"preset": settings, "intervals": KnownTimes.of(times)}
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train(data, output=whole, **given)

    def interrupt(state):
        if state.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(data, output=parts, progress=interrupt, **given)
    other = KnownTimes.of({"v0": times["v0"]})
    with pytest.raises(BasnetError, match="other known intervals"):
        train(data, preset=settings, intervals=other, output=parts, resume=True)
    train(data, output=parts, resume=True, **given)
    assert parts.read_bytes() == whole.read_bytes()


def test_a_model_file_keeps_the_second_stage(known, tmp_path):
    data, times = known
    path = tmp_path / "two.safetensors"
    model = train(data, preset=PLUS, intervals=KnownTimes.of(times), ensemble=2, output=path)
    video = data.videos[0]
    assert localize_features(load_model(path), video).intervals == (
        localize_features(model, video).intervals
    )


def test_intervals_make_borders_right():
    """The rise at the borders of an action belongs to it, which labels alone cannot tell."""
    data, times = made(12)
    model = train(data, preset=PLUS.changed(steps=60), intervals=KnownTimes.of(times))
    test, truth = made(6, seed=1)
    truth = {f"t{name}": found for name, found in truth.items()}
    videos = [replace(video, id=f"t{video.id}") for video in test.videos]
    with_times = judge([localize_features(model, video) for video in videos], truth, (0.9,))
    del model.net.second_stage
    without = judge([localize_features(model, video) for video in videos], truth, (0.9,))
    assert with_times.average > without.average
    assert with_times.average > 0.8


def test_a_video_trained_on_by_its_times_is_not_judged(known):
    data, times = known
    model = train(data, preset=PLUS, intervals=KnownTimes.of({"v0": times["v0"]}))
    found = [localize_features(model, video) for video in data.videos]
    with pytest.raises(BasnetError, match=r"trained on intervals or points of 'v0'.*allow-trained"):
        evaluate(found, times)
    assert 0 <= evaluate(found, times, allow_trained=True).average <= 1
    rest = {name: rows for name, rows in times.items() if name != "v0"}
    assert 0 <= evaluate(found[1:], rest).average <= 1


def test_times_alone_are_enough(known):
    data, times = known
    features = FeatureSet(data.videos, data.settings)
    model = train(features, preset=PLUS, intervals=KnownTimes.of(times))
    assert (model.classes, model.training["videos"]) == (("a", "b"), 8)
    # Where all videos have one label, intervals still tell what is background.
    one = KnownTimes.of({name: times[name] for name in ("v0", "v2")})
    assert train(features, preset=PLUS, intervals=one).classes == ("a",)


def test_the_file_of_a_tool_can_be_given(tmp_path):
    table = tmp_path / "known.csv"
    table.write_text("video,label,start,end\nv,a,1,2\nv,b,3,\nv,,5,6\n", "utf-8")
    corrected = tmp_path / "corrected.json"
    interval = {"label": "a", "start": 1, "end": 2, "score": 1}
    result = {"video": "v", "duration": 9, "classes": {}, "corrected": True}
    corrected.write_text(json.dumps({**result, "intervals": [interval]}), "utf-8")
    whole = read_any_times(table).videos["v"]
    assert whole.points == (Interval("b", 3, 3),)
    assert whole.unknown == (Interval("", 5, 6),)
    found = read_any_times(corrected)
    assert found.videos["v"].intervals == whole.intervals
    assert found.durations == {"v": 9}


def test_a_head_that_learns_from_labels_only_says_so(known):
    data, times = known
    with pytest.raises(BasnetError, match="the head stpn learns from labels only; train plus"):
        train(data, head="stpn", intervals=KnownTimes.of(times))


def test_points_and_unknown_stretches_can_be_trained_on(known):
    data, times = known
    rows = {
        name: Times(
            points=tuple(replace(one, end=one.start + 1, start=one.start + 1) for one in found)
        )
        for name, found in times.items()
    }
    rows["v1"] = Times(tuple(times["v1"][:1]), unknown=(Interval("", times["v1"][0].end, 99),))
    rows["v2"] = Times()
    labels = [
        () if video.id == "v2" else names
        for video, names in zip(data.videos, data.labels, strict=True)
    ]
    given = replace(data, labels=labels, times=rows)
    model = train(given, preset=PLUS)
    again = second_stage.fit_second_stage(model.net, model.preset, given, 0)
    assert equal(again.state_dict(), model.net.second_stage.state_dict())
