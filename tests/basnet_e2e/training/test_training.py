import functools
import logging
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError, Interval, train
from basnet_e2e.data.annotations.annotations import GroundTruth, Labels
from basnet_e2e.data.features.dataset import FeatureSet, LabelledSet, VideoFeatures
from basnet_e2e.evaluation.evaluate import evaluate
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.common.video_order import choose_videos
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.inference import localize_features
from basnet_e2e.training.train import default_head
from extract.machine.stop_signals import Terminated, sigterm_as_ctrl_c

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH = 12
CLASSES = ("jump", "throw", "swim")
TINY = preset("small", hidden=16, filter_hidden=8, batch=6, rate=3e-3, segments=None, steps=12)


def make_video(name, rng, label=None, rows=40):
    """Noise around a background vector; one action of 12 rows around its class's vector."""
    x = rng.normal(0, 0.3, (rows, WIDTH)).astype(np.float32)
    x[:, -1] += 2
    intervals = []
    if label is not None:
        first = int(rng.integers(2, rows - 14))
        x[first : first + 12, CLASSES.index(label)] += 3
        x[first : first + 12, -1] -= 2
        intervals = [Interval(label, first * 0.64, (first + 12) * 0.64)]
    start = np.arange(rows) * 0.64
    video = VideoFeatures(name, x, start, start + 0.64, rows * 0.64, {"fps": "25"})
    return video, intervals


def make_set(prefix, count, seed, background=2):
    rng = np.random.default_rng(seed)
    names = [CLASSES[i % 3] for i in range(count)] + [None] * background
    rows = rng.integers(30, 60, len(names))
    made = [make_video(f"{prefix}{i}", rng, name, int(n)) for i, (name, n) in
            enumerate(zip(names, rows, strict=True))]  # fmt: skip
    labels = [() if name is None else (name,) for name in names]
    return [video for video, _ in made], labels, {v.id: found for v, found in made}


@pytest.fixture(scope="module")
def data():
    videos, labels, _ = make_set("train", 12, 0)
    return LabelledSet(videos, labels, CLASSES, {"fps": "25"})


def weights(model):
    return {name: tensor.clone() for name, tensor in model.net.state_dict().items()}


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


# The suppression branch alone has nobody to tell its filter what background is, and learns slowly.
@pytest.mark.parametrize(
    ("recipe", "steps"), [("full", 120), ("suppression", 300), ("base", 120), ("baseline", 120)]
)
def test_learns_to_localize(data, recipe, steps):
    model = train(data, preset=TINY, recipe=recipe, steps=steps)
    videos, labels, truth = make_set("test", 9, 1, background=0)
    found = [localize_features(model, video) for video in videos]
    # Labels of whole videos must have taught the classes ...
    best = [max(result.classes, key=result.classes.get) for result in found]
    assert sum(name == label for name, (label,) in zip(best, labels, strict=True)) >= 8
    # ... and when they happen.
    table = evaluate(found, GroundTruth(truth))
    assert table.map[0] > 0.6
    assert table.average > 0.4


def test_equal_seeds_give_equal_weights_and_others_do_not(data):
    before = torch.get_rng_state()
    models = [weights(train(data, preset=TINY, seed=seed)) for seed in (3, 3, 4)]
    assert same(models[0], models[1])
    assert not same(models[0], models[2])
    # The caller's random numbers are its own.
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("settings", [TINY, preset("official", hidden=16, filter_hidden=8,
                                                   segments=50, batch=6, steps=12)])  # fmt: skip
def test_interrupted_and_resumed_equals_uninterrupted(data, tmp_path, settings):
    whole = train(data, preset=settings, output=tmp_path / "whole.safetensors")
    output = tmp_path / "parts.safetensors"
    stops = ((5, signal.SIGINT, KeyboardInterrupt), (9, signal.SIGTERM, Terminated))
    for step, number, error in stops:

        def interrupt(state, step=step, number=number):
            if state.step == step:
                os.kill(os.getpid(), number)

        with sigterm_as_ctrl_c(), pytest.raises(error):
            train(data, preset=settings, output=output, resume=True, progress=interrupt)
        assert (tmp_path / "parts.safetensors.state").is_file()
        assert not output.exists()
    steps = []
    torch.rand(5)  # whatever happens between
    parts = train(data, preset=settings, output=output, resume=True,
                  progress=lambda state: steps.append(state.step))  # fmt: skip
    assert steps == [10, 11, 12]
    assert same(weights(whole), weights(parts))
    assert whole.training == parts.training
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
    assert not (tmp_path / "parts.safetensors.state").exists()


def other_data(data):
    """Training data that differ in one thing, and what is said of it."""
    videos, labels = data.videos, data.labels
    make = functools.partial(LabelledSet, settings=data.settings)
    remade = replace(videos[0], x=videos[0].x + 1)
    return [
        (
            make(videos[:-1], labels[:-1], CLASSES),
            r"other videos \(then also 'train13'\)",
        ),
        (
            make([replace(videos[0], id="new"), *videos[1:]], labels, CLASSES),
            r"other videos \(then also 'train0'; now also 'new'\)",
        ),
        (
            make(videos, [("swim",), *labels[1:-1], ("jump",)], CLASSES),
            r"other labels of 'train0' \('jump' against 'swim'\), and of 1 more",
        ),
        (make([remade, *videos[1:]], labels, CLASSES), "other features of 'train0'"),
        (make(videos[::-1], labels[::-1], CLASSES), "another order of the videos"),
        (
            make(videos, labels, CLASSES[::-1]),
            r"other classes \('jump', 'throw', 'swim' against 'swim', 'throw', 'jump'\)",
        ),
    ]


def test_another_run_is_not_resumed(data, tmp_path):
    output = tmp_path / "m.safetensors"

    def interrupt(state):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(data, preset=TINY, output=output, progress=interrupt)
    with pytest.raises(BasnetError, match=r"another seed \(0 against 1\)"):
        train(data, preset=TINY, output=output, seed=1, resume=True)
    with pytest.raises(BasnetError, match=r"another steps \(12 against 9\)"):
        train(data, preset=TINY, output=output, steps=9, resume=True)
    with pytest.raises(BasnetError, match=r"another preset \(small against default\)"):
        train(
            data, preset=replace(TINY.changed(batch=5), name="default"), output=output, resume=True
        )
    for changed, words in other_data(data):
        with pytest.raises(BasnetError, match=words) as caught:
            train(changed, preset=TINY, output=output, resume=True)
        assert re.search("[0-9a-f]{12}", str(caught.value).split("interrupted")[1]) is None
    state = tmp_path / "m.safetensors.state"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(BasnetError, match="damaged training state"):
        train(data, preset=TINY, output=output, resume=True)


def test_a_finished_run_is_not_trained_again(data, tmp_path, caplog):
    output = tmp_path / "m.safetensors"
    train(data, preset=TINY, output=output)
    written = output.read_bytes()

    def refuse(state):
        raise AssertionError("trained again")

    with caplog.at_level(logging.INFO):
        model = train(data, preset=TINY, output=output, resume=True, progress=refuse)
    assert "is finished (12 steps), nothing to resume" in caplog.text
    assert "model written" not in caplog.text.split("is finished")[1]
    assert (model.name, model.training["steps"]) == ("m", 12)
    for changes, words in [
        ({"seed": 1}, r"a finished run with another seed \(0 against 1\)"),
        ({"steps": 9}, r"another steps \(12 against 9\)"),
        ({"recipe": "base"}, r"another recipe \(full against base\)"),
    ]:
        with pytest.raises(BasnetError, match=words):
            train(data, preset=TINY, output=output, resume=True, progress=refuse, **changes)
    with pytest.raises(BasnetError, match="with other videos, labels or features; train without"):
        train(other_data(data)[0][0], preset=TINY, output=output, resume=True, progress=refuse)
    assert output.read_bytes() == written
    train(data, preset=TINY, output=output, steps=1)  # without resume it is replaced as ever
    assert output.read_bytes() != written


def test_a_finished_validated_run_is_known(data, tmp_path):
    videos, _, truth = make_set("val", 3, 2)
    together = FeatureSet([*data.videos, *videos], data.settings)
    named = {v.id: names for v, names in zip(data.videos, data.labels, strict=True)}
    output = tmp_path / "m.safetensors"

    def go(validate, **options):
        return train(together, Labels(named, CLASSES), TINY, validate=validate, steps=2,
                     output=output, **options)  # fmt: skip

    go(GroundTruth(truth))
    steps = []
    go(GroundTruth(truth), resume=True, progress=steps.append)
    assert steps == []
    with pytest.raises(BasnetError, match=r"with --validate, now without it"):
        go(None, resume=True)
    fewer = GroundTruth(dict(list(truth.items())[:-1]))
    with pytest.raises(BasnetError, match="other validation videos or intervals"):
        go(fewer, resume=True)


def test_ctrl_c_elsewhere_works_after_training(data):
    before = signal.getsignal(signal.SIGINT)
    train(data, preset=TINY, steps=1)
    assert signal.getsignal(signal.SIGINT) is before


def test_model_file_holds_all_that_localize_needs(data, tmp_path):
    output = tmp_path / "sport.safetensors"
    trained = train(data, preset=TINY, recipe="base", output=output, seed=5)
    read = load_model(output)
    assert (read.classes, read.preset.recipe, read.name) == (CLASSES, "base", "sport")
    assert read.preset == trained.preset
    assert read.preset.training.segments == 64
    assert read.extractor == {"fps": "25"}
    assert read.training == trained.training
    assert (read.training["steps"], read.training["seed"]) == (12, 5)
    assert (read.training["videos"], read.training["unlabelled"]) == (14, 2)
    assert localize_features(read, data.videos[0]) == localize_features(trained, data.videos[0])


def test_progress_says_how_long(data):
    states = []
    train(data, preset=TINY, progress=states.append)
    assert [state.step for state in states] == list(range(1, 13))
    assert all(state.steps == 12 and state.speed > 0 and state.left >= 0 for state in states)
    assert states[-1].left == 0
    assert states[-1].best is None
    parts = states[-1].parts
    assert set(parts) == {"base", "suppression", "norm"}
    whole = parts["base"] + parts["suppression"] + TINY.own.alpha * parts["norm"]
    assert states[-1].loss == pytest.approx(whole)


def test_the_best_validated_step_is_kept(data):
    videos, _, truth = make_set("val", 6, 2)
    together = FeatureSet([*data.videos, *videos], data.settings)
    labels = Labels(
        {v.id: names for v, names in zip(data.videos, data.labels, strict=True)}, CLASSES
    )
    steps = []
    model = train(together, labels, TINY, validate=GroundTruth(truth), steps=40,
                  progress=steps.append)  # fmt: skip
    kept = model.training["validation"]
    found = [localize_features(model, video) for video in videos]
    assert evaluate(found, GroundTruth(truth)).average == pytest.approx(kept["average_map"])
    assert kept["average_map"] == steps[-1].best
    # The same run up to that step has the same weights.
    shorter = train(data, preset=TINY, steps=kept["step"])
    assert same(weights(model), weights(shorter))


def test_labels_of_features_in_memory_are_checked_as_those_of_files(data, caplog):
    given = FeatureSet(data.videos, data.settings)
    named = {v.id: names for v, names in zip(data.videos, data.labels, strict=True)}
    twice = Labels(named | {"other/train0": ("swim",)}, CLASSES)
    with pytest.raises(BasnetError, match="'train0', 'other/train0' mean the same video"):
        train(given, twice, TINY, steps=1)
    with caplog.at_level(logging.WARNING):
        train(given, Labels(named | {"elsewhere": ("swim",)}, CLASSES), TINY, steps=1)
    assert "'elsewhere'" in caplog.text


def test_training_videos_do_not_validate(data):
    truth = GroundTruth({video.id: [] for video in data.videos})
    with pytest.raises(BasnetError, match="videos of its own"):
        train(data, preset=TINY, validate=truth)


def test_validation_names_match_as_labels_do(data, caplog):
    videos, _, truth = make_set("val", 1, 2, background=0)
    together = FeatureSet([*data.videos, *videos], data.settings)
    named = {v.id: names for v, names in zip(data.videos, data.labels, strict=True)}
    renamed = {f"videos/{name}.mp4": found for name, found in truth.items()}
    with caplog.at_level(logging.INFO):
        model = train(together, Labels(named, CLASSES), TINY, validate=GroundTruth(renamed),
                      steps=1)  # fmt: skip
    assert "1 validation video matched by the end of the path" in caplog.text
    assert model.training["validation"]["step"] == 1
    with pytest.raises(BasnetError, match="mean the same video 'val0'"):
        train(together, Labels(named, CLASSES), TINY, validate=GroundTruth(truth | renamed))


def test_test_videos_do_not_validate(data, tmp_path):
    path = tmp_path / "gt.json"
    path.write_text(
        '{"database": {"a": {"subset": "test", "annotations": '
        '[{"label": "jump", "segment": [0, 1]}]}}}'
    )
    with pytest.raises(BasnetError, match="test videos only"):
        train(data, preset=TINY, validate=path)


def test_videos_without_label(data, caplog):
    with caplog.at_level(logging.WARNING):
        model = train(data, preset=preset("official", hidden=8, segments=20), steps=1)
    assert "'train12', 'train13'" in caplog.text
    assert model.training["videos"] == 12
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        model = train(data, preset=TINY, recipe="baseline", steps=1)
    assert "recipe baseline cannot learn from videos without labels" in caplog.text
    assert model.training["videos"] == 12


def labelled(data, labels, classes=CLASSES):
    return LabelledSet(data.videos[: len(labels)], labels, classes, data.settings)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([(), ()], "no training video has a label"),
        (
            [("jump",), ("jump",), ("jump",)],
            r"all 3 training videos have the same label \('jump'\)",
        ),
    ],
)
def test_nothing_to_learn(data, labels, message):
    with pytest.raises(BasnetError, match=message):
        train(labelled(data, labels), preset=TINY)


def test_one_class_and_background_can_be_learnt(data):
    model = train(labelled(data, [("jump",), (), ("jump",)], ("jump",)), preset=TINY)
    assert np.isfinite(model.training["loss"])


def test_resume_needs_an_output(data):
    with pytest.raises(BasnetError, match="resuming needs the model file"):
        train(data, preset=TINY, resume=True)


def test_labels_are_needed(data):
    with pytest.raises(BasnetError, match="needs labels"):
        train(FeatureSet(data.videos, data.settings), None, TINY)


def test_unknown_device(data):
    with pytest.raises(BasnetError, match="no device 'gpu'"):
        train(data, preset=TINY, device="gpu")


def test_features_that_cannot_be_learnt_from(data):
    huge = [
        VideoFeatures(v.id, np.full_like(v.x, 3e38), v.start, v.end, v.duration, {})
        for v in data.videos
    ]
    with pytest.raises(BasnetError, match="scores of step 1 are not finite"):
        train(LabelledSet(huge, data.labels, CLASSES, {}), preset=TINY)


def test_a_device_is_named(data, caplog):
    with caplog.at_level(logging.INFO):
        train(data, preset=TINY, steps=1, device="cpu")
    assert "on CPU" in caplog.text


def test_epochs_take_every_video_once():
    settings = preset("default", batch=4).training
    seen = [
        index for step in range(5) for index in choose_videos(np.zeros((10, 2)), step, 0, settings)
    ]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]
    assert choose_videos(np.zeros((3, 2)), 0, 0, settings) != []
    assert sorted(choose_videos(np.zeros((3, 2)), 7, 0, settings)) == [0, 1, 2]


def test_official_batches_are_independent():
    settings = preset("official", batch=4).training
    batches = [choose_videos(np.zeros((10, 2)), step, 0, settings) for step in range(200)]
    assert all(len(set(batch)) == 4 for batch in batches)
    # Within what would be an epoch videos come back, unlike in shuffled epochs.
    assert any(set(a) & set(b) for a, b in zip(batches[::2], batches[1::2], strict=True))
    counts = np.bincount(np.concatenate(batches), minlength=10)
    assert counts.min() > 50


@pytest.mark.parametrize(
    ("preset", "recipe", "head"),
    [
        ("default", None, "plus"),
        ("small", None, "plus"),
        ("small", "base", "basnet"),
        ("activitynet", None, "basnet"),
        ("official", None, "basnet"),
    ],
)
def test_who_names_no_head_trains_the_one_to_use(preset, recipe, head):
    assert default_head(preset, recipe) == head


def test_the_head_that_is_trained_is_in_the_model(data):
    assert train(data, preset="small", steps=1).preset.head == "plus"
    assert train(data, preset="small", steps=1, head="basnet").preset.head == "basnet"
