"""What leaves the studio: intervals for other tools and reports, by the commands for them."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.writers import WRITERS, format_results
from basnet_e2e.intervals import Localization
from basnet_e2e.report.evidence import evidence_path
from basnet_e2e.studio.project.documents import HIDDEN
from basnet_e2e.studio.project.project import RESULTS, Content
from basnet_e2e.studio.tasks.job import run_command
from weights.files import write_text

EXPORTS, REPORT = "exports", "report"


def exported(
    folder: Path, videos: Path, content: Content, durations: Mapping[str, float], name: str
) -> Path:
    """Write all intervals in a format, or the report.

    What people marked goes before what the model found: in a video whose actions they marked only
    theirs are written, elsewhere the model's.

    Args:
        folder: the project.
        videos: folder of the videos.
        content: what people said.
        durations: seconds by id.
        name: a format of ``basnet export intervals``, ``json`` or ``report``.

    Returns:
        The file or folder that was written.

    Raises:
        BasnetError: no such format, nothing to write, or the command refuses.
    """
    chosen = WRITERS.get(name)
    if chosen is None and name not in ("json", REPORT):
        raise BasnetError(f"there is no format '{name}'")
    results = merged(folder, content, durations)
    if not results:
        raise BasnetError("no interval yet: mark some, or train and let the model look")
    source = folder / HIDDEN / "export"
    shutil.rmtree(source, ignore_errors=True)
    document = source / "all.json"
    write_text(document, format_results(results, many=True))
    if name == REPORT:
        for result in results:
            evidence = folder / RESULTS / f"{result.video}.evidence"
            if evidence.is_file():
                copy = evidence_path(document, result.video, many=True)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(evidence, copy)
    target = folder / EXPORTS / target_of(name)
    if target.is_dir():
        shutil.rmtree(target)
    command = [REPORT] if name == REPORT else ["export", "intervals", "--format", name]
    arguments = [*command, str(document), "-o", str(target), "--videos", str(videos)]
    problem = run_command([*arguments, "--force"], folder)
    if problem:
        raise BasnetError(problem)
    return target


def target_of(name: str) -> str:
    """Name of the file or folder of a format."""
    chosen = WRITERS.get(name)
    if name == REPORT:
        return REPORT
    if chosen is None or chosen.one_video or chosen.document:
        return name if chosen else "intervals.json"
    return f"{name}{chosen.suffix}"


def merged(folder: Path, content: Content, durations: Mapping[str, float]) -> list[Localization]:
    """People's intervals where they marked some, else the model's."""
    found: dict[str, Localization] = {}
    for path in sorted((folder / RESULTS).rglob("*.json")):
        found |= {result.video: result for result in read_results(path)[0]}
    for video, annotation in content.videos.items():
        intervals = annotation.intervals
        if not intervals and annotation.state != "corrected":
            continue
        duration = durations.get(video) or found.get(video, Localization("", "", 0.0, "")).duration
        duration = duration or max([one.end for one in intervals], default=0.0)
        if not duration:
            continue  # nothing is known of this video
        before = found.get(video, Localization(video, "", duration, "people"))
        found[video] = replace(
            before, duration=duration, model="people", intervals=intervals, made={}
        )
    return [found[video] for video in sorted(found)]
