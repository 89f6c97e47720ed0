"""What all heads must do: train from a command, resume, read one stream or two, ignore padding."""

import json

import numpy as np
import pytest
import torch
from torch.func import functional_call

from basnet_e2e import evaluate, train
from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.common.head import Batch, Shape
from basnet_e2e.heads.presets import preset, preset_from_json
from basnet_e2e.heads.registry import HEADS, find_head
from basnet_e2e.intervals import Interval
from basnet_e2e.localization.inference import activations, localize_features, predict_background
from basnet_e2e.training.fit import fit
from basnet_e2e.training.loop import Run
from basnet_e2e.training.run_identity import RunInputs

pytestmark = pytest.mark.usefixtures("one_thread")
ALL = tuple(name for name in HEADS if name != "basnet")
TINY = {
    "untrimmednet": {},
    "hide-and-seek": {"hidden": 5},
    "stpn": {"attention_hidden": 4},
    "autoloc": {"hidden": 4, "regress_steps": 2},
    "wtalc": {"hidden": 5},
    "cmcs": {"hidden": 4, "branch_hidden": 3, "branches": 3},
    "maan": {"attention_hidden": 4},
    "plus": {"components": 4, "networks": 2, "hidden": 5, "attention_hidden": 4},
}


LEARNT = {
    "untrimmednet": {"steps": 200},
    "hide-and-seek": {"steps": 150, "hidden": 16, "rate": 1e-2},
    "stpn": {"steps": 400, "rate": 1e-2},
    "autoloc": {
        "rate": 0.05,
        "steps": 160,
        "hidden": 16,
        "regress_steps": 60,
        "regress_rate": 0.03,
    },
    "wtalc": {"steps": 100, "hidden": 16, "rate": 1e-2},
    "cmcs": {"steps": 100},
    "maan": {"steps": 200, "attention_hidden": 16, "rate": 2e-2, "weight_decay": 0.0},
    "plus": {"steps": 100, "hidden": 16, "attention_hidden": 8},
}


def tiny(head, **settings):
    return preset("small", head=head, **{"steps": 4, "batch": 3, **TINY[head], **settings})


def made_up(streams=("rgb", "flow"), width=6):
    """Eight videos of three classes, of 9 to 30 rows."""
    rng = np.random.default_rng(3)
    settings = {"streams": list(streams)}
    labels = [("a",), ("b",), ("a", "b"), ("a",), ("b",), ("c",), ("c",), ()]
    videos = []
    for index in range(len(labels)):
        rows = int(rng.integers(9, 30))
        x = rng.normal(size=(rows, width)).astype(np.float32)
        start = np.arange(rows) * 0.64
        videos.append(VideoFeatures(f"v{index}", x, start, start + 0.64, rows * 0.64, settings))
    return LabelledSet(videos, labels, ("a", "b", "c"), settings)


@pytest.mark.parametrize("head", HEADS)
def test_presets(head):
    found = find_head(head)
    assert {"default", "small"} <= set(found.presets)
    assert ("official" in found.presets) == (head != "plus")  # of which nothing was released
    for name, each in found.presets.items():
        assert (each.name, each.head) == (name, head)
        assert preset_from_json(json.loads(json.dumps(each.to_json()))) == each


def easy(count, seed):
    """Videos whose class stands in one number of seven rows, and the intervals of these."""
    rng = np.random.default_rng(seed)
    videos, labels, truth = [], [], {}
    for index in range(count):
        rows, label = int(rng.integers(20, 40)), index % 2
        x = rng.normal(0, 0.3, (rows, 6)).astype(np.float32)
        first = int(rng.integers(3, rows - 9))
        x[first : first + 7, label] += 3
        start = np.arange(rows) * 0.64
        videos.append(VideoFeatures(f"v{index}", x, start, start + 0.64, rows * 0.64, {}))
        labels.append(("ab"[label],))
        truth[f"v{index}"] = [Interval("ab"[label], first * 0.64, (first + 7) * 0.64, 1.0)]
    return LabelledSet(videos, labels, ("a", "b"), {}), truth


@pytest.mark.parametrize("head", ALL)
def test_it_learns(head):
    """Where the actions are, in videos that were not trained on."""
    (data, _), (test, truth) = easy(24, 0), easy(6, 1)
    model = fit(RunInputs(data, preset("small", head=head, batch=12, **LEARNT[head]))).last
    found = [localize_features(model, video) for video in test.videos]
    assert evaluate(found, GroundTruth(truth)).map[2] > 0.5


def test_a_command_trains_it(tree, tmp_path, run):
    rows = [f"train_{n},{['swim', 'jump'][n % 2]}" for n in range(6)]
    (tree / "labels.csv").write_text("\n".join(["video,labels", *rows]) + "\n")
    model = tmp_path / "m.safetensors"
    command = ("train", tree, "--labels", tree / "labels.csv", "-o", model)
    code, _, err = run(*command, "--head", "stpn", "--preset", "small", "--steps", 2)
    assert code == 0, err
    assert any("training stpn small on 6 videos" in line for line in err)
    assert load_model(model).preset.head == "stpn"


@pytest.mark.parametrize("head", ALL)
def test_resumed_equals_uninterrupted(head, tmp_path):
    data = made_up()
    if not find_head(head).learns_background(tiny(head)):
        data = LabelledSet(data.videos[:-1], data.labels[:-1], data.classes, data.settings)
    inputs = RunInputs(data, tiny(head))
    whole = fit(inputs).last.net.state_dict()

    def run():
        return Run(inputs, torch.device("cpu"))

    first = run()

    class Stop(Exception):
        pass

    def stop(state):
        if state.step == 3:
            first.state.save(tmp_path / "state")
            raise Stop

    with pytest.raises(Stop):
        first.train(progress=stop)
    second = run()
    second.load(tmp_path / "state")
    second.train()
    for name, value in second.net.state_dict().items():
        assert torch.equal(value, whole[name]), name


@pytest.mark.parametrize("streams", [("rgb",), ("rgb", "flow")])
@pytest.mark.parametrize("head", ALL)
def test_one_stream_or_two(head, streams):
    data = made_up(streams)
    model = train(data, preset=tiny(head))
    assert len(model.shape.streams) == len(streams)
    video = data.videos[0]
    found = localize_features(model, video)
    assert all(0 <= each.start < each.end <= video.duration for each in found.intervals)
    assert predict_background(activations(model, video), video)[0].shape == video.start.shape
    find_head(head).background_rule(model.preset)


def batch_of(rows, labels, width=6, step=0):
    x = torch.zeros(len(rows), max(rows), width, dtype=torch.float64)
    generator = torch.Generator().manual_seed(5)
    for each, count in zip(x, rows, strict=True):
        each[:count] = torch.randn(count, width, generator=generator, dtype=torch.float64)
    counts = torch.tensor(rows)
    labels = torch.tensor(labels, dtype=torch.float64)
    return Batch(x, None if min(rows) == max(rows) else counts, labels, step, 4)


def network(head, settings, width=6, classes=3):
    torch.manual_seed(1)
    shape = Shape(width, classes, (width // 2, width // 2))
    return find_head(head).network(shape, settings).double().eval()


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("head", ALL)
def test_padding_changes_nothing(head, step):
    settings, method = tiny(head, **({"shot_rows": 1} if head == "untrimmednet" else {})), None
    method, net = find_head(head), network(head, settings)
    both = batch_of([7, 4], [[1, 0, 0], [0, 1, 1]], step=step)
    padded = method.forward(net, both, settings)
    noise = both.x.clone()
    noise[1, 4:] = 9
    noisy = method.forward(net, Batch(noise, both.valid, both.labels, step, 4), settings)
    loss = method.loss(padded, both, settings).total
    torch.testing.assert_close(method.loss(noisy, both, settings).total, loss)
    if head in ("wtalc", "autoloc"):
        return  # their losses are no means over videos
    alone = [
        Batch(both.x[[each], :rows], None, both.labels[[each]], step, 4)
        for each, rows in enumerate((7, 4))
    ]
    mean = sum(
        method.loss(method.forward(net, one, settings), one, settings).total for one in alone
    )
    if "sparsity" in dir(settings.own) or head != "stpn":
        torch.testing.assert_close(loss, mean / 2)


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("head", ALL)
def test_gradients(head, step):
    """The whole loss, by every weight and by the features."""
    if step and head != "autoloc":
        pytest.skip("has one phase")
    settings = tiny(head, **({"shot_rows": 1} if head == "untrimmednet" else {}))
    method, net = find_head(head), network(head, settings)
    batch = batch_of([6, 4], [[1, 0, 0], [1, 1, 0]], step=step)
    names = [
        name
        for name, _ in net.named_parameters()
        if head != "autoloc" or name.startswith("classifier") == (step == 0)
    ]
    weights = dict(net.named_parameters())

    class Whole(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            fed = Batch(x, batch.valid, batch.labels, step, 4)
            return method.loss(method.forward(self.net, fed, settings), fed, settings).total

    whole = Whole()

    def loss(x, *values):
        parts = {f"net.{name}": value for name, value in zip(names, values, strict=True)}
        return functional_call(whole, parts, (x,))

    # Features take part in AutoLoc's second phase by an activation that counts as given.
    x = batch.x.clone().requires_grad_(head != "autoloc" or step == 0)
    values = [weights[name].detach().clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(loss, (x, *values), eps=1e-6, atol=1e-6)
