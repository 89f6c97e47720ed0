"""Many videos into one folder of feature files: plan, resume, keep going, record failures."""

import json
import logging
import os
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.features import SUFFIX, feature_path, read_meta, settings_difference
from extract.fingerprints import fingerprint
from extract.inputs import VideoInput
from extract.pipeline import Extractor, ExtractSettings
from extract.video.isolation import STALL
from weights.errors import WeightsError
from weights.files import write_text

log = logging.getLogger(__name__)
FAILURES = "failures.json"


@dataclass(frozen=True)
class Event:
    """Something that happened to one video.

    Attributes:
        kind: ``start``, ``progress``, ``done`` or ``failed``.
        video: which one.
        done: snippets done so far.
        total: snippets in all, 0 while unknown.
        seconds: time since the start of this video.
        message: the error of a failed video, the decoder and engine of a done one.
    """

    kind: str
    video: VideoInput
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be done in a features folder.

    Attributes:
        todo: videos to extract.
        present: videos whose features are there already, made with equal settings.
    """

    folder: Path
    todo: tuple[VideoInput, ...]
    present: tuple[VideoInput, ...]


@dataclass
class Summary:
    """Outcome of a run over a folder."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


Listener = Callable[[Event], None]


def make_plan(
    videos: Sequence[VideoInput],
    folder: str | os.PathLike[str],
    settings: dict[str, Any],
    *,
    overwrite: bool = False,
    unknown: Collection[str] = (),
) -> Plan:
    """Compare what is asked for with what is there.

    A feature file counts as present when its settings are equal and the video's content is the one
    it was made from; a changed video is extracted again.

    Args:
        videos: what is asked for.
        folder: the features folder.
        settings: those that features would be made with.
        overwrite: count none of the videos as present.
        unknown: names of settings that cannot be known before weights are fetched.

    Raises:
        ExtractError: a feature file of the folder was made with other settings.
    """
    target = Path(folder)
    replaced = {feature_path(target, video.id) for video in videos} if overwrite else set()
    metas = {
        path: _meta_or_none(path)
        for path in sorted(target.rglob(f"*{SUFFIX}"))
        if path not in replaced
    }
    for path, meta in metas.items():
        difference = meta and settings_difference(meta["settings"], settings, unknown=unknown)
        if difference:
            raise ExtractError(
                f"{path} was made with other settings ({difference} now); use another output "
                "folder, or --overwrite to extract its videos again"
            )
    todo, present = [], []
    for video in videos:
        meta = metas.get(feature_path(target, video.id))
        if meta and meta["facts"].get("fingerprint") == _fingerprint_or_none(video.path):
            present.append(video)
        else:
            if meta:
                log.warning("%s has changed since its features were made: again", video.path)
            todo.append(video)
    return Plan(target, tuple(todo), tuple(present))


def _fingerprint_or_none(path: Path) -> str | None:
    """None for a file that is gone: to extract it will say so."""
    try:
        return fingerprint(path)
    except OSError:
        return None


def _meta_or_none(path: Path) -> dict[str, Any] | None:
    try:
        return read_meta(path)
    except ExtractError as error:
        log.warning("%s; not counted as done", error)
        return None


def run_plan(
    plan: Plan,
    extractor: Extractor,
    *,
    keep_partial: bool = False,
    decoder: str = "auto",
    listener: Listener = lambda event: None,
) -> Summary:
    """Extract the videos of a plan one after the other in this process.

    A video that fails is recorded in ``failures.json`` and the rest go on.

    Raises:
        ExtractError: the weights are those of another network.
        WeightsError: a stream's weights are not there.
        OSError: the features folder cannot be written.
    """
    summary = Summary()
    extractor.load()
    with failure_record(plan, summary):
        for video in plan.todo:
            event = extract_one(video, plan.folder, extractor, keep_partial, decoder, listener)
            note(event, summary)
            listener(event)
    return summary


def extract_one(
    video: VideoInput,
    folder: Path,
    extractor: Extractor,
    keep_partial: bool,
    decoder: str,
    listener: Listener,
) -> Event:
    """Extract one video into its feature file; its failure is an event, not an exception.

    Raises:
        WeightsError: a stream's weights are not there, which stops every video.
        OSError: the features folder cannot be written.
    """
    began = time.monotonic()
    listener(Event("start", video))

    def on_progress(done: int, total: int) -> None:
        listener(Event("progress", video, done, total, time.monotonic() - began))

    try:
        features = extractor.extract(
            video.path, decoder=decoder, keep_partial=keep_partial, progress=on_progress
        )
        features.check_finite(video.path)
    except WeightsError:
        raise
    except Exception as error:
        log.debug("%s", traceback.format_exc())
        message = _reason(video.path, error)
        return Event("failed", video, seconds=time.monotonic() - began, message=message)
    features.save(feature_path(folder, video.id))
    rows = len(features.start)
    facts = features.facts
    used = ", ".join(str(facts[key]) for key in ("decoder", "engine", "runtime") if facts.get(key))
    if facts.get("partial"):
        used += f"; {facts['partial']}"
    return Event("done", video, rows, rows, time.monotonic() - began, used)


def _reason(path: Path, error: Exception) -> str:
    """One line on why a video failed, whatever was raised."""
    if isinstance(error, ExtractError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{path}: cannot be read ({error.strerror})"
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{path}: {text.rstrip(': ')} (not expected; please report it, -v says more)"


def note(event: Event, summary: Summary) -> None:
    """Add the end of one video to a summary."""
    if event.kind == "done":
        summary.done.append(event.video.id)
    elif event.kind == "failed":
        summary.failed[event.video.id] = event.message


@contextmanager
def failure_record(plan: Plan, summary: Summary) -> Iterator[None]:
    """Keep ``failures.json`` true, however the block ends.

    Failures of videos outside this run stay recorded; those of videos that are done now go.
    """
    path = plan.folder / FAILURES
    earlier = _read_failures(path)
    try:
        yield
    finally:
        settled = {*summary.done, *(video.id for video in plan.present)}
        kept = {key: value for key, value in earlier.items() if key not in settled}
        failures = kept | summary.failed
        if failures:
            rows = [{"video": key, "error": failures[key]} for key in sorted(failures)]
            write_text(path, json.dumps({"failed": rows}, indent=1, ensure_ascii=False) + "\n")
        elif path.exists():
            path.unlink()


def _read_failures(path: Path) -> dict[str, str]:
    try:
        rows = json.loads(path.read_text("utf-8"))["failed"]
        return {row["video"]: row["error"] for row in rows}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError):
        log.warning("%s cannot be read; it is written anew", path)
        return {}


@dataclass(frozen=True)
class WorkerOptions:
    """All that a worker process needs to build its extractor."""

    settings: ExtractSettings
    device: str
    keep_partial: bool
    decoder: str
    stall: float = STALL

    def make_extractor(self) -> Extractor:
        """An extractor in the process that calls."""
        return Extractor(self.settings, device=self.device, stall=self.stall)
