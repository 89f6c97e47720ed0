"""Label tables of DeepEthogram, and the formats that are only written."""

import json
from fractions import Fraction

import numpy as np
import pytest

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.interchange.annotated import Hints
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.readers import read_annotations
from basnet_e2e.interchange.writers import format_results

GAME = Localization(
    "match/game",
    "game.mp4",
    0.4,
    "m",
    {"rest": 0.2},
    [Interval("a", 0.08, 0.2, 0.9), Interval('say "b"', 0.16, 0.4, 0.8)],
)


def times(video):
    return [(one.label, one.start, one.end) for one in video.intervals]


def test_a_row_is_a_frame():
    text = format_results([GAME], format="deepethogram", media=Media(fps=Fraction(25)))
    assert text.splitlines() == [
        ',background,a,"say ""b""",rest',
        *("0,1,0,0,0", "1,1,0,0,0", "2,0,1,0,0", "3,0,1,0,0", "4,0,1,1,0"),
        *(f"{frame},0,0,1,0" for frame in range(5, 10)),
    ]


@pytest.fixture
def table(tmp_path):
    def table(*rows, header=",background,a,b"):
        path = tmp_path / "v_labels.csv"
        lines = [f"{frame},{row}" for frame, row in enumerate(rows)]
        path.write_text("\n".join([header, *lines, ""]))
        return path

    return table


def test_tables_of_other_people(table):
    path = table("1,0,0", "0,1,0", "0.0,1.0,1.0", "0,0,1", "-1,-1,-1", "-1,-1,-1", "0,1,0")
    (video,) = read_annotations([path], Hints(fps=Fraction(10)))
    assert video.video == "v"
    assert times(video) == [("a", 0.1, 0.3), ("b", 0.2, 0.4), ("a", 0.6, 0.7)]
    assert (video.duration, video.unknown) == (0.7, ((0.4, 0.6),))


def test_nobody_labelled_it(table):
    with pytest.raises(BasnetError, match="without a submitted annotation"):
        read_annotations([table("-1,-1,-1", "-1,-1,-1")], Hints(fps=Fraction(10)))


@pytest.mark.parametrize("row", ["0,1", "0,1,2", "0,1,x", "0,1,0,0"])
def test_damaged_tables(table, row):
    with pytest.raises(BasnetError, match="line 3"):
        read_annotations([table("1,0,0", row)], Hints(fps=Fraction(10)))


def test_the_rate_is_that_of_the_video(table, tmp_path):
    from basnet_e2e.demo.footage.encode import write_video

    path = table("0,1,0", "0,1,0", "1,0,0", "1,0,0")
    with pytest.raises(BasnetError, match="--fps"):
        read_annotations([path])
    frames = (np.full((48, 64, 3), number, np.uint8) for number in range(4))
    write_video(tmp_path / "v.mp4", frames, 8, (64, 48))
    (video,) = read_annotations([path])
    assert times(video) == [("a", 0.0, 0.25)]


def test_a_partly_labelled_video_is_not_background(table, tmp_path, run):
    path = table("1,0,0", "-1,-1,-1")
    out = tmp_path / "labels.csv", tmp_path / "known.csv"
    code, _, err = run("import", "labels", path, "-o", out[0], "--fps", "1")
    assert code == 0
    assert out[0].read_text() == "video,labels\n"
    assert any("'v'" in line and "--intervals" in line for line in err)
    code, _, _ = run("import", "labels", path, "-o", out[0], "--intervals", out[1], "--fps", "1")
    assert code == 0
    assert out[1].read_text() == "video,label,start,end\nv,,1.000,2.000\n"


def test_a_folder_of_tables(table, tmp_path, run):
    table("1,0,0", "0,1,0")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "w_labels.csv").write_text(",background,a\n0,1,0\n")
    out = tmp_path / "labels.csv"
    code, _, err = run("import", "labels", tmp_path, "-o", out, "--fps", "25")
    assert code == 0, err
    assert out.read_text() == "video,labels\nw,\nv,a\n"


def test_a_textgrid_lies_end_to_end():
    text = format_results([GAME], format="textgrid")
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"']
    assert "size = 2" in lines
    assert [line for line in lines if line.startswith("name")] == [
        'name = "a"',
        'name = "say ""b"""',
    ]
    tier = text.split("item [2]:")[1]
    values = [line.split(" = ")[1] for line in tier.splitlines() if " = " in line]
    assert values[4:] == ["2", "0.000", "0.160", '""', "0.160", "0.400", '"say ""b"""']


def test_segments_of_losslesscut():
    document = json.loads(format_results([GAME], format="losslesscut"))
    assert (document["version"], document["mediaFileName"]) == (1, "game.mp4")
    assert document["cutSegments"] == [
        {"start": 0.08, "end": 0.2, "name": "a"},
        {"start": 0.16, "end": 0.4, "name": 'say "b"'},
    ]
