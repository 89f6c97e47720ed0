"""Training from the studio: what it learns from, stopping, going on, the model before."""

import json
import shutil

import pytest
from studio_server import Studio

from basnet_e2e.errors import BasnetError
from basnet_e2e.heads.checkpoint import load_model
from basnet_e2e.studio.project.annotation import Annotation
from basnet_e2e.studio.project.project import Project
from basnet_e2e.studio.tasks.runs import publish, read_runs, restore
from basnet_e2e.studio.tasks.training import train_project


@pytest.fixture(scope="module")
def trained(footage, tmp_path_factory):
    """A project after a stopped and continued run, and a second one with corrections."""
    videos, known = footage
    project = tmp_path_factory.mktemp("project")
    events = []
    with Studio(videos, project, cache=tmp_path_factory.mktemp("cache")) as studio:
        names = sorted({label for each in known.values() for label, *_ in each})
        for name in names:
            studio.json("POST", "/api/classes", {"do": "add", "name": name})
        for video, each in known.items():
            assert studio.annotate(video, sorted({label for label, *_ in each}))[0] == 200
        studio.wait(lambda found: found["status"]["features"]["done"] == len(known), "features")

        def status():
            return studio.changes()["status"]["training"]

        studio.json("POST", "/api/training", {"do": "start"})
        studio.wait(lambda found: found["status"]["training"]["run"].get("step", 0) > 0, "steps")
        studio.json("POST", "/api/training", {"do": "stop"})
        studio.wait(lambda found: not found["status"]["training"]["running"], "stop")
        events.append(status())
        studio.json("POST", "/api/training", {"do": "continue"})
        studio.wait(lambda found: len(found["status"]["training"]["runs"]) == 1, "first run")
        studio.wait(lambda found: not found["status"]["training"]["running"], "end")
        events.append(status())
        for video, each in list(known.items())[:5]:
            spans = [list(one) for one in each]
            assert studio.annotate(video, sorted({label for label, *_ in each}), spans)[0] == 200
        studio.json("POST", "/api/training", {"do": "start"})
        studio.wait(lambda found: len(found["status"]["training"]["runs"]) == 2, "second run")
        studio.wait(lambda found: not found["status"]["training"]["running"], "end")
        events.append(status())
    return project, known, events


def test_a_stopped_run_can_be_continued(trained):
    _, known, (stopped, first, _) = trained
    assert stopped["can_resume"]
    assert not stopped["model"]
    assert stopped["error"] == ""
    assert first["runs"][0]["known"]["videos"] == len(known)
    assert not first["can_resume"]


def test_a_run_says_what_it_learnt_from_and_what_it_was_worth(trained):
    project, known, (*_, second) = trained
    run = second["runs"][-1]
    held_out = Project(project).content.held_out
    assert len(held_out) == 1  # the fourth corrected video
    corrected = [each for video, each in list(known.items())[:5] if video not in held_out]
    assert run["known"]["intervals"] == sum(map(len, corrected))
    assert run["known"]["videos"] == len(known) - 1
    assert run["after"]["videos"] == 1
    assert 0 <= run["before"]["average"] <= 1
    assert not set(read_runs(project)[-1]["trained"]) & held_out
    assert any("map" in live for _, live in second["run"]["live"])


def test_every_video_was_looked_at_and_the_open_ones_are_offered(trained):
    project, known, _ = trained
    results = {path.stem for path in (project / "results").glob("*.json")}
    assert results == set(known)
    offers = json.loads((project / ".studio" / "next.json").read_text("utf-8"))
    content = Project(project).content
    assert {each["video"] for each in offers} == {
        video for video in known if content.of(video).state != "corrected"
    }
    assert all(each["why"] for each in offers)


def test_the_model_before_is_kept_and_restored(trained, tmp_path):
    project = shutil.copytree(trained[0], tmp_path / "copy")
    new, old = (load_model(project / name).digest() for name in NAMES)
    assert new != old
    restore(project)
    assert [load_model(project / name).digest() for name in NAMES] == [old, new]
    restore(project)
    assert [load_model(project / name).digest() for name in NAMES] == [new, old]


NAMES = ("model.safetensors", "model.previous.safetensors")


def test_there_is_nothing_to_restore_without_a_model_before(tmp_path):
    Project(tmp_path)
    with pytest.raises(BasnetError, match="no model before"):
        restore(tmp_path)
    (tmp_path / "made").write_bytes(b"first")
    publish(tmp_path, tmp_path / "made")
    assert (tmp_path / "model.safetensors").read_bytes() == b"first"
    assert not (tmp_path / "model.previous.safetensors").exists()


def test_one_class_alone_teaches_nothing(tmp_path, trained):
    project = Project(tmp_path)
    shutil.copytree(trained[0] / "features", tmp_path / "features")
    project.refresh(list(trained[1]))
    project.add_class("jump")
    for video in trained[1]:
        document = {"labels": ["jump"], "spans": None}
        project.annotate(video, document, Annotation().version, None)
    with pytest.raises(BasnetError, match="nothing to tell apart"):
        train_project(tmp_path, resume=False, send=lambda event, **values: None)
