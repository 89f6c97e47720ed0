import json
import os

import click
import pytest

from basnet_e2e.cli import basnet
from basnet_e2e.demo.steps import Demo, Step, format_table, read_figures, run_step
from basnet_e2e.errors import BasnetError


def figures(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"tiou": [n / 10 for n in range(1, 10)], "map": [value] * 9}))


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """Steps instead of their results; what later steps read is put in place."""
    steps = []

    def record(step):
        steps.append(step)
        if step.program == "basnet_e2e.demo.footage":
            happens = {"label": "striped spin", "segment": [1.1, 2.4]}
            truth = {"database": {"test_01": {"subset": "test", "annotations": [happens]}}}
            (step.makes / "test_intervals.json").write_text(json.dumps(truth))
        elif step.arguments[0] == "evaluate":
            figures(step.makes, 0.25)
        elif step.makes.name == "one-video.json":
            found = {"label": "striped spin", "start": 1.0, "end": 2.5, "score": 0.5}
            step.makes.write_text(json.dumps({"video": "test_01", "intervals": [found]}))

    monkeypatch.setattr("basnet_e2e.demo.steps.run_step", record)
    return steps


def command_names(steps):
    return [s.arguments[0] if s.program == "basnet_e2e" else s.program for s in steps]


def test_the_demo_runs_every_stage_in_order_and_prints_each_command(recorded, tmp_path):
    lines = []
    table = Demo(tmp_path, lines.append).run()
    assert command_names(recorded)[:5] == [
        "basnet_e2e.demo.footage",
        *("extract", "extract", "train", "localize"),
    ]
    assert command_names(recorded)[5] == "report"
    assert f"open {tmp_path / 'page.html'} in a browser" in "\n".join(lines)
    assert list(table) == ["two streams, 100 steps"]
    text = "\n".join(lines)
    for step in recorded:
        assert f"$ {step.line}" in text
    assert "1.00 -   2.50 s  striped spin" in text
    assert "1.10 -   2.40 s  striped spin" in text
    assert text.count("25.0") == 10
    for command in ("extract VIDEOS/", "train features --labels", "localize another.mp4"):
        assert f"\nbasnet {command}" in text


def test_the_comparison_adds_each_stream_alone(recorded, tmp_path):
    lines = []
    table = Demo(tmp_path, lines.append).run(compare=True)
    assert list(table) == ["two streams", "rgb only", "flow only"]
    assert table["rgb only"] == pytest.approx({**dict.fromkeys(table["rgb only"], 0.25)})
    assert "\n".join(lines).count("25.0") == 3 * 10


def test_the_ablation_compares_the_recipes_on_the_same_features(recorded, tmp_path):
    table = Demo(tmp_path, lambda line: None).run(ablation=True)
    assert list(table) == ["baseline", "base", "suppression", "full"]
    trained = [step.arguments for step in recorded if step.arguments[0] == "train"]
    assert len({arguments[1] for arguments in trained}) == 1
    assert [arguments[-1] for arguments in trained] == list(table)


def test_every_command_of_the_demo_is_one_that_basnet_understands(recorded, tmp_path):
    for choice in ({}, {"compare": True}, {"ablation": True}):
        Demo(tmp_path, lambda line: None).run(**choice)
    steps = [step for step in recorded if step.program == "basnet_e2e"]
    assert {step.arguments[0] for step in steps} == {
        "extract",
        "train",
        "localize",
        "report",
        "evaluate",
    }
    for step in steps:
        name, *arguments = step.arguments
        command = basnet.get_command(click.Context(basnet), name)
        context = command.make_context(name, list(arguments))
        assert context.params


def test_a_step_is_done_when_its_result_is_newer_than_what_it_read(tmp_path):
    source, result = tmp_path / "in", tmp_path / "out"
    step = Step("basnet_e2e", ("train",), makes=result, needs=(source,))
    source.touch()
    assert not step.is_done()
    result.touch()
    os.utime(source, (1, 1))
    assert step.is_done()
    os.utime(result, (0, 0))
    assert not step.is_done()
    source.unlink()
    assert not step.is_done()


def test_a_step_that_keeps_stdout_writes_it_only_on_success(tmp_path, capfd):
    good = Step("basnet_e2e", ("--version",), makes=tmp_path / "version", keep_stdout=True)
    run_step(good)
    assert "basnet" in good.makes.read_text()
    bad = Step("basnet_e2e", ("evaluat",), makes=tmp_path / "bad", keep_stdout=True)
    with pytest.raises(BasnetError, match=r"'basnet evaluat > .*bad' failed with exit code 2"):
        run_step(bad)
    assert not bad.makes.exists()
    assert "did you mean 'evaluate'" in capfd.readouterr().err


def test_figures_are_read_and_averaged(tmp_path):
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"tiou": [0.1, 0.2], "map": [0.5, 0.1]}))
    assert read_figures(path) == pytest.approx({"0.1": 0.5, "0.2": 0.1, "average": 0.3})
    path.write_text("{}")
    with pytest.raises(BasnetError, match=r"map\.json: holds no mAP"):
        read_figures(path)


def test_the_table_shows_percent_in_columns():
    table = format_table(
        {"a": {"0.5": 0.123, "average": 1.0}, "long name": {"0.5": 0, "average": 0}}
    )
    lines = table.splitlines()
    assert lines[0].split() == ["0.5", "average"]
    assert lines[1].split() == ["a", "12.3", "100.0"]
    assert lines[2].split() == ["long", "name", "0.0", "0.0"]
    assert len({len(line) for line in lines}) == 1
