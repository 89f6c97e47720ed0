"""Label tables of DeepEthogram: one CSV per video, one row per frame, one column per class."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from basnet_e2e.data.files.csv_rows import column_names, csv_text, parse_csv
from basnet_e2e.errors import BasnetError
from basnet_e2e.interchange.annotated import AnnotatedVideo, AnnotationFile, Hints, LeftOut
from basnet_e2e.interchange.media import Media, find_media, nominal_rate, source_rate
from basnet_e2e.interchange.output_text import class_names, frames_of, in_time, one_line
from basnet_e2e.intervals import Interval, Localization
from extract.errors import ExtractError

BACKGROUND = "background"
SUFFIX = "_labels"
UNKNOWN = "-1"


def write(result: Localization, media: Media) -> str:
    """The table of one video: 1 in the column of what happens, in ``background`` for nothing.

    Raises:
        BasnetError: the frame rate is not known.
    """
    rate = media.rate(result)
    found = in_time(result)
    classes = class_names([result])
    count = max(round(result.duration * rate), 1)
    rows = [["0"] * len(classes) for _ in range(count)]
    for one in found:
        first, last = frames_of(one, rate)
        for frame in range(min(first, count - 1), min(last, count)):
            rows[frame][classes.index(one_line(one.label))] = "1"
    frames = ((frame, "0" if "1" in row else "1", *row) for frame, row in enumerate(rows))
    return csv_text([("", BACKGROUND, *classes), *frames])


def is_own(file: AnnotationFile) -> bool:
    """Whether a file is a table whose first column has no name and whose second is background."""
    return column_names(file.text)[:2] == ["", BACKGROUND]


def read(file: AnnotationFile, hints: Hints) -> Iterator[AnnotatedVideo | LeftOut]:
    """The one video of a table; rows with a value of -1 are a stretch that nobody looked at.

    Raises:
        BasnetError: the table is damaged, or its frame rate is not known.
    """
    name = file.path.stem.removesuffix(SUFFIX)
    classes, rows = _table(file)
    unseen = [UNKNOWN in row for row in rows]
    if all(unseen):
        yield LeftOut(name)
        return
    rate = _rate(file.path, name, hints)
    intervals = [
        Interval(label, *times)
        for column, label in enumerate(classes[1:], start=1)
        for times in _runs([row[column] == "1" for row in rows], rate)
    ]
    yield AnnotatedVideo.of(name, intervals, (), float(len(rows) / rate), _runs(unseen, rate))


def _table(file: AnnotationFile) -> tuple[list[str], list[list[str]]]:
    """Names of the columns behind the frame number, and their values by frame."""
    header, *rows = parse_csv(file.path, file.text)
    classes = [name.strip() for name in header[1:]]
    found = []
    for line, row in enumerate((row for row in rows if row), start=2):
        values = [_value(cell) for cell in row[1:]]
        if len(values) != len(classes) or None in values:
            raise BasnetError(
                f"{file.path}, line {line}: not a frame number and {len(classes)} values 0, 1 or -1"
            )
        found.append([value for value in values if value is not None])
    if not found or not all(classes) or len(set(classes)) < len(classes):
        raise BasnetError(f"{file.path}: no rows, or columns of no or the same name")
    return classes, found


def _value(cell: str) -> str | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return str(int(value)) if value in (0, 1, -1) else None


def _rate(path: Path, name: str, hints: Hints) -> Fraction:
    if hints.fps is not None:
        return nominal_rate(hints.fps)
    try:
        videos = find_media([name], [hints.videos or path.parent])
    except ExtractError:
        if hints.videos:
            raise
        videos = {}  # the folder of the table need not hold videos
    if name in videos:
        return source_rate(videos[name])
    raise BasnetError(
        f"{path}: counts frames of '{name}'; say where the video is (--videos DIR) or how many "
        "frames per second it has (--fps)"
    )


def _runs(flags: Sequence[bool], rate: Fraction) -> Iterator[tuple[float, float]]:
    """From and to seconds of each run of frames."""
    frame = 0
    for flag, run in itertools.groupby(flags):
        last = frame + len(list(run))
        if flag:
            yield float(frame / rate), float(last / rate)
        frame = last
