"""The list of all videos of a report: to search, to sort, with a small timeline each."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from basnet_e2e.intervals import Failure
from basnet_e2e.report.pages.page import Report, lanes
from basnet_e2e.report.pages.rendering import render

STYLES = ("base.css", "index.css")
SCRIPTS = ("theme.js", "text.js", "index.js")
PAGES = "pages"
INDEX = "index.html"
LONGEST = 120  # bytes of one part of a file name; file systems allow 255
UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f]')


@dataclass(frozen=True)
class Line:
    """One video in the list.

    Attributes:
        video: id.
        page: address of its page, relative to the list.
        duration: seconds.
        classes: labels of its intervals, most frequent first.
        intervals: ``(label, start, end, score)`` of each.
    """

    video: str
    page: str
    duration: float
    classes: tuple[str, ...]
    intervals: tuple[tuple[str, float, float, float], ...]

    @property
    def best(self) -> float | None:
        """Highest score; None without intervals."""
        return max((score for *_, score in self.intervals), default=None)


def page_names(videos: Sequence[str]) -> list[str]:
    """File names of the pages, relative to the folder of pages and each used once.

    An id comes out of a file, so whatever it holds, its page stays in the folder.

    >>> page_names(["a/b", "../x", "a/b"])
    ['a/b.html', '_/x.html', 'a/b-2.html']
    """
    used: set[str] = set()
    names = []
    for video in videos:
        stem = "/".join(map(_safe, video.split("/")))
        name, number = stem, 1
        # Some file systems do not tell upper from lower case.
        while name.casefold() in used:
            number += 1
            name = f"{stem}-{number}"
        used.add(name.casefold())
        names.append(f"{name}.html")
    return names


def _safe(part: str) -> str:
    plain = UNSAFE.sub("_", unicodedata.normalize("NFC", part)).rstrip(". ")
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    encoded = plain.encode("utf-8")
    if len(encoded) > LONGEST:
        mark = hashlib.sha256(encoded).hexdigest()[:8]
        plain = encoded[:LONGEST].decode("utf-8", "ignore") + mark
    return plain or "_"


def line_of(report: Report, page: str) -> Line:
    """What the list says of a report."""
    intervals = report.document["intervals"]
    counts = Counter(each["label"] for each in intervals)
    labels = [label for label in lanes(report) if counts[label]]
    return Line(
        report.id,
        page,
        float(report.document["duration"]),
        tuple(sorted(labels, key=lambda label: -counts[label])),
        tuple((each["label"], each["start"], each["end"], each["score"]) for each in intervals),
    )


def index_html(lines: Sequence[Line], failed: Sequence[Failure] = ()) -> str:
    """The list as HTML."""
    # In the order in which the pages' colours are given.
    classes = sorted({label for line in lines for label in line.classes})
    numbers = {label: n for n, label in enumerate(classes)}
    data = {
        "classes": classes,
        "videos": [
            {
                "duration": line.duration,
                "intervals": [
                    [numbers[label], start, end, score]
                    for label, start, end, score in line.intervals
                ],
            }
            for line in lines
        ],
    }
    return render(
        "index.html",
        STYLES,
        SCRIPTS,
        lines=lines,
        failed=failed,
        data=data,
        seconds=sum(line.duration for line in lines),
        total=sum(len(line.intervals) for line in lines),
    )
