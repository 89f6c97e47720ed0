"""Intervals as comma-separated values, one row each."""

import csv
import io
from collections.abc import Sequence

from basnet_e2e.intervals import Localization, written_intervals


def write(results: Sequence[Localization]) -> str:
    """Rows ``video,label,start,end,score`` under a header; seconds with 3 decimals."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["video", "label", "start", "end", "score"])
    for result in results:
        for found in written_intervals(result.intervals, result.duration):
            times = f"{found.start:.3f}", f"{found.end:.3f}"
            rows.writerow([result.video, found.label, *times, f"{found.score:.6f}"])
    return text.getvalue()
