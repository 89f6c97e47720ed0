"""The report of a `basnet localize` run, recorded as each video finishes."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_outputs
from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.localization.inputs import Input, VideoFile
from basnet_e2e.localization.predictor import VideoPrediction
from basnet_e2e.report.evidence import Evidence, evidence_of, evidence_path
from basnet_e2e.report.gather import Gatherer, Result, find_results, video_beside
from basnet_e2e.report.pages.site import check_target, write_report
from basnet_e2e.report.thumbnails import ThumbnailRecorder
from extract.sources.urls import Url

if TYPE_CHECKING:
    from extract.pipeline.frame_window import OpenVideo


class LiveReport:
    """Keeps the evidence of each video beside its result, and writes the pages at the end.

    It follows the videos one after another through the localizer's callbacks. Without a
    result file the evidence is kept until the pages are written. A context manager.

    Args:
        page: the page, or the folder of pages.
        sources: all videos of the run.
        result_of: gives the result file of a video; None where results go to stdout.
        many: whether a result file holds several videos.
        inputs: inputs of the command, never overwritten.
        force: replace files of another kind.

    Raises:
        BasnetError: several videos for one page, or a file to write is an input or of another kind.
    """

    _thumbnails: ThumbnailRecorder | None
    _prediction: VideoPrediction | None

    def __init__(
        self,
        page: Path,
        sources: Sequence[Input],
        result_of: Callable[[Input], Path] | None,
        *,
        many: bool,
        inputs: Sequence[Path | Url | None] = (),
        force: bool = False,
    ) -> None:
        read = [*inputs, *(source.path for source in sources)]
        check_target(page, [source.id for source in sources], read, force=force)
        self._page, self._sources, self._many = page, sources, many
        self._result_of = result_of
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._results: dict[str, Result] = {}
        self.reset()
        if result_of is not None:
            kept = [evidence_path(result_of(each), each.id, many=many) for each in sources]
            check_outputs(kept, Kind.EVIDENCE, read, force=force)

    def __enter__(self) -> "LiveReport":
        if self._result_of is None:
            self._folder = tempfile.TemporaryDirectory(prefix="basnet-report-")
        return self

    def __exit__(self, *error: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def _path(self, source: Input) -> Path:
        if self._result_of is not None:
            return self._result_of(source)
        assert self._folder is not None
        return Path(self._folder.name) / "result.json"

    def on_open(self, clip: "OpenVideo") -> Callable[[float, NDArray[np.uint8]], None]:
        """Take thumbnails out of the frames that are decoded anyway."""
        self._thumbnails = ThumbnailRecorder(clip.duration)
        return self._thumbnails.on_frame

    def on_prediction(self, found: VideoPrediction) -> None:
        """Keep the activations until the shown intervals are known."""
        self._prediction = found

    def reset(self) -> None:
        """Start over with the next video, whether or not the last one succeeded."""
        self._thumbnails = self._prediction = None

    def add(self, source: Input, result: Localization) -> None:
        """Save the evidence of the video that was just localized.

        Raises:
            OSError: it cannot be written.
        """
        document, path = result.to_json(), self._path(source)
        pictures = self._thumbnails.taken if self._thumbnails else []
        if (seen := self._prediction) is None:
            evidence = Evidence.none(result.video, document["duration"], pictures)
        else:
            curves = seen.classes, seen.centres, seen.cas, seen.foreground
            evidence = evidence_of(result, *curves, pictures)
        many = self._many or self._result_of is None
        evidence.save(evidence_path(path, source.id, many=many))
        self._results[source.id] = Result(document, path)

    def write(
        self, failed: Sequence[Failure], progress: Callable[[int, int], None] | None = None
    ) -> Path | None:
        """Write the pages; None where no video has a result.

        Raises:
            BasnetError: the evidence of an earlier run is damaged.
            OSError: a page cannot be written.
        """
        results = [found for each in self._sources if (found := self._result(each)) is not None]
        if not results:
            return None
        known = {each.id: video for each in self._sources if (video := self._video(each))}
        gatherer = Gatherer(known=known)
        return write_report(results, gatherer.report, self._page, failed, progress=progress)

    def _result(self, source: Input) -> Result | None:
        """Of this run, or of an earlier one that left it in the output."""
        if source.id in self._results or self._result_of is None:
            return self._results.get(source.id)
        path = self._result_of(source)
        if not path.is_file():
            return None
        found, _ = find_results([path], may_be_empty=True)
        return next((each for each in found if each.id == source.id), None)

    def _video(self, source: Input) -> Path | None:
        if isinstance(source.path, Url):
            return None  # what the page shows was kept while the video was here
        if isinstance(source, VideoFile):
            return source.path
        found = self._results.get(source.id)
        return video_beside(found.document, source.path.parent) if found else None
