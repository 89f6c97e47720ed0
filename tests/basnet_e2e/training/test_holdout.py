"""Videos held out of training: which they are, and what is said of them."""

import json
import logging
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, train
from basnet_e2e.data.features.dataset import LabelledSet, VideoFeatures
from basnet_e2e.evaluation.ranking import judged, recognition, tied_average_precision
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS
from basnet_e2e.training.holdout import hold_out, stratified

pytestmark = pytest.mark.usefixtures("one_thread")
CLASSES = ("jump", "throw", "swim")
TINY = preset("small", hidden=16, filter_hidden=8, batch=6, rate=3e-3, segments=32, steps=60)


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


@st.composite
def label_tables(draw):
    rows, classes = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    flags = st.lists(st.booleans(), min_size=classes, max_size=classes)
    return np.array(draw(st.lists(flags, min_size=rows, max_size=rows)), bool)


@settings(deadline=None)
@given(label_tables(), st.floats(0.05, 0.95), st.integers(0, 5))
def test_no_class_loses_its_last_video(targets, share, seed):
    count = round(share * len(targets))
    chosen = stratified(targets, count, seed)
    assert chosen == sorted(set(chosen)) == stratified(targets, count, seed)
    assert len(chosen) <= count
    rest = np.delete(targets, chosen, axis=0)
    assert (rest.any(axis=0) == targets.any(axis=0)).all()
    if not targets.any(axis=1).all():
        assert not rest.any(axis=1).all()


@pytest.mark.parametrize("seed", range(4))
def test_each_class_gives_its_share(seed):
    targets = np.zeros((100, 3), bool)
    targets[:60, 0] = targets[60:80, 1] = targets[75:90, 2] = True  # 5 with both, 10 without any
    chosen = stratified(targets, 20, seed)
    assert len(chosen) == 20
    held = targets[chosen]
    assert np.abs(held.sum(axis=0) - [12, 4, 3]).max() <= 1
    assert abs(int((~held.any(axis=1)).sum()) - 2) <= 1


def test_another_seed_holds_out_others():
    targets = np.eye(3, dtype=bool)[np.arange(60) % 3]
    assert stratified(targets, 12, 0) != stratified(targets, 12, 1)


def test_a_division_loses_nothing_and_keeps_the_order():
    data = make_set()
    rest, held = hold_out(data, 0.25, 3)
    ids = [video.id for video in rest.videos]
    out = [video.id for video in held.data.videos]
    assert len(out) == 6
    assert sorted(ids + out) == [video.id for video in data.videos]
    assert ids == sorted(ids)
    by_id = {video.id: names for video, names in zip(data.videos, data.labels, strict=True)}
    assert rest.labels == [by_id[name] for name in ids]
    assert held.data.labels == [by_id[name] for name in out]


def test_too_few_videos_are_said():
    with pytest.raises(BasnetError, match=r"holding out 0\.2 of 6 videos leaves 1 video to judge"):
        hold_out(make_set(6), 0.2, 0)
    with pytest.raises(BasnetError, match="leaves 0 videos to judge"):
        hold_out(make_set(3), 0.6, 0)
    for share in (0, 1, 1.5, float("nan")):
        with pytest.raises(BasnetError, match="between 0 and 1"):
            hold_out(make_set(), share, 0)


def test_equal_scores_rank_by_chance():
    truth = np.array([True, False, False, True])
    assert tied_average_precision(truth, np.zeros(4)) == pytest.approx(0.5)
    assert tied_average_precision(truth, np.array([4.0, 2, 1, 3])) == 1
    # Best first: one of one, then two of four.
    assert tied_average_precision(truth, np.array([4.0, 2, 3, 1])) == pytest.approx(0.75)


@settings(deadline=None, max_examples=30)
@given(label_tables(), st.integers(0, 9))
def test_recognition_of_the_truth_itself_and_of_nothing(truth, seed):
    columns = judged(truth)
    if not len(columns):
        return
    perfect = recognition(truth, truth.astype(float))
    assert (perfect.map, perfect.videos, perfect.classes) == (1, len(truth), len(columns))
    assert perfect.chance <= perfect.luck <= 1
    constant = recognition(truth, np.zeros(truth.shape))
    assert constant.near_chance
    assert constant.map == pytest.approx(truth[:, columns].mean())


def test_chance_is_that_of_random_scores():
    truth = np.eye(4, dtype=bool)[np.arange(80) % 4]
    rng = np.random.default_rng(0)
    found = [recognition(truth, rng.normal(size=truth.shape)) for _ in range(20)]
    assert np.mean([one.map for one in found]) == pytest.approx(found[0].chance, abs=0.03)
    assert sum(one.near_chance for one in found) >= 15
    assert not recognition(truth, truth + rng.normal(0, 0.3, truth.shape)).near_chance


def test_the_end_of_training_says_how_well_labels_are_recognised(tmp_path, caplog):
    output = tmp_path / "m.safetensors"
    with caplog.at_level(logging.INFO, "basnet_e2e"):
        model = train(make_set(), preset=TINY, holdout=0.25, output=output)
    found = model.training["holdout"]
    assert found == load_model(output).training["holdout"]
    assert (found["share"], found["videos"], found["classes"]) == (0.25, 6, 3)
    assert found["map"] > 0.9 > found["luck"] > found["chance"]
    assert model.training["videos"] == 18
    said = re.search(r"6 videos held out: .* ([\d.]+) % over 3 classes", caplog.text)
    assert float(said[1]) == pytest.approx(100 * found["map"], abs=0.06)
    assert "near chance" not in caplog.text


def test_labels_that_cannot_be_recognised_warn(caplog):
    train(make_set(signal=0.0), preset=TINY, holdout=0.25, steps=2)
    assert [one.levelname for one in caplog.records if "near chance" in one.message] == ["WARNING"]


def test_held_out_videos_are_not_learnt_from():
    data = make_set()
    rest, held = hold_out(data, 0.25, 0)
    for video in held.data.videos:
        video.x[:] = np.nan  # would make the loss not finite
    with np.errstate(invalid="ignore"):
        model = train(data, preset=TINY, steps=4, holdout=0.25)
    alone = train(rest, preset=TINY, steps=4)
    assert model.training["data"] == alone.training["data"]
    pairs = zip(model.net.state_dict().values(), alone.net.state_dict().values(), strict=True)
    assert all((left == right).all() for left, right in pairs)


def test_every_head_holds_out(monkeypatch):
    from toy_head import ToyHead

    monkeypatch.setitem(HEADS, "toy", ToyHead())
    model = train(make_set(), head="toy", holdout=0.25)
    assert model.training["holdout"]["map"] > 0.9


def test_a_run_is_known_by_what_it_held_out(tmp_path):
    output, data = tmp_path / "m.safetensors", make_set()
    options = {"preset": TINY, "steps": 4, "output": output}
    train(data, holdout=0.25, **options)
    before = output.read_bytes()
    train(data, holdout=0.25, resume=True, **options)
    assert output.read_bytes() == before
    with pytest.raises(BasnetError, match=r"another share held out \(0\.25 against none\)"):
        train(data, resume=True, **options)
    with pytest.raises(BasnetError, match=r"another share held out \(0\.25 against 0\.5\)"):
        train(data, holdout=0.5, resume=True, **options)
    _, held = hold_out(data, 0.25, 0)
    held.data.videos[0].x[:] += 1
    changed = make_set()
    row = [video.id for video in changed.videos].index(held.data.videos[0].id)
    changed.videos[row] = held.data.videos[0]
    held.data.videos[0].__dict__.pop("digest", None)
    with pytest.raises(BasnetError, match="other videos held out"):
        train(changed, holdout=0.25, resume=True, **options)


def test_validation_does_not_see_held_out_videos():
    from basnet_e2e import Interval
    from basnet_e2e.data.annotations.annotations import GroundTruth

    data = make_set()
    truth = GroundTruth({video.id: [Interval("jump", 5, 12)] for video in data.videos})
    with pytest.raises(BasnetError, match="none of its 24 videos has features without being"):
        train(data, preset=TINY, holdout=0.25, validate=truth)


def test_the_command_line(tree, run, tmp_path):
    database = json.loads((tree / "gt.json").read_text())["database"]
    rows = [f"{name},{kept['annotations'][0]['label']}" for name, kept in database.items()]
    labels = tmp_path / "labels.csv"
    labels.write_text("\n".join(["video,labels", *rows]) + "\n")
    features = tmp_path / "features"
    for part in ("train", "test"):
        for path in (tree / "features" / part).rglob("*.npy"):
            target = features / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    model = tmp_path / "m.safetensors"
    code, _, err = run("train", features, "--labels", labels, "-o", model, "--preset", "small",
                       "--steps", 20, "--holdout", 0.4, "--device", "cpu")  # fmt: skip
    assert code == 0
    assert any(line.startswith("4 videos held out") for line in err)
    code, out, _ = run("inspect", model)
    assert "held out    4 videos, mean average precision" in " ".join(out.split("\n"))
    code, _, err = run("train", features, "--labels", labels, "-o", model, "--holdout", 1)
    assert code == 2
    assert "--holdout" in err[0]
