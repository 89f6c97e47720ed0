"""Intervals as comma-separated values, one row each."""

from collections.abc import Sequence

from basnet_e2e.data.files.csv_rows import csv_text
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.output_text import csv_cell, one_line
from basnet_e2e.intervals import Localization, written_intervals


def write(results: Sequence[Localization], media: Media) -> str:
    """Rows ``video,label,start,end,score`` under a header; seconds with 3 decimals.

    A name or label that a spreadsheet would take for a formula gets an apostrophe.
    """
    rows: list[tuple[str, ...]] = [("video", "label", "start", "end", "score")]
    for result in results:
        for found in written_intervals(result.intervals, result.duration):
            names = csv_cell(one_line(result.video)), csv_cell(one_line(found.label))
            times = f"{found.start:.3f}", f"{found.end:.3f}"
            rows.append((*names, *times, f"{found.score:.6f}"))
    return csv_text(rows)
