"""Write the results of many videos: a file each as soon as it is done, or one document at the end.

Both recognise results of an earlier run: a result counts as done if it was made from the same input
by the same model with the same settings, which each result records (``made``).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from basnet_e2e.data.annotations.predictions import read_results
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.files.file_kinds import Kind, is_activitynet
from basnet_e2e.data.files.overwrite_checks import (
    InputPath,
    check_folder,
    check_output,
    check_outputs,
)
from basnet_e2e.data.files.text_files import parse_json
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.writers import format_results
from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.localization.inputs import Input
from basnet_e2e.version import __version__
from extract.errors import DiskError
from extract.features.failure_lists import FAILURES, read_replaceable
from weights.files import write_text

log = logging.getLogger(__name__)
RESUME = "run the same command to continue with the rest"
RESUME_IN_FOLDER = "with -o FOLDER/ the same command would continue with the rest"


def stamp(made: Mapping[str, Any]) -> dict[str, Any]:
    """How a result was made, with the version of this package."""
    return {**made, "basnet": __version__}


def agrees(earlier: Mapping[str, Any], made: Mapping[str, Any]) -> bool:
    """Whether a result made as ``earlier`` says is the one that would be made now."""
    return all(key in earlier and earlier[key] == value for key, value in made.items())


class ResultFolder:
    """One file per video, written when the video is done; failures in ``failures.json``.

    Attributes:
        resume_hint: tells a user how to continue an interrupted run.

    Args:
        folder: created if missing.
        layout: ``json`` or ``activitynet``.
        sources: all inputs of the run.
        inputs: files that the command reads; they are never overwritten.
        force: replace files of another kind.

    Raises:
        BasnetError: a file to write is an input or of another kind.
    """

    def __init__(
        self,
        folder: Path,
        layout: str,
        sources: Sequence[Input],
        inputs: Sequence[InputPath | None] = (),
        *,
        force: bool = False,
    ) -> None:
        self.resume_hint = RESUME
        self._folder, self._layout = folder, layout
        self._ids = [source.id for source in sources]
        self._written = 0
        check_folder(folder)
        read = [*inputs, *(source.path for source in sources)]
        for source in sources:
            if self._path(source) == folder / FAILURES:
                raise BasnetError(
                    f"{source.path}: its result would be called {FAILURES}, which lists failures; "
                    "rename it"
                )
        check_outputs(map(self._path, sources), Kind.RESULT, read, force=force)
        check_output(folder / FAILURES, Kind.FAILURES, read, force=force)

    def _path(self, source: Input) -> Path:
        return self._folder / f"{source.id}.json"

    def is_done(self, source: Input, made: Mapping[str, Any]) -> bool:
        """Whether the video's file exists and agrees."""
        earlier = _results_in(self._path(source), self._layout).get(source.id)
        return earlier is not None and agrees(earlier.made, made)

    def add(self, source: Input, result: Localization) -> None:
        """Write the video's file."""
        _write(self._path(source), format_results([result], (), self._layout))
        self._written += 1

    def close(self, failed: Sequence[Failure], left: Sequence[Input]) -> str:
        """Write ``failures.json``: failures of this run, and earlier ones of videos not tried.

        Args:
            failed: videos that gave no result.
            left: videos that an interrupted run did not reach.

        Returns:
            The text for stdout: none.
        """
        tried = set(self._ids) - {source.id for source in left}
        path = self._folder / FAILURES
        earlier = [row for row in read_replaceable(path) if row.video not in tried]
        rows = [*(Failure(row.video, row.file, row.error) for row in earlier), *failed]
        if rows:
            document = {"failed": [failure.to_json() for failure in rows]}
            _write(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        elif path.exists():
            path.unlink()
        log.info("%s written to %s", counted(self._written, "result"), self._folder)
        return ""


class ResultDocument:
    """One document of all videos, written at the end, however the run ends.

    Attributes:
        resume_hint: tells a user how to continue an interrupted run.

    Args:
        path: the file; None returns the text for stdout.
        layout: ``json`` or ``activitynet``.
        sources: all inputs of the run.
        many: whether the document is a list even if it has one video.
        inputs: files that the command reads; they are never overwritten.
        force: replace a file of another kind.

    Raises:
        BasnetError: the file to write is an input or of another kind.
    """

    def __init__(
        self,
        path: Path | None,
        layout: str,
        sources: Sequence[Input],
        many: bool,
        inputs: Sequence[InputPath | None] = (),
        *,
        force: bool = False,
    ) -> None:
        resumes = path is not None and layout == "json"
        self.resume_hint = RESUME if resumes else RESUME_IN_FOLDER
        self._path, self._layout, self._many = path, layout, many
        self._order = [source.id for source in sources]
        self._found: dict[str, Localization] = {}
        self._earlier: dict[str, Localization] = {}
        if path is None:
            return
        check_output(
            path, Kind.RESULT, [*inputs, *(source.path for source in sources)], force=force
        )
        if resumes:
            self._earlier = _results_in(path, layout)

    def is_done(self, source: Input, made: Mapping[str, Any]) -> bool:
        """Whether the existing document has the result, which is then kept."""
        earlier = self._earlier.get(source.id)
        if earlier is None or not agrees(earlier.made, made):
            return False
        self._found[source.id] = earlier
        return True

    def add(self, source: Input, result: Localization) -> None:
        """Keep the result for the document."""
        self._found[source.id] = result

    def close(self, failed: Sequence[Failure], left: Sequence[Input]) -> str:
        """Write the document, or return its text for stdout; nothing if there is no result.

        Args:
            failed: videos that gave no result.
            left: videos that an interrupted run did not reach.
        """
        found = [self._found[video] for video in self._order if video in self._found]
        if not found and (left or not self._many):
            return ""
        text = format_results(
            found, failed, self._layout, many=self._many, left=[source.id for source in left]
        )
        if self._path is None:
            return text
        _write(self._path, text)
        log.info("%s written (%s)", self._path, counted(len(found), "video"))
        return ""


ResultWriter = ResultFolder | ResultDocument


def _results_in(path: Path, layout: str) -> dict[str, Localization]:
    """Results of a file; none if it is missing, damaged or of another layout."""
    try:
        document = parse_json(path)
        if is_activitynet(document) != (layout == "activitynet"):
            return {}
        found, _ = read_results(path, document)
    except BasnetError:
        return {}
    return {result.video: result for result in found}


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise DiskError.of(error, path, "the result") from error
