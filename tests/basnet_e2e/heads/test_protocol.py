"""The protocol carries a head that nothing but its own file knows: it trains, is saved, resumed,
read and judged, with its own batches, phases, rules and proposals."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_head import ToyHead, ToySettings

from basnet_e2e import BasnetError, evaluate, localize, train
from basnet_e2e.data.annotations.annotations import read_ground_truth
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures, load_features
from basnet_e2e.heads.checkpoint import HeadModel, load_model, save_model
from basnet_e2e.heads.common.decoding_rules import Curve, DecodingRules, Prediction, Proposals
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import Ensemble, build, predict
from basnet_e2e.heads.presets import preset, preset_from_json
from basnet_e2e.heads.registry import HEADS
from basnet_e2e.localization.inference import activations, localize_features, predict_background
from basnet_e2e.training.fit import fit
from basnet_e2e.training.run_identity import RunInputs

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def toy(monkeypatch):
    """The toy head, registered like any other."""
    monkeypatch.setitem(HEADS, "toy", ToyHead())
    return preset("default", head="toy")


@pytest.fixture
def register(monkeypatch):
    """Register a head of this class; gives its settings."""

    def register(kind):
        monkeypatch.setitem(HEADS, "toy", kind())
        return preset("default", head="toy")

    return register


@pytest.fixture
def labels(tree):
    rows = [f"train_{n},{['swim', 'jump'][n % 2]}" for n in range(6)]
    (tree / "labels.csv").write_text("\n".join(["video,labels", *rows]) + "\n")
    return tree / "labels.csv"


def make_set(rows=(9, 30, 21), labels=(("a",), ("b",), ("a", "b")), width=6):
    rng = np.random.default_rng(0)
    videos = []
    for index, count in enumerate(rows):
        start = np.arange(count) * 0.64
        x = rng.normal(size=(count, width)).astype(np.float32)
        videos.append(VideoFeatures(f"v{index}", x, start, start + 0.64, count * 0.64, {}))
    return LabelledSet(videos, list(labels), ("a", "b"), {})


def test_commands_take_any_head(toy, tree, labels, tmp_path, run):
    model, found = tmp_path / "m.safetensors", tmp_path / "found.json"
    code, _, err = run("train", tree, "--labels", labels, "-o", model, "--head", "toy")
    assert code == 0, err
    assert any("training toy default on 6 videos" in line for line in err)
    assert load_model(model).preset.head == "toy"
    folder = tree / "features" / "test"
    code, _, err = run("localize", folder, "-m", model, "--keep", "all", "-o", found, "-q")
    assert code == 0, err
    code, out, err = run("evaluate", found, "--ground-truth", tree / "gt.json", "--json")
    assert code == 0, err
    assert json.loads(out)["map"][0] > 0.5


def test_an_unknown_head_is_one_line(tree, labels, tmp_path, run):
    command = ("train", tree, "--labels", labels, "-o", tmp_path / "m", "--head", "basnat")
    code, _, err = run(*command)
    assert code == 2
    assert err[-1].startswith("error: no head 'basnat'; did you mean basnet?")


def test_it_learns_and_is_validated(toy, tree, labels):
    states = []
    model = train(tree, labels, head="toy", progress=states.append)
    assert set(states[-1].parts) == {"entropy", "sparsity"}
    whole = states[-1].parts["entropy"] + 1e-3 * states[-1].parts["sparsity"]
    assert states[-1].loss == pytest.approx(whole)
    videos = load_features(tree, subset="test").videos
    found = [localize_features(model, video) for video in videos]
    assert evaluate(found, read_ground_truth(tree / "gt.json")).map[0] > 0.5
    assert predict_background(activations(model, videos[0]), videos[0])[0].any()


def test_resumed_equals_uninterrupted_and_names_the_head(toy, tree, labels, tmp_path):
    whole = train(tree, labels, toy, output=tmp_path / "whole.safetensors")

    def interrupt(state):
        if state.step == 22:  # after the rate has fallen
            os.kill(os.getpid(), signal.SIGINT)

    output = tmp_path / "parts.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(tree, labels, toy, output=output, progress=interrupt)
    with pytest.raises(BasnetError, match=r"another head \(toy against plus\)"):
        train(tree, labels, "small", output=output, resume=True)
    parts = train(tree, labels, toy, output=output, resume=True)
    assert whole.training == parts.training
    assert output.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()


def test_a_head_without_recipes_has_none(toy):
    with pytest.raises(BasnetError, match="the head toy has no recipes"):
        preset("default", head="toy", recipe="full")


# Settings added later ----------------------------------------------------------------------------


def test_older_files_have_the_older_value_of_an_added_setting(toy):
    document = toy.to_json()
    assert preset_from_json(document) == toy
    del document["own"]["drop_at"]
    assert preset_from_json(document).own == ToySettings(drop_at=10)
    del document["own"]["sparsity"]  # was always there
    with pytest.raises(BasnetError, match="without the settings sparsity"):
        preset_from_json(document)


# What a head may do its own way ------------------------------------------------------------------


def test_own_videos_batches_and_samples(register):
    batches = []

    class Pairs(ToyHead):
        def videos(self, data, preset):
            cut = replace(data.videos[0], id="cut", x=data.videos[0].x[:2])
            return replace(data, videos=[*data.videos, cut], labels=[*data.labels, ()])

        def choose(self, labels, step, seed, preset):
            first = step % len(labels)
            shared = np.flatnonzero((labels @ labels[first]) > 0)
            return [first, *shared[shared != first].tolist()][:2] if len(shared) else [first]

        def sample(self, x, preset, rng):
            return np.concatenate([x[rng.integers(len(x), size=3)] for _ in range(7)])

        def network(self, shape, preset):
            net = super().network(shape, preset)
            net.register_buffer("mean", torch.zeros(shape.features))
            return net

        def prepare(self, net, data, preset):
            net.mean.copy_(torch.from_numpy(data.videos[1].x.mean(0)))

        def forward(self, net, batch, preset):
            batches.append(batch)
            return super().forward(net, batch, preset)

    settings = register(Pairs).changed(steps=4)
    data = make_set()
    model = fit(RunInputs(data, settings)).last
    assert [tuple(batch.x.shape) for batch in batches] == [(2, 21, 6)] * 3 + [(1, 21, 6)]
    assert all((batch.labels[0] * batch.labels[1]).sum() > 0 for batch in batches[:3])
    assert batches[3].labels.sum() == 0  # the video that the head made
    assert torch.equal(model.net.mean, torch.from_numpy(data.videos[1].x.mean(0)))
    assert model.training["videos"] == 3


def test_two_phases_on_a_frozen_part(register):
    class Phases(ToyHead):
        def optimizer(self, net, preset):
            groups = [{"params": part.parameters()} for part in (net.attention, net.classify)]
            return torch.optim.SGD(groups, lr=0.1, weight_decay=0.1, momentum=0.9)

        def before_step(self, net, optimizer, step, preset):
            frozen, learnt = (net.classify, net.attention)[:: 1 if step >= 5 else -1]
            frozen.requires_grad_(False)
            learnt.requires_grad_(True)

    settings = register(Phases)
    weights = {}
    for steps in (5, 9):
        net = fit(RunInputs(make_set(), settings.changed(steps=steps))).last.net
        weights[steps] = {name: value.clone() for name, value in net.named_parameters()}
    assert torch.equal(weights[5]["classify.weight"], weights[9]["classify.weight"])
    assert not torch.equal(weights[5]["attention.weight"], weights[9]["attention.weight"])


def read_with(register, rules, raw, foreground=None, proposals=None, **decoding):
    """Intervals (start, end, score) in rows of a head that sees these activations."""

    class Fixed(ToyHead):
        def predict(self, net, x, preset):
            return Prediction(raw, np.ones(raw.shape[1]), foreground, {}, proposals)

    Fixed.rules = rules
    settings = register(Fixed).changed(theta_act=(0.5,), normalise="none", **decoding)
    shape = Shape(6, raw.shape[1])
    model = HeadModel(build(shape, settings).eval(), ("a", "b"), settings, shape)
    video = make_set(rows=(len(raw),)).videos[0]
    found = localize_features(model, video).intervals
    return sorted(
        (each.label, round(each.start / 0.64, 1), round(each.end / 0.64, 1), each.score)
        for each in found
    )


RAW = np.array([0.0, 0, 0.8, 0.8, 0, 0, 0.4, 0.4, 0, 0])[:, None]


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (DecodingRules(), [(2, 4)]),
        (DecodingRules(thresholds=lambda values, decoding: [values.mean()]), [(2, 4), (6, 8)]),
        (DecodingRules(classes=lambda scores, decoding: np.zeros(0, np.intp)), []),
        (DecodingRules(runs=lambda *_: (np.array([0]), np.array([48]))), [(0, 2)]),
        (
            DecodingRules(curves=lambda *_: [Curve(RAW[:, 0]), Curve(1 - RAW[:, 0])]),
            [(0, 2), (2, 4), (4, 10)],
        ),
    ],
)  # fmt: skip
def test_own_rules_of_reading(register, rules, wanted):
    found = read_with(register, rules, RAW)
    # Linear interpolation moves a border by less than half a row.
    assert [each[1:3] for each in found] == [pytest.approx(each, abs=0.5) for each in wanted]


def test_own_score_and_suppression(register):
    rules = DecodingRules(
        score=lambda runs, decoding: np.array([runs.scored[a:b].max() for a, b in
                                             zip(runs.first, runs.stop, strict=True)]),
        curves=lambda found, index, decoding: [Curve(found.cas[:, 0], found.foreground)] * 2,
        suppress=lambda found, decoding: found.take(np.argsort(-found.score)),
    )  # fmt: skip
    found = read_with(register, rules, RAW, np.linspace(0, 0.9, 10))
    # Both copies are there, with the highest attention of the run's rows.
    assert [score for *_, score in found] == pytest.approx([0.35, 0.35], abs=0.05)
    shared = read_with(register, replace(rules, suppress=None), RAW, np.linspace(0, 0.9, 10))
    assert len(shared) == 1


def test_a_network_may_propose_by_itself(register):
    own = Proposals(np.array([1.5, 1.6, -3]), np.array([4.5, 4.6, 1]), np.array([0.9, 0.8, 0.7]))
    found = read_with(register, DecodingRules(), RAW, proposals={0: own})
    assert found == [("a", 0.0, 1.0, 0.7), ("a", 1.5, 4.5, 0.9)]


def test_streams_are_told_by_how_features_were_made():
    assert Shape.of(10, 2, {"streams": ["rgb", "flow"]}).streams == (5, 5)
    assert Shape.of(10, 2, {"streams": ["flow"]}).streams == (10,)
    both = {"streams": ["rgb", "flow"], "dimensions": {"rgb": 6, "flow": 4}}
    assert Shape.of(10, 2, both).streams == (6, 4)
    assert Shape.of(10, 2, {}).streams == (10,)


# Several networks in one model -------------------------------------------------------------------


def test_an_ensemble_is_one_model_file_and_read_as_the_mean(toy, tmp_path):
    data, shape = make_set(), Shape(6, 2)
    parts = [fit(RunInputs(data, toy.changed(steps=3), seed)).last.net for seed in (0, 1)]
    model = HeadModel(Ensemble(parts), data.classes, toy, shape)
    save_model(model, tmp_path / "two.safetensors")
    again = load_model(tmp_path / "two.safetensors")
    x = data.videos[1].x
    alone = [predict(net.eval(), x, toy) for net in parts]
    together = activations(again, data.videos[1]).prediction
    for name in ("raw", "foreground", "video_scores"):
        mean = (getattr(alone[0], name) + getattr(alone[1], name)) / 2
        np.testing.assert_allclose(getattr(together, name), mean, rtol=1e-12)
    assert localize(data.videos[1], again, keep="all").intervals


def test_own_proposals_of_an_ensemble_are_pooled(register):
    class Proposing(ToyHead):
        def predict(self, net, x, preset):
            at = np.array([float(net.attention.bias)])
            return Prediction(np.ones((5, 1)), np.ones(1), None, {}, {0: Proposals(at, at + 1, at)})

    settings = register(Proposing)
    net = build(Shape(6, 1), settings, members=2)
    for member, value in zip(net.members, (1.0, 2.0), strict=True):
        member.attention.bias.data.fill_(value)
    assert predict(net, np.zeros((5, 6), np.float32), settings).proposals[0].start.tolist() == [
        1,
        2,
    ]
