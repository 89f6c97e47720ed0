"""Out and back through every format that is read and written: nothing is lost, nothing is added."""

import json
import unicodedata
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import Interval, Localization
from basnet_e2e.data.annotations.known_times import read_known_times
from basnet_e2e.interchange.annotated import AnnotatedVideo, Hints
from basnet_e2e.interchange.formats.known_times import known_times
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.readers import read_annotations
from basnet_e2e.interchange.registry import READERS, WRITERS
from basnet_e2e.interchange.writers import write_results
from basnet_e2e.intervals import keep_best

RATE = Fraction(25)
LETTERS = st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters=';"\\')
WORDS = st.text(LETTERS, min_size=1, max_size=8).filter(
    lambda text: unicodedata.is_normalized("NFC", text)
)
LABELS = st.lists(WORDS, min_size=1, max_size=3, unique=True)
# Parts of a path, which no suffix of a video and no dots alone end.
PARTS = st.from_regex(r"\A[a-zA-Z0-9äß][a-zA-Z0-9äß _()+=-]{0,8}[a-z0-9]\Z")
VIDEOS = st.lists(PARTS, min_size=1, max_size=2).map("/".join)
BOTH_WAYS = sorted(WRITERS.keys() & READERS.keys() - {"labelstudio", "activitynet"})


@st.composite
def results(draw):
    """Videos with other names, some without any interval; times in whole frames of 25 a second."""
    found = []
    for name in draw(
        st.lists(VIDEOS, min_size=1, max_size=3, unique_by=lambda n: n.rsplit("/")[-1])
    ):
        frames = draw(st.integers(1, 2000))
        borders = st.integers(0, frames)
        stretches = draw(
            st.lists(st.tuples(st.sampled_from(draw(LABELS)), borders, borders), max_size=6)
        )
        intervals = [
            Interval(label, min(one, two) / 25, max(one, two) / 25, 1 - index / 10)
            for index, (label, one, two) in enumerate(stretches)
        ]
        best = keep_best(intervals)
        found.append(Localization(name, f"{name}.mp4", frames / 25, "m", {}, best))
    return found


def touching(intervals):
    """Intervals that touch are one in a format that marks frames."""
    merged = []
    for one in sorted(intervals, key=lambda one: (one.label, one.start)):
        last = merged[-1] if merged else None
        if last and last.label == one.label and last.end == one.start:
            merged[-1] = Interval(one.label, last.start, one.end)
        else:
            merged.append(one)
    return merged


def rounded(intervals):
    return sorted((one.label, round(one.start, 3), round(one.end, 3)) for one in intervals)


@pytest.mark.parametrize("format", BOTH_WAYS)
@settings(max_examples=25, deadline=None)
@given(wanted=results())
def test_out_and_back(format, wanted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out")
    row = WRITERS[format]
    path = folder / f"file{row.suffix}"
    written = write_results(path, wanted, format=format, media=Media(fps=RATE))
    read = read_annotations([path] if row.document else written, Hints(fps=RATE))
    by_name = {video.video.rsplit("/")[-1]: video for video in read}
    for result in wanted:
        own_name = format != "deepethogram" or len(wanted) > 1
        video = by_name[result.video.rsplit("/")[-1]] if own_name else read[0]
        exact = touching(result.intervals) if format == "deepethogram" else result.intervals
        assert rounded(video.intervals) == rounded(exact)
        if format != "deepethogram":
            assert video.video == result.video
    assert len(read) == len(wanted)


@settings(max_examples=25, deadline=None)
@given(wanted=results())
def test_out_to_label_studio_and_back(wanted, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / "tasks.json"
    write_results(path, wanted, format="labelstudio")
    tasks = json.loads(path.read_text())
    for task in tasks:
        task["annotations"] = [{"result": task.pop("predictions")[0]["result"]}]
    path.write_text(json.dumps(tasks))
    read = read_annotations([path])
    assert [(one.video, rounded(one.intervals)) for one in read] == [
        (one.video, rounded(one.intervals)) for one in wanted
    ]


@st.composite
def annotated(draw):
    name = draw(VIDEOS)
    times = st.integers(0, 10**7).map(lambda ms: ms / 1000)
    pairs = st.tuples(times, times).filter(lambda pair: pair[0] != pair[1])
    intervals = [
        Interval(label, *sorted(pair)) for label, pair in draw(st.lists(st.tuples(WORDS, pairs)))
    ]
    points = [Interval(label, at, at) for label, at in draw(st.lists(st.tuples(WORDS, times)))]
    unknown = [tuple(sorted(pair)) for pair in draw(st.lists(pairs, max_size=3))]
    return AnnotatedVideo.of(name, [*intervals, *points], (), None, unknown)


@pytest.mark.parametrize("suffix", [".csv", ".json"])
@settings(max_examples=50, deadline=None)
@given(wanted=st.lists(annotated(), min_size=1, max_size=3, unique_by=lambda one: one.video))
def test_known_times_and_back(suffix, wanted, tmp_path_factory):
    path = tmp_path_factory.mktemp("out") / f"known{suffix}"
    path.write_text(known_times(path, wanted))
    assert read_annotations([path]) == wanted
    trained = read_known_times(path).videos
    assert list(trained) == [one.video for one in wanted]
    for one in wanted:
        times = trained[one.video]
        assert sorted(map(str, (*times.intervals, *times.points))) == sorted(
            map(str, one.intervals)
        )
        assert [(each.start, each.end) for each in times.unknown] == list(one.unknown)
