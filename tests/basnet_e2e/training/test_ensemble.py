"""Several networks from several seeds in one model file."""

import os
import signal

import numpy as np
import pytest
import torch

from basnet_e2e import BasnetError, train
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.presets import preset
from basnet_e2e.localization.inference import activations

pytestmark = pytest.mark.usefixtures("one_thread")
BRIEF = preset("small", hidden=8, filter_hidden=4, batch=4, steps=4)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    videos = []
    for index in range(9):
        rows = int(rng.integers(20, 40))
        x, start = rng.normal(size=(rows, 6)).astype(np.float32), np.arange(rows) * 0.64
        videos.append(VideoFeatures(f"v{index}", x, start, start + 0.64, rows * 0.64, {}))
    return LabelledSet(videos, [("abc"[index % 3],) for index in range(9)], ("a", "b", "c"), {})


def test_members_are_the_models_of_their_seeds(data, tmp_path):
    output = tmp_path / "three.safetensors"
    train(data, preset=BRIEF, ensemble=3, seed=5, output=output)
    assert [path.name for path in tmp_path.iterdir()] == ["three.safetensors"]
    model = load_model(output)
    assert model.training["seed"] == 5
    alone = [train(data, preset=BRIEF, seed=seed) for seed in (5, 6, 7)]
    for member, single in zip(model.net.members, alone, strict=True):
        for name, value in single.net.state_dict().items():
            assert torch.equal(member.state_dict()[name], value)
    losses = [single.training["loss"] for single in alone]
    assert model.training["loss"] == pytest.approx(np.mean(losses))
    video = data.videos[0]
    mean = np.mean([activations(each, video).prediction.raw for each in alone], axis=0)
    np.testing.assert_allclose(activations(model, video).prediction.raw, mean)


@pytest.mark.parametrize(("at", "holdout"), [(2, None), (6, None), (11, 0.4)])
def test_interrupted_and_resumed_equals_uninterrupted(data, tmp_path, at, holdout):
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    train(data, preset=BRIEF, ensemble=3, holdout=holdout, output=whole)
    taken = []

    def interrupt(state):
        taken.append(state.step)
        if len(taken) == at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(data, preset=BRIEF, ensemble=3, holdout=holdout, output=parts, progress=interrupt)
    assert len(taken) == at
    train(
        data,
        preset=BRIEF,
        ensemble=3,
        holdout=holdout,
        output=parts,
        progress=interrupt,
        resume=True,
    )
    assert len(taken) == 12  # nothing was done twice
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [parts.name, whole.name]


def test_another_number_is_another_run(data, tmp_path):
    output = tmp_path / "m.safetensors"
    train(data, preset=BRIEF, ensemble=2, output=output)
    again = train(data, preset=BRIEF, ensemble=2, output=output, resume=True, progress=pytest.fail)
    assert len(again.net.members) == 2
    with pytest.raises(BasnetError, match=r"another number of networks \(2 against 3\)"):
        train(data, preset=BRIEF, ensemble=3, output=output, resume=True)


def test_mistakes(data):
    with pytest.raises(BasnetError, match="at least 1 network, not 0"):
        train(data, preset=BRIEF, ensemble=0)
    with pytest.raises(BasnetError, match="leave out one of both"):
        train(data, preset=BRIEF, ensemble=2, validate="gt.json")
    with pytest.raises(BasnetError, match="leave out one of both"):
        train(data, preset=BRIEF, ensemble=2, log_to="csv")


def test_the_commands_know_ensembles(tree, tmp_path, run):
    rows = [f"train_{n},{['swim', 'jump'][n % 2]}" for n in range(6)]
    (tree / "labels.csv").write_text("\n".join(["video,labels", *rows]) + "\n")
    model = tmp_path / "m.safetensors"
    command = ("train", tree, "--labels", tree / "labels.csv", "-o", model, "--head", "wtalc")
    code, _, err = run(*command, "--preset", "small", "--steps", 2, "--ensemble", 2)
    assert code == 0, err
    assert any("network 2 of 2, seed 1" in line for line in err)
    code, out, _ = run("inspect", model)
    assert "mean of 2 networks" in " ".join(out.split())
    code, out, _ = run("localize", tree / "features" / "test", "-m", model, "--keep", "all")
    assert code == 0
