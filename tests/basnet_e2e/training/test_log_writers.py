"""Logs of training: what they hold, and how they go on."""

import os
import signal

import numpy as np
import pytest

from basnet_e2e import BasnetError, Interval, train
from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.data.features.dataset import FeatureSet, LabelledSet, VideoFeatures
from basnet_e2e.data.files.file_kinds import Kind, kind_of
from basnet_e2e.data.training_log import read_log
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.heads.presets import preset
from basnet_e2e.heads.registry import HEADS
from basnet_e2e.training.log_writers import CsvLog, log_path
from basnet_e2e.training.loop import TrainingStep

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = preset("small", hidden=8, filter_hidden=4, batch=4, segments=24, steps=12)


def make_videos(prefix, count):
    rng = np.random.default_rng(0)
    start = np.arange(24) * 0.64
    videos = []
    for index in range(count):
        x = rng.normal(0, 0.3, (24, 6)).astype(np.float32)
        x[4:12, index % 2] += 3
        videos.append(VideoFeatures(f"{prefix}{index}", x, start, start + 0.64, 24 * 0.64, {}))
    return videos


@pytest.fixture
def data():
    labels = [(("swim", "jump")[index % 2],) for index in range(8)]
    return LabelledSet(make_videos("v", 8), labels, ("swim", "jump"), {})


def step(number, parts=None, **more):
    return TrainingStep(number, 12, number / 7, 1.0, 1.0, parts=parts or {}, **more)


def events(folder):
    """Tag -> step -> value, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    tags = read.Tags()["scalars"]
    return {tag: {each.step: each.value for each in read.Scalars(tag)} for tag in tags}


def test_csv_holds_what_progress_was_told(data, tmp_path):
    told = []
    output = tmp_path / "m.safetensors"
    train(data, preset=TINY, output=output, log_to="csv", progress=told.append)
    path = log_path("csv", output)
    assert path.name == "m.safetensors.log.csv"
    assert kind_of(path) is Kind.TRAINING_LOG
    columns = read_log(path)
    assert columns["step"] == list(range(1, 13))
    assert columns["loss"] == pytest.approx([each.loss for each in told], rel=1e-6)
    names = [name for name in columns if name.startswith("loss ")]
    assert names == [f"loss {part}" for part in told[0].parts]
    assert names
    assert columns["rate"] == pytest.approx([TINY.training.rate] * 12)
    assert "validation_map" not in columns
    assert load_model(output).training["log"] == "csv"


def test_validations_stand_in_their_steps(data, tmp_path):
    others = make_videos("w", 4)
    truth = GroundTruth({video.id: [Interval(("swim", "jump")[index % 2], 4 * 0.64, 12 * 0.64)]
                         for index, video in enumerate(others)})  # fmt: skip
    labelled = LabelledSet(data.videos + others, data.labels, data.classes, {})
    from basnet_e2e.data.annotations.annotations import Labels

    labels = Labels({v.id: names for v, names in zip(data.videos, data.labels, strict=True)},
                    data.classes)  # fmt: skip
    output = tmp_path / "m.safetensors"
    model = train(FeatureSet(labelled.videos, {}), labels, TINY, steps=40, validate=truth,
                  output=output, log_to="csv")  # fmt: skip
    columns = read_log(log_path("csv", output))
    scores = dict(zip(columns["step"], columns["validation_map"], strict=True))
    assert {at for at, score in scores.items() if score is not None} == set(range(2, 41, 2))
    best = model.training["validation"]
    assert scores[best["step"]] == pytest.approx(best["average_map"], rel=1e-6)
    assert list(columns)[-1] == "validation_map"


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_a_resumed_run_writes_each_step_once(data, tmp_path, kind):
    if kind == "tensorboard":
        pytest.importorskip("tensorboard")

    def read(name):
        path = log_path(kind, tmp_path / name)
        return path.read_text() if kind == "csv" else events(path)

    train(data, preset=TINY, output=tmp_path / "whole", log_to=kind)

    def interrupt(state):
        if state.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    options = {"preset": TINY, "output": tmp_path / "parts", "log_to": kind}
    with pytest.raises(KeyboardInterrupt):
        train(data, progress=interrupt, **options)
    if kind == "csv":
        # As a killed run leaves it: steps behind the saved state, the last one half.
        with log_path(kind, tmp_path / "parts").open("a") as file:
            file.write(read("parts").splitlines()[-1].replace("5,", "6,", 1) + "\n7,0.1")
    train(data, resume=True, **options)
    assert read("parts") == read("whole")
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_run_from_the_beginning_replaces_the_log(data, tmp_path):
    for steps in (12, 3):
        train(data, preset=TINY, steps=steps, output=tmp_path / "m", log_to="csv")
    assert read_log(log_path("csv", tmp_path / "m"))["step"] == [1, 2, 3]


def test_tensorboard_reads_the_same(data, tmp_path):
    pytest.importorskip("tensorboard")
    told = []
    train(data, preset=TINY, output=tmp_path / "m", log_to="tensorboard", progress=told.append)
    found = events(log_path("tensorboard", tmp_path / "m"))
    assert set(found) == {"loss", "rate", *(f"loss/{part}" for part in told[0].parts)}
    assert found["loss"] == pytest.approx({each.step: each.loss for each in told}, rel=1e-6)


def test_tensorboard_that_is_not_installed_is_named_before_training(data, tmp_path, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BasnetError, match=r"pip install 'basnet-e2e\[tensorboard\]'"):
        train(data, preset=TINY, output=tmp_path / "m", log_to="tensorboard")
    assert not list(tmp_path.iterdir())


def test_other_logs_are_refused(data, tmp_path):
    with pytest.raises(BasnetError, match="one of csv, tensorboard, not 'html'"):
        train(data, preset=TINY, output=tmp_path / "m", log_to="html")
    with pytest.raises(BasnetError, match="beside the model file: give an output"):
        train(data, preset=TINY, log_to="csv")


def test_any_head_and_rates_that_change(data, tmp_path, monkeypatch):
    from toy_head import ToyHead

    monkeypatch.setitem(HEADS, "toy", ToyHead())
    train(data, head="toy", output=tmp_path / "m", log_to="csv")
    columns = read_log(log_path("csv", tmp_path / "m"))
    assert {"loss entropy", "loss sparsity"} < set(columns)
    assert columns["rate"] == pytest.approx([0.5] * 20 + [0.05] * 10)


def test_a_part_that_comes_later_gets_its_column(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    log.write(step(1, {"a": 0.5}, rates=(0.1, 0.2)))
    log.write(step(2, {"a": 0.25}, rates=(0.1, 0.2), monitored=("validation_map", 0.75)))
    log.write(step(3, {"a": 0.125, "b,c": 4.0}, rates=(0.1, 0.2)))
    log.write(step(4, {}, rates=(0.1, 0.2)))
    log.close()
    columns = read_log(tmp_path / "log.csv")
    assert columns["loss a"] == [0.5, 0.25, 0.125, None]
    assert columns["loss b,c"] == [None, None, 4.0, None]
    assert columns["rate 2"] == [0.2] * 4
    assert columns["validation_map"] == [None, 0.75, None, None]


def test_damaged_logs_are_said(tmp_path):
    path = tmp_path / "log.csv"
    with pytest.raises(BasnetError, match="cannot be read"):
        read_log(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(BasnetError, match="not a training log; 'basnet train --log csv'"):
        read_log(path)
    path.write_text("step,loss\n1,0.5\n2\n")
    with pytest.raises(BasnetError, match="line 3 is damaged"):
        read_log(path)


def test_the_command_does_not_replace_another_file(run, tmp_path):
    (tmp_path / "m.safetensors.log.csv").write_text("dear diary\n")
    code, _, err = run("train", tmp_path, "--labels", tmp_path, "-o", tmp_path / "m.safetensors",
                       "--log", "csv")  # fmt: skip
    assert code == 2
    assert "holds a file of another kind, not a training log" in err[0]
