"""Where a report goes: one page, or a folder with a list and a page for each video."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import InputPath, check_outputs
from basnet_e2e.errors import BasnetError
from basnet_e2e.intervals import Failure
from basnet_e2e.report.gather import Result
from basnet_e2e.report.pages.index import INDEX, PAGES, index_html, line_of, page_names
from basnet_e2e.report.pages.page import Report, page_html, relative_url
from weights.files import write_text

PAGE_SUFFIXES = (".html", ".htm")


def is_page(target: Path) -> bool:
    """Whether a path names one page rather than a folder of pages."""
    return target.suffix.lower() in PAGE_SUFFIXES and not target.is_dir()


def check_target(
    target: Path, videos: Sequence[str], inputs: Iterable[InputPath | None], *, force: bool = False
) -> None:
    """Refuse, before work starts, a place that does not fit or holds something else.

    Args:
        target: the page or the folder.
        videos: ids of the videos.
        inputs: what the command reads.
        force: replace files of another kind.

    Raises:
        BasnetError: several videos for one page, or a file to write is an input or of another kind.
    """
    if not is_page(target):
        pages = [target / PAGES / name for name in page_names(videos)]
        check_outputs([target / INDEX, *pages], Kind.PAGE, inputs, force=force)
        return
    if len(videos) > 1:
        raise BasnetError(
            f"{len(videos)} videos do not fit the page {target}; "
            f"give a folder, such as {target.with_suffix('')}/"
        )
    check_outputs([target], Kind.PAGE, inputs, force=force)


def write_report(
    results: Sequence[Result],
    report_of: Callable[[Result], Report],
    target: Path,
    failed: Sequence[Failure] = (),
    *,
    embed: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the page of one result, or the pages of all and then their list.

    Args:
        results: one for each video.
        report_of: gathers what the page of one shows, so that only one is held in memory.
        target: a page, or a folder, which is made where it is missing.
        failed: videos without a result, named below the list.
        embed: put the videos into the pages.
        progress: called with (pages written, pages in all).

    Returns:
        The file to open: the page or the list.
    """
    if is_page(target):
        write_text(target, page_html(report_of(results[0]), target, embed=embed))
        return target
    lines = []
    classes = sorted({each["label"] for one in results for each in one.document["intervals"]})
    names = page_names([result.id for result in results])
    for number, (result, name) in enumerate(zip(results, names, strict=True), start=1):
        report, path = report_of(result), target / PAGES / name
        address = relative_url(target / INDEX, path)
        write_text(path, page_html(report, path, embed=embed, index=address, classes=classes))
        lines.append(line_of(report, relative_url(path, target / INDEX)))
        if progress:
            progress(number, len(results))
    write_text(target / INDEX, index_html(lines, failed))
    return target / INDEX
