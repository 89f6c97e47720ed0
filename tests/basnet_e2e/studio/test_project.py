"""The project's files: what other commands read, what people edit, what a killed process leaves."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e.data.annotations.annotations import read_labels
from basnet_e2e.errors import BasnetError
from basnet_e2e.studio.project.annotation import Annotation, Span, annotation_of, known_of
from basnet_e2e.studio.project.project import Project, StaleError, settings_of
from basnet_e2e.studio.project.tables import label_text, saved_labels, saved_spans, span_text

NAMES = (
    st.text(st.characters(blacklist_categories=("C", "Z")), min_size=1, max_size=8)
    .filter(lambda name: ";" not in name)
    .map(lambda name: unicodedata.normalize("NFC", name))
)
TIMES = st.integers(0, 90_000).map(lambda milliseconds: milliseconds / 1000)


@st.composite
def spans(draw):
    label, start, length = draw(NAMES | st.just("")), draw(TIMES), draw(TIMES)
    is_point = bool(label) and not length
    return Span(start, None if is_point else round(start + length + 0.001, 3), label)


@st.composite
def annotations(draw):
    labels = draw(st.none() | st.lists(NAMES, max_size=3, unique=True).map(tuple))
    return Annotation(
        labels, draw(st.none() | st.lists(spans(), max_size=4).map(tuple))
    ).consistent()


@given(st.dictionaries(NAMES, annotations(), max_size=4))
def test_files_give_back_what_was_written(tmp_path_factory, videos):
    folder = tmp_path_factory.mktemp("tables")
    (folder / "labels.csv").write_text(label_text(videos), "utf-8")
    (folder / "intervals.csv").write_text(span_text(videos), "utf-8")
    labels = saved_labels(folder / "labels.csv")
    times = saved_spans(folder / "intervals.csv")
    for video, expected in videos.items():
        assert Annotation(labels.get(video), times.get(video)).consistent() == expected
    assert labels.keys() | times.keys() <= videos.keys()


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotation(), "unlabelled"),
        (Annotation(()), "labelled"),
        (Annotation(("a",)), "labelled"),
        (Annotation(("a",), (Span(1, None, "a"),)), "points"),
        (Annotation(("a",), (Span(1, 2, "a"), Span(2, 9, ""))), "partial"),
        (Annotation(("a",), (Span(1, 2, "a"),)), "corrected"),
        (Annotation((), ()), "corrected"),
    ],
)
def test_state_of_an_annotation(annotation, expected):
    assert annotation.state == expected


def test_saved_annotations_are_files_that_other_commands_read(tmp_path):
    project = Project(tmp_path)
    project.refresh(["day/a", "b", "c"])
    for name in ("jump", "run"):
        project.add_class(name)
    marks = [["jump", 1.0, 2.5], ["run", 4.0, None]]
    project.annotate("day/a", {"labels": None, "spans": marks}, Annotation().version, 60.0)
    project.annotate("b", {"labels": [], "spans": []}, Annotation().version, 60.0)
    assert read_labels(tmp_path / "labels.csv").videos == {"day/a": ("jump", "run"), "b": ()}
    assert (tmp_path / "intervals.csv").read_text("utf-8") == (
        "video,label,start,end\nday/a,jump,1.0,2.5\nday/a,run,4.0,\nb,,,\n"
    )
    assert (tmp_path / "classes.txt").read_text("utf-8") == "jump\nrun\n"
    again = Project(tmp_path)
    again.refresh(["day/a", "b", "c"])
    assert again.content == project.content


def test_a_change_of_what_is_not_there_any_more_is_refused(tmp_path):
    project = Project(tmp_path)
    project.add_class("jump")
    first = Annotation().version
    project.annotate("a", {"labels": ["jump"], "spans": None}, first, None)
    with pytest.raises(StaleError):
        project.annotate("a", {"labels": [], "spans": None}, first, None)
    assert project.content.of("a").labels == ("jump",)


def test_edits_of_other_programs_are_picked_up_and_their_file_is_kept(tmp_path):
    project = Project(tmp_path)
    project.refresh(["a", "b"])
    project.add_class("jump")
    written = "video,labels,who\na.mp4,jump;run,Ada\nlost,jump,Ada\n"
    (tmp_path / "labels.csv").write_text(written, "utf-8")
    project.refresh()
    assert project.content.of("a").labels == ("jump", "run")
    assert project.content.classes == ("jump", "run")
    project.annotate("b", {"labels": ["run"], "spans": None}, Annotation().version, None)
    assert (tmp_path / "labels.csv").read_text("utf-8") == (
        "video,labels\na,jump;run\nlost,jump\nb,run\n"
    )
    (kept,) = (tmp_path / ".studio" / "edited").iterdir()
    assert kept.read_text("utf-8") == written


def test_a_damaged_file_is_told_and_never_overwritten(tmp_path):
    project = Project(tmp_path)
    project.add_class("jump")
    (tmp_path / "intervals.csv").write_text("video,label,start,end\na,jump,late,2\n", "utf-8")
    project.refresh()
    assert "line 2" in project.problem
    with pytest.raises(BasnetError, match="line 2"):
        project.annotate("a", {"labels": ["jump"], "spans": None}, Annotation().version, None)
    assert "late" in (tmp_path / "intervals.csv").read_text("utf-8")
    (tmp_path / "intervals.csv").write_text("video,label,start,end\na,jump,1,2\n", "utf-8")
    project.refresh()
    assert project.problem is None
    assert project.content.of("a").state == "corrected"


def test_classes_are_renamed_merged_and_removed_in_all_files(tmp_path):
    project = Project(tmp_path)
    for name in ("jump", "leap", "run"):
        project.add_class(name)
    marks = [["jump", 1.0, 2.0], ["leap", 3.0, 4.0], ["run", 5.0, None]]
    project.annotate("a", {"labels": None, "spans": marks}, Annotation().version, 9.0)
    before = project.content
    colours = dict(before.colours)
    assert project.rename_class("leap", "jump") == 1
    assert project.content.classes == ("jump", "run")
    assert project.content.of("a").labels == ("jump", "run")
    assert project.content.colours == {"jump": colours["jump"], "run": colours["run"]}
    assert (tmp_path / "intervals.csv").read_text("utf-8").count("jump") == 2
    # A page that does not know of it yet may go on with the old name.
    marks = [
        ["leap", 7.0, 8.0],
        *[[s.label, s.start, s.end] for s in project.content.of("a").spans],
    ]
    version = project.content.of("a").version
    project.annotate("a", {"labels": None, "spans": marks}, version, 9.0)
    assert project.content.of("a").labels == ("jump", "run")
    with pytest.raises(StaleError):
        project.undo()
    project.rename_class("run", None)
    assert project.content.of("a").labels == ("jump",)
    assert "removed" in project.can_undo
    project.undo()
    assert project.content.of("a").labels == ("jump", "run")


def test_losing_its_last_point_does_not_say_that_nothing_happens():
    pointed = Annotation(("a",), (Span(1.0, None, "a"),))
    assert pointed.renamed({"a": None}) == Annotation((), None)


@pytest.mark.parametrize("name", ["", "  ", "a;b", "a\tb\x00", "x" * 300])
def test_what_is_not_a_name_of_a_class(tmp_path, name):
    project = Project(tmp_path)
    with pytest.raises(BasnetError, match="class"):
        project.add_class(name)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"labels": "jump", "spans": [[1, 2]]},
        {"labels": None, "spans": [["jump", "soon", 2]]},
        {"labels": None, "spans": [["jump", 3, 2]]},
        {"labels": None, "spans": [["", 3, None]]},
        {"labels": None, "spans": [["jump", float("nan"), 2]]},
        {"labels": ["fly"], "spans": None},
        {"labels": 3, "spans": None},
    ],
)
def test_what_is_not_an_annotation(document):
    with pytest.raises(BasnetError):
        annotation_of(document, ["jump"], 60.0)


def test_where_all_is_marked_only_marked_classes_occur():
    document = {"labels": ["a", "b"], "spans": [["a", 1, 2]]}
    assert annotation_of(document, ["a", "b"], 10.0).labels == ("a",)
    document["spans"].append(["", 2, 10])
    assert annotation_of(document, ["a", "b"], 10.0).labels == ("a", "b")


def test_times_are_held_within_the_video():
    found = annotation_of({"labels": None, "spans": [["a", -1, 99]]}, ["a"], 10.0)
    assert found.spans == (Span(0.0, 10.0, "a"),)


def test_every_fourth_corrected_video_is_kept_for_checking(tmp_path):
    project = Project(tmp_path)
    project.add_class("a")
    for number in range(8):
        marks = [["a", 1.0, 2.0]]
        project.annotate(f"v{number}", {"labels": None, "spans": marks}, Annotation().version, 9.0)
    assert project.content.held_out == {"v3", "v7"}
    project.hold_out("v3", False)
    assert Project(tmp_path).content.held_out == {"v7"}


def test_a_change_that_was_written_down_is_carried_out_by_the_next_start(tmp_path, monkeypatch):
    project = Project(tmp_path)
    project.add_class("a")
    import basnet_e2e.studio.project.documents as documents

    written = []

    def killed(path, text):
        if len(written) == 2:  # after the plan and one file
            raise KeyboardInterrupt
        written.append(path)
        real(path, text)

    real = documents.write_text
    monkeypatch.setattr(documents, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        project.annotate("v", {"labels": None, "spans": [["a", 1, 2]]}, Annotation().version, 9.0)
    monkeypatch.undo()
    labels, spans = saved_labels(tmp_path / "labels.csv"), tmp_path / "intervals.csv"
    assert labels == {"v": ("a",)}
    assert not spans.exists()
    again = Project(tmp_path)
    assert again.content.of("v") == Annotation(("a",), (Span(1.0, 2.0, "a"),))


def test_how_features_are_made_does_not_change_on_the_way(tmp_path):
    first = settings_of(tmp_path, backbone="i3d-mini", streams=("rgb",), stride=None)
    Project(tmp_path, first)
    assert settings_of(tmp_path, backbone=None, streams=None, stride=None) == first
    with pytest.raises(BasnetError, match="another project"):
        settings_of(tmp_path, backbone="i3d", streams=None, stride=None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", r"studio\.json: expected an object, got a list"),
        ('{"colours": {"jump": "red"}}', r"studio\.json: expected a whole number, got text"),
        ('{"held_out": 5}', r"studio\.json: expected a list, got a whole number at \$\.held_out"),
        ('{"features": {"stride": [[1]]}}', r"studio\.json: expected"),
        ('{"colours": ' * 200, r"studio\.json: "),
    ],
)
def test_damaged_settings_are_named(tmp_path, text, words):
    Project(tmp_path).add_class("jump")
    (tmp_path / "studio.json").write_text(text, "utf-8")
    with pytest.raises(BasnetError, match=words):
        settings_of(tmp_path, backbone=None, streams=None, stride=None)
    assert (tmp_path / "studio.json").read_text("utf-8") == text


def test_what_is_known_is_counted():
    known = known_of(
        [
            Annotation(),
            Annotation(()),
            Annotation(("a",), (Span(1, 2, "a"), Span(3, None, "a"), Span(4, 5, ""))),
            Annotation(("a",), (Span(1, 2, "a"),)),
        ]
    )
    assert (known.videos, known.background, known.points, known.intervals) == (3, 1, 1, 2)
    assert (known.corrected, known.classes, known.can_train) == (1, {"a": 2}, True)
