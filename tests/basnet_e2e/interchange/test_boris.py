"""Projects and tables of BORIS, written by hand after what its versions write."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from fractions import Fraction

import pytest

from basnet_e2e import BasnetError, Interval, Localization
from basnet_e2e.interchange.annotated import Hints
from basnet_e2e.interchange.media import Media
from basnet_e2e.interchange.readers import read_annotations
from basnet_e2e.interchange.writers import write_results

BEHAVIORS = {"eat": "State event", "rear": "State event with coding map", "jump": "Point event"}
GAME = Localization(
    "match/game",
    "game.mp4",
    61.4,
    "thumos",
    {"eat": 0.9},
    [Interval("eat", 12.16, 15.04, 0.81), Interval("eat", 15.04, 20.0, 0.6)],
)


def times(video):
    return [(one.label, one.start, one.end) for one in video.intervals]


def observation(events, files=("v.mp4",), lengths=(60.0,), **rest):
    return {
        "file": {"1": list(files), **{player: [] for player in "2345678"}},
        "type": "MEDIA",
        "date": "2024-05-01T10:00:00",
        "description": "",
        "time offset": 0.0,
        "events": events,
        "independent_variables": {},
        "media_info": {"length": dict(zip(files, lengths, strict=True)), "fps": {}},
    } | rest


def project(version="7.0", **observations):
    behaviors = {
        str(number): {"type": kind, "key": code[0], "code": code, "modifiers": {}}
        for number, (code, kind) in enumerate(BEHAVIORS.items())
    }
    return {
        "project_format_version": version,
        "behaviors_conf": behaviors,
        "observations": observations,
        "subjects_conf": {},
    }


@pytest.fixture
def read(tmp_path):
    def read(document, name="p.boris", **help):
        path = tmp_path / name
        text = json.dumps(document).encode()
        path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
        return read_annotations([path], Hints(**help))

    return read


STATES = [[1.0, "", "eat", "", ""], [3.5, "", "eat", "", ""], [4.0, "", "jump", "", ""]]
WANTED = [("eat", 1.0, 3.5), ("jump", 4.0, 4.0)]


@pytest.mark.parametrize("name", ["p.boris", "p.boris.gz"])
@pytest.mark.parametrize("fields", [4, 5, 6])
def test_states_are_two_rows_and_points_one(read, name, fields):
    events = [[*row, "NA"][:fields] for row in STATES]
    (video,) = read(project(o=observation(events)), name)
    assert (video.video, times(video), video.duration) == ("v", WANTED, 60.0)


def test_projects_of_version_4(read):
    old = observation(STATES)
    del old["media_info"]
    old["file"] = {"1": ["C:\\videos\\v.mp4"], "2": []}
    (video,) = read(project("4.0", o=old))
    assert (video.video, times(video), video.duration) == ("v", WANTED, None)


def test_the_time_offset_is_taken_off(read):
    events = [[11.0, "", "eat", "", ""], [13.5, "", "eat", "", ""], [14.0, "", "jump", "", ""]]
    (video,) = read(project(o=observation(events, **{"time offset": 10.0})))
    assert times(video) == WANTED


def test_files_that_play_one_after_the_other(read):
    events = [
        [5.0, "", "eat", "", ""],
        [15.0, "", "eat", "", ""],
        [29.0, "", "jump", "", ""],
        [30.0, "", "jump", "", ""],
    ]
    files, lengths = ("set/a.mp4", "set/b.mp4", "set/c.mp4"), (10.0, 20.0, 5.0)
    videos = read(project(o=observation(events, files, lengths)))
    assert {one.video: times(one) for one in videos} == {
        "set/a": [("eat", 5.0, 10.0)],
        "set/b": [("eat", 0.0, 5.0), ("jump", 19.0, 19.0)],
        "set/c": [("jump", 0.0, 0.0)],
    }


def test_a_part_that_was_observed(read):
    one = observation(STATES, **{"observation time interval": [0.5, 10.0]})
    (video,) = read(project(o=one))
    assert video.unknown == ((0.0, 0.5), (10.0, 60.0))


def test_subjects_are_named_where_there_are_several(read):
    one = [[time, "m1", *row] for time, *row in [[1.0, "eat", ""], [2.0, "eat", ""]]]
    other = [[time, "m2", *row] for time, *row in [[1.5, "eat", ""], [2.5, "eat", ""]]]
    (video,) = read(project(o=observation(one)))
    assert times(video) == [("eat", 1.0, 2.0)]
    (video,) = read(project(o=observation(sorted(one + other))))
    assert times(video) == [("m1: eat", 1.0, 2.0), ("m2: eat", 1.5, 2.5)]


def test_modifiers_are_part_of_the_class_where_asked_for(read):
    rows = [[1.0, "fast"], [2.0, "fast"], [3.0, "None"], [4.0, "None"], [5.0, "a|b"], [6.0, "a|b"]]
    document = project(o=observation([[time, "", "eat", value, ""] for time, value in rows]))
    (video,) = read(document)
    assert video.labels == ("eat",)
    (video,) = read(document, with_modifiers=True)
    assert video.labels == ("eat [fast]", "eat", "eat [a|b]")


@pytest.mark.parametrize(
    ("strange", "words"),
    [
        (observation([*STATES, [9.0, "", "rear", "", ""]]), "unpaired 'rear' (1, at 9 s)"),
        (observation([[1.0, "", "sleep", "", ""]]), "'sleep', which the project does not define"),
        (observation([[99.0, "", "jump", "", ""]]), "'jump' outside the video"),
        (observation([["NA", "", "jump", "", ""]]), "without time"),
        (observation(STATES, media_creation_date_as_offset=True), "date of the file"),
        (observation(STATES, type="LIVE", file=[]), "without video (LIVE)"),
        (observation(STATES, ("a.mp4", "b.mp4"), (1.0, None)), "lengths"),
    ],
)
def test_an_observation_that_is_not_understood_is_left_out(read, caplog, strange, words):
    files = ("w.mp4",)
    videos = read(project(strange=strange, fine=observation([], files)))
    assert [(one.video, one.labels) for one in videos] == [("w", ())]
    assert words in caplog.text
    assert "strange" in caplog.text


def test_two_observations_of_one_video(read, caplog):
    document = project(anna=observation(STATES), bert=observation([]))
    with pytest.raises(BasnetError, match="--observation"):
        read(document)
    (video,) = read(document, observations=("bert",))
    assert video.labels == ()
    with pytest.raises(BasnetError, match="no observation 'carl'"):
        read(document, observations=("carl",))


HEAD_8 = (
    "Observation id,Observation date,Description,Observation type,Source,Time offset (s),"
    "Coding duration,Media duration (s),FPS (frame/s),Subject,"
    "Observation duration by subject by observation,Behavior,Behavioral category,Modifier #1,"
    "Behavior type,Start (s),Stop (s),Duration (s),Media file name,Comment start,Comment stop"
)
ROWS_8 = (
    "o,2024-05-01,,Media file,player #1:set/v.mp4,10.0,9,60.000,25.000,No focal subject,2.5,eat,"
    "Not defined,fast,STATE,11.000,13.500,2.500,set/v.mp4,,",
    "o,2024-05-01,,Media file,player #1:set/v.mp4,10.0,9,60.000,25.000,No focal subject,2.5,jump,"
    "Not defined,,POINT,14.000,14.000,NA,set/v.mp4,,",
)
HEAD_7 = (
    "Observation id\tObservation date\tDescription\tMedia file\tTotal length\tFPS\tSubject\t"
    "Behavior\tBehavioral category\tModifiers\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\t"
    "Comment start\tComment stop"
)
ROWS_7 = (
    "o\t2019\t\tset/v.mp4\t60\t25\tNo focal subject\teat\t\tfast\tSTATE\t1.0\t3.5\t2.5\t\t",
    "o\t2019\t\tset/v.mp4\t60\t25\tNo focal subject\tjump\t\t\tPOINT\t4.0\t4.0\t0\t\t",
)


@pytest.mark.parametrize(("head", "rows"), [(HEAD_8, ROWS_8), (HEAD_7, ROWS_7)])
def test_aggregated_events(tmp_path, head, rows):
    path = tmp_path / "events.txt"
    path.write_text("\n".join([head, *rows, ""]))
    (video,) = read_annotations([path])
    assert (video.video, times(video), video.duration) == ("set/v", WANTED, 60.0)
    (video,) = read_annotations([path], Hints(with_modifiers=True))
    assert video.labels == ("eat [fast]", "jump")
    path.write_text("\n".join([head.replace("Stop (s)", "Ende"), *rows]))
    with pytest.raises(BasnetError, match=r"no column 'stop \(s\)'"):
        read_annotations([path])
    path.write_text("\n".join([head, rows[0].replace("STATE", "STAT")]))
    with pytest.raises(BasnetError, match="without type"):
        read_annotations([path])


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8b\x08\x00rubbish", b"\xff\xfe{"])
def test_damaged_bytes(content, tmp_path, run):
    path = tmp_path / "p.boris.gz"
    path.write_bytes(content)
    code, _, err = run("import", "labels", path, "-o", tmp_path / "labels.csv")
    assert (code, len(err)) == (2, 1)


# Into a project ----------------------------------------------------------------------------------


def export(run, tmp_path, results, document):
    (tmp_path / "p.boris").write_text(json.dumps(document))
    write_results(tmp_path / "r.json", results)
    arguments = ("--into", tmp_path / "p.boris", "-o", tmp_path / "q.boris", "--fps", "25")
    return run("export", "intervals", tmp_path / "r.json", *arguments)


def test_an_observation_is_added_and_nothing_else_touched(tmp_path, run):
    human = observation(STATES, ("/data/set/match/game.mp4",))
    before = project("4.0", anna=human) | {"strange": [1, None, {"a": 0.1}]}
    code, _, err = export(run, tmp_path, [GAME], before)
    assert code == 0, err
    after = json.loads((tmp_path / "q.boris").read_text())
    added = after["observations"].pop("basnet: match/game")
    assert after == before
    assert added["events"] == [
        [12.16, "", "eat", "", "score 0.810", 304],
        [15.04, "", "eat", "", "", 376],
        [15.04, "", "eat", "", "score 0.600", 376],
        [20.0, "", "eat", "", "", 500],
    ]
    assert added["file"]["1"] == ["/data/set/match/game.mp4"]
    assert added["media_info"]["length"] == {"/data/set/match/game.mp4": 61.4}
    assert added["media_info"]["fps"] == {"/data/set/match/game.mp4": 25.0}
    (read,) = read_annotations([tmp_path / "q.boris"], Hints(observations=("basnet: match/game",)))
    assert read.video == "match/game"
    assert times(read) == [("eat", 12.16, 15.04), ("eat", 15.04, 20.0)]


def test_what_a_project_cannot_take(tmp_path, run):
    jump = Localization("v", "v.mp4", 9.0, "m", {}, [Interval("jump", 1.0, 2.0, 0.5)])
    code, _, err = export(run, tmp_path, [jump], project())
    assert code == 2
    assert "point event" in err[-1]
    taken = project(**{"basnet: match/game": observation([])})
    code, _, err = export(run, tmp_path, [GAME], taken)
    assert code == 2
    assert "already" in err[-1]
    code, _, err = export(run, tmp_path, [GAME], {"database": {}})
    assert code == 2
    assert "not a project of BORIS" in err[-1]


PROGRAM = """
import importlib.machinery, sys
from unittest.mock import MagicMock

class Absent:
    # Sound and players, which a machine without a screen does not have.
    names = ("PyQt5.QtMultimedia", "boris.mpv", "boris.mpv2", "boris.core")
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in self.names else None
    def create_module(self, spec):
        return MagicMock(__path__=[], __spec__=spec, __name__=spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Absent())
from boris import project_functions
path, changed, project, message = project_functions.open_project_json(sys.argv[1])
assert "error" not in project, project
assert not changed and not message, message
print(project_functions.check_project_integrity(project, "hh:mm:ss", sys.argv[1], False).strip())
for name, one in project["observations"].items():
    ok, problem = project_functions.check_state_events_obs(name, project["behaviors_conf"], one)
    assert ok, problem
"""


def test_boris_opens_our_project(tmp_path):
    """With BORIS's own reader: of this Python, or of the one that BASNET_TEST_BORIS names."""
    python = os.environ.get("BASNET_TEST_BORIS")
    if python is None and importlib.util.find_spec("boris") is None:
        pytest.skip("boris-behav-obs is not installed (set BASNET_TEST_BORIS to its Python)")
    empty = Localization("other", "other.mp4", 10.0, "m")
    path = tmp_path / "p.boris"
    write_results(path, [GAME, empty], format="boris", media=Media(fps=Fraction(25)))
    done = subprocess.run(
        [python or sys.executable, "-c", PROGRAM, str(path)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
