"""One run of training: from what is known to a model, and that model's look at every video.

It runs in a process of its own (:mod:`worker`). What it learns from is written down first, so that
people may keep labelling while it runs.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from basnet_e2e.data.features.dataset import VideoFeatures, load_features
from basnet_e2e.data.files.text_files import json_text
from basnet_e2e.errors import BasnetError
from basnet_e2e.evaluation.evaluate import evaluate
from basnet_e2e.evaluation.ranking import judged, recognition
from basnet_e2e.heads.checkpoint import HeadModel, load_model
from basnet_e2e.intervals import Localization, Selection
from basnet_e2e.localization.inference import (
    activations,
    apply_network,
    localization_of,
    localize_network,
)
from basnet_e2e.report.evidence import evidence_of
from basnet_e2e.studio.project.annotation import Annotation, Known, known_of
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.project.project import FEATURES, MODEL, RESULTS, Content, Project
from basnet_e2e.studio.project.tables import label_text, span_text
from basnet_e2e.studio.tasks.ranking import Candidate, ranked
from basnet_e2e.studio.tasks.runs import NEXT, RUN, RUNS, note_run, publish, read_runs
from basnet_e2e.training.loop import TrainingStep, evaluated_steps
from basnet_e2e.training.train import train
from extract.features.feature_file import SUFFIX
from weights.files import write_text

SHOWN_STEPS = 10  # steps between two that the page shows

SendEvent = Callable[..., None]


def train_project(folder: Path, *, resume: bool, send: SendEvent) -> None:
    """Train, keep the model before, look at every video, score both models.

    Args:
        folder: the project.
        resume: continue the run that was stopped.
        send: called with the name of each event and its values.

    Raises:
        BasnetError: there is nothing to learn.
        KeyboardInterrupt: the run was stopped; its state is kept.
    """
    began = time.monotonic()
    place = folder / HIDDEN / RUN
    content = Project(folder).content
    if not resume:
        _write_down(content, folder, place)
    plan = json.loads((place / "plan.json").read_text("utf-8"))
    known = Known(**plan["known"])
    send("begin", known=known.to_json(), waiting=plan["waiting"])
    every = load_features(folder / FEATURES).videos
    checker = Checker(content, every, tuple(plan["trained"]), plan["classes"], send)
    output = place / MODEL
    intervals = place / "intervals.csv"
    times: dict[str, Any] = {"intervals": intervals} if intervals.is_file() else {}
    model = train(
        folder / FEATURES,
        place / "labels.csv",
        classes=plan["classes"],
        output=output,
        resume=resume,
        progress=checker.look,
        **times,
    )
    old = _model_of(folder)
    before = checker.score(old) if old else None
    after = checker.score(model)
    publish(folder, output)
    look_at_all(folder, replace(model, name="studio"), every, content, send)
    run = {
        "known": known.to_json(),
        "trained": plan["trained"],
        "corrected": plan["corrected"],
        "steps": model.training["steps"],
        "loss": round(float(model.training["loss"]), 4),
        "seconds": round(time.monotonic() - began, 1),
        "before": before,
        "after": after,
    }
    note_run(folder, run)
    send("end", after=after, before=before)


def look_with_model(folder: Path, send: SendEvent) -> None:
    """Look at every video with the model that is there."""
    model = _model_of(folder)
    if model is None:
        raise BasnetError("there is no model yet")
    videos = load_features(folder / FEATURES).videos
    look_at_all(folder, replace(model, name="studio"), videos, Project(folder).content, send)


def check_project(folder: Path, send: SendEvent) -> None:
    """Score the model of the last run on what was corrected since, and was not learnt from."""
    runs = read_runs(folder)
    model = _model_of(folder)
    if not runs or model is None:
        raise BasnetError("there is no model to check yet")
    content = Project(folder).content
    every = load_features(folder / FEATURES).videos
    checker = Checker(content, every, tuple(runs[-1]["trained"]), model.classes, send)
    found = checker.score(model)
    runs[-1]["checked"] = found
    write_text(folder / HIDDEN / RUNS, json.dumps(runs))
    send("end", after=found, before=None)


def _write_down(content: Content, folder: Path, place: Path) -> None:
    """What this run learns from: all that is known but videos held out or without features."""
    extracted = {
        path.relative_to(folder / FEATURES).with_suffix("").as_posix()
        for path in (folder / FEATURES).rglob(f"*{SUFFIX}")
    }
    labelled = {
        video: each
        for video, each in content.videos.items()
        if each.labels is not None and video not in content.held_out
    }
    taught = {video: each for video, each in labelled.items() if video in extracted}
    known = known_of(taught.values())
    if not known.can_train:
        waiting = f"; {len(labelled) - len(taught)} wait for features" if labelled else ""
        raise BasnetError(
            "there is nothing to tell apart yet: label videos of two classes, or of one class and "
            f"some without any{waiting}"
        )
    for path in place.glob("*"):
        path.unlink()
    write_text(place / "labels.csv", label_text(taught))
    if any(each.spans is not None for each in taught.values()):
        write_text(place / "intervals.csv", span_text(taught))
    plan = {
        "known": {**known.__dict__},
        "trained": list(taught),
        "waiting": len(labelled) - len(taught),
        "corrected": sum(each.state == "corrected" for each in content.videos.values()),
        "classes": [name for name in content.classes if name in known.classes],
    }
    write_text(place / "plan.json", json.dumps(plan))


class Checker:
    """Looks at videos with known intervals that the model does not learn from.

    Args:
        content: all that is known.
        videos: features of all videos.
        trained: ids of those that are learnt from.
        classes: of the model.
        send: called with the name of each event and its values.
    """

    def __init__(
        self,
        content: Content,
        videos: Sequence[VideoFeatures],
        trained: Sequence[str],
        classes: Sequence[str],
        send: SendEvent,
    ) -> None:
        learnt, self._classes, self._send = set(trained), tuple(classes), send
        self._known = {
            video.id: content.of(video.id)
            for video in videos
            if video.id not in learnt and content.of(video.id).labels is not None
        }
        self._videos = [video for video in videos if video.id in self._known]
        self._truth = {
            id: each.intervals for id, each in self._known.items() if each.state == "corrected"
        }
        self._scored = [video for video in self._videos if video.id in self._truth]
        self._enough = any(self._truth.values())

    def look(self, step: TrainingStep) -> None:
        """Send a step, and now and then how well the network does by then."""
        if step.step % SHOWN_STEPS and step.step != step.steps:
            return
        values: dict[str, Any] = {"loss": round(step.loss, 5), "left": round(step.left, 1)}
        looks = evaluated_steps(step.steps)[1::2]
        if any(step.step - SHOWN_STEPS < look <= step.step for look in looks):
            values |= self._live(step)
        self._send("step", step=step.step, of=step.steps, **values)

    def _live(self, step: TrainingStep) -> dict[str, float]:
        found: dict[str, float] = {}
        net, preset = step.net, step.preset
        if net is None or preset is None or not self._videos:
            return found
        net.eval()
        targets = np.array(
            [[c in (self._known[v.id].labels or ()) for c in self._classes] for v in self._videos]
        )
        if len(targets) > 1 and len(judged(targets)):
            predictions = [apply_network(net, preset, each).prediction for each in self._videos]
            scores = np.stack([each.video_scores for each in predictions])
            found["recognition"] = round(recognition(targets, scores).map, 4)
        if self._enough:
            results = [localize_network(net, preset, self._classes, v) for v in self._scored]
            found["map"] = round(evaluate(results, self._truth).average, 4)
        return found

    def score(self, model: HeadModel) -> dict[str, Any] | None:
        """Figures of a model on these videos; None where there are none."""
        if not self._enough:
            return None
        net, preset = model.net, model.preset
        results = [localize_network(net, preset, model.classes, v) for v in self._scored]
        table = evaluate(results, self._truth)
        at_half = table.map[table.tious.index(0.5)]
        return {
            "videos": len(self._scored),
            "average": round(table.average, 4),
            "half": round(float(at_half), 4),
            "classes": {
                name: round(float(ap.mean()), 4)
                for name, ap in zip(table.classes, table.ap, strict=True)
            },
        }


def look_at_all(
    folder: Path,
    model: HeadModel,
    videos: Sequence[VideoFeatures],
    content: Content,
    send: SendEvent,
) -> None:
    """Write what a model finds in every video, and in which order people should look at them."""
    candidates = []
    for number, video in enumerate(videos, start=1):
        seen = activations(model, video)
        every = localization_of(seen, model, video)
        result = Selection().of(every)
        path = folder / RESULTS / f"{video.id}.json"
        evidence = evidence_of(result, model.classes, seen.centres, seen.cas, seen.foreground)
        evidence.save(path.with_name(f"{path.stem}.evidence"))
        write_text(path, json_text(result.to_json()))
        candidates.append(candidate_of(video, result, content.of(video.id)))
        send("look", done=number, of=len(videos))
    order = [{"video": each.video, "why": each.why} for each in ranked(candidates, model.classes)]
    write_text(folder / HIDDEN / NEXT, json.dumps(order))


def candidate_of(video: VideoFeatures, result: Localization, known: Annotation) -> Candidate:
    """What the order of videos depends on."""
    centres = (video.start + video.end) / 2
    within = np.zeros(len(centres), bool)
    for each in result.intervals:
        within |= (each.start <= centres) & (centres < each.end)
    mean = np.asarray((video.x[within] if within.any() else video.x).mean(axis=0), np.float64)
    scores = [(each.label, each.score) for each in result.intervals]
    return Candidate(video.id, dict(result.classes), tuple(scores), mean, known.state, known.labels)


def _model_of(folder: Path) -> HeadModel | None:
    return load_model(folder / MODEL) if (folder / MODEL).is_file() else None
