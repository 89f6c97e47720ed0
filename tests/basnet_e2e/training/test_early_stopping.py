"""Training that ends when held-out videos are no longer recognised better."""

import os
import signal

import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError, train
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.data.training_log import read_log
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS, find_head
from basnet_e2e.training.early_stopping import PATIENCE, EarlyStopping
from basnet_e2e.training.holdout import hold_out
from basnet_e2e.training.log_writers import log_path
from basnet_e2e.training.loop import evaluated_steps

pytestmark = pytest.mark.usefixtures("one_thread")
CLASSES = ("jump", "throw", "swim")
TINY = preset("small", hidden=16, filter_hidden=8, batch=6, rate=3e-3, segments=32, steps=80)


NOISY = TINY.changed(rate=0.03)  # learns noise by heart


def make_set(count=24, *, signal=3.0, seed=0):
    """Videos whose class shows in their rows, unless ``signal`` is 0."""
    rng = np.random.default_rng(seed)
    start = np.arange(30) * 0.64
    videos = []
    for index in range(count):
        x = rng.normal(0, 0.3, (30, 8)).astype(np.float32)
        x[8:20, index % 3] += signal
        videos.append(VideoFeatures(f"v{index:02}", x, start, start + 0.64, 30 * 0.64, {}))
    return LabelledSet(videos, [(CLASSES[index % 3],) for index in range(count)], CLASSES, {})


def same(one, other):
    pairs = zip(one.net.state_dict().values(), other.net.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def test_noise_is_not_learnt_for_long():
    data, steps = make_set(signal=0.0), []
    model = train(data, preset=NOISY, holdout=0.25, stop_early=True, progress=steps.append)
    kept, looks = model.training["stopping"], evaluated_steps(80)
    losses = [state.monitored[1] for state in steps if state.monitored]
    best = int(np.argmin(losses))
    assert kept == {"step": looks[best], "loss": losses[best], "patience": PATIENCE}
    assert len(losses) == best + 1 + PATIENCE < len(looks)
    assert steps[-1].step == model.training["steps"] == looks[best + PATIENCE] < 80
    assert steps[-1].best == kept["loss"]
    # The same run up to the step kept has the same weights: looking changes nothing.
    rest, _ = hold_out(data, 0.25, 0)
    assert same(model, train(rest, preset=NOISY, steps=kept["step"]))


def test_what_is_learnt_is_learnt_to_the_end():
    model = train(make_set(), preset=TINY, holdout=0.25, stop_early=True)
    assert model.training["steps"] == 80
    assert model.training["stopping"]["step"] > 60
    assert model.training["holdout"]["map"] > 0.9


def test_the_score_is_the_heads_loss_of_all_videos():
    data = make_set(21)
    rest, held = hold_out(data, 0.4, 0)
    assert len(held.data.videos) == 8  # more than a batch of 6
    net = train(rest, preset=TINY, steps=10).net
    stopping, head = EarlyStopping(held), find_head("basnet")
    from basnet_e2e.heads.common.head import Batch

    losses = []
    for video, labels in zip(held.data.videos, held.data.targets(), strict=True):
        batch = Batch(torch.from_numpy(video.x)[None], None, torch.from_numpy(labels)[None], 9, 80)
        with torch.no_grad():
            losses.append(float(head.loss(net(batch.x), batch, TINY).total))
    assert -stopping.score(net, TINY, 10) == pytest.approx(np.mean(losses), rel=1e-5)


def test_giving_up_counts_looks():
    stopping = EarlyStopping(hold_out(make_set(), 0.25, 0)[1], patience=2)
    looks = [4, 8, 12, 16]
    given_up = [stopping.should_stop(looks, best=4, step=step) for step in range(4, 17)]
    assert given_up == [step >= 12 for step in range(4, 17)]
    assert not stopping.should_stop(looks, best=12, step=16)


@pytest.mark.parametrize(("at", "networks"), [(7, 1), (25, 1), (30, 2)])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, at, networks):
    data = make_set(signal=0.0)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = {"preset": NOISY, "holdout": 0.25, "stop_early": True, "ensemble": networks}
    train(data, output=whole, **options)
    taken = []

    def interrupt(state):
        taken.append(state.step)
        if len(taken) == at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(data, output=parts, progress=interrupt, **options)
    train(data, output=parts, progress=interrupt, resume=True, **options)
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "whole"]


def test_a_run_is_known_by_how_it_stops(tmp_path):
    output, data = tmp_path / "m", make_set(signal=0.0)
    options = {"preset": NOISY, "holdout": 0.25, "output": output}
    train(data, stop_early=True, **options)
    train(data, stop_early=True, resume=True, progress=pytest.fail, **options)
    with pytest.raises(BasnetError, match="with --stop-early, now without it"):
        train(data, resume=True, **options)
    train(data, **options)
    with pytest.raises(BasnetError, match="with no --stop-early, now with it"):
        train(data, stop_early=True, resume=True, **options)


@pytest.mark.parametrize("name", sorted(HEADS))
def test_every_head_stops_or_says_that_it_cannot(name):
    chosen = preset("small", head=name, steps=6, batch=8)
    options = {"preset": chosen, "holdout": 0.25, "stop_early": True}
    if name == "autoloc":
        with pytest.raises(BasnetError, match="autoloc learns one thing after the other"):
            train(make_set(), **options)
        return
    kept = train(make_set(), **options).training["stopping"]
    assert 1 <= kept["step"] <= 6
    assert np.isfinite(kept["loss"])


def test_mistakes():
    with pytest.raises(BasnetError, match="give a share, --holdout"):
        train(make_set(), preset=TINY, stop_early=True)
    with pytest.raises(BasnetError, match="leave out one of both"):
        train(make_set(), preset=TINY, stop_early=True, holdout=0.25, validate="gt.json")


def test_the_log_and_the_commands_say_it(tree, run, tmp_path):
    rows = [f"train_{n},{['swim', 'jump'][n % 2]}" for n in range(6)]
    labels = tree / "labels.csv"
    labels.write_text("\n".join(["video,labels", *rows]) + "\n")
    model = tmp_path / "m.safetensors"
    code, _, err = run(
        *("train", tree, "--labels", labels, "-o", model, "--preset", "small", "--steps", 40),
        *("--holdout", 0.4, "--stop-early", "--log", "csv", "--device", "cpu"),
    )
    assert code == 0, err
    kept = load_model(model).training["stopping"]
    assert any(line.startswith(f"kept step {kept['step']}, loss ") for line in err)
    columns = read_log(log_path("csv", model))
    losses = dict(zip(columns["step"], columns["held_out_loss"], strict=True))
    assert losses[kept["step"]] == pytest.approx(kept["loss"], rel=1e-6)
    assert list(columns)[-1] == "held_out_loss"
    code, out, _ = run("inspect", model)
    assert f"step {kept['step']} was the best, loss" in " ".join(out.split())
