"""Names in labels and results, and the videos that they mean."""

import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basnet_e2e import BasnetError
from basnet_e2e.data.annotations.video_names import (
    MatchKind,
    alike_classes,
    counted,
    find_matches,
    match_ids,
    unknown_message,
)


def test_names_match_by_id_then_suffix_then_base_name():
    ids = ["train/a", "train/b.v2", "c", "test/c", "d.mp4"]
    names = ["train/a.mp4", "b.v2", "c", "other\\d.mp4", "./train/b.v2.avi", "e"]
    matches = match_ids(names, ids)
    assert matches.found == {
        "train/a.mp4": "train/a",
        "b.v2": "train/b.v2",
        "c": "c",
        "other\\d.mp4": "d.mp4",
        "./train/b.v2.avi": "train/b.v2",
    }
    assert (matches.unknown, matches.unnamed) == (("e",), ("test/c",))
    assert list(matches.kinds.values()) == [
        MatchKind.SUFFIX,
        MatchKind.BASE,
        MatchKind.ID,
        MatchKind.ENDING,
        MatchKind.SUFFIX,
    ]


def test_an_ambiguous_base_name_is_an_error():
    with pytest.raises(BasnetError, match="'c' could be 'train/c', 'test/c'"):
        match_ids(["c"], ["train/c", "test/c"])


def test_a_name_with_a_folder_never_means_a_video_of_another_folder():
    ids = ["day1/cam.a/street.2024.01", "day2/clip"]
    names = ["day3/street.2024.01", "day1/street.2024.01", "cam.b/street.2024.01", "ay2/clip"]
    matches = match_ids(names, ids)
    assert matches.unknown == tuple(names)
    assert matches.found == {}


@pytest.mark.parametrize(
    "name",
    ["videos/day1/clip", "/home/me/videos/day1/clip.mp4", "C:\\videos\\day1\\clip.mp4",
     "../videos//day1/./clip"],
)  # fmt: skip
def test_the_path_as_a_person_sees_it_matches(name):
    assert match_ids([name], ["day1/clip", "day2/clip"]).found == {name: "day1/clip"}


def test_a_whole_ending_must_fit_one_video():
    assert match_ids(["cam/x"], ["day1/cam/x", "day1/other/x"]).found == {"cam/x": "day1/cam/x"}
    with pytest.raises(BasnetError, match="'cam/x' could be 'day1/cam/x', 'day2/cam/x'"):
        match_ids(["cam/x"], ["day1/cam/x", "day2/cam/x"])
    with pytest.raises(BasnetError, match="'videos/day1/x' could be"):
        match_ids(["videos/day1/x"], ["x", "day1/x"])
    assert find_matches(["cam/x"], ["1/cam/x", "2/cam/x"]).ambiguous == {
        "cam/x": ("1/cam/x", "2/cam/x")
    }


def test_published_prefixes_are_no_difference():
    ids = ["v_abc", "def", "test/v_ghi"]
    assert match_ids(["abc", "v_def", "ghi.mp4", "test/ghi"], ids).found == {
        "abc": "v_abc",
        "v_def": "def",
        "ghi.mp4": "test/v_ghi",
        "test/ghi": "test/v_ghi",
    }


TEXT = st.text("aé한Åb", min_size=1, max_size=6)


@given(folder=TEXT, base=TEXT, form=st.sampled_from(["NFC", "NFD"]))
def test_names_that_look_the_same_are_the_same(folder, base, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    video_id = unicodedata.normalize(form, f"{folder}/{base}")
    for name in (video_id, f"{video_id}.mp4", f"videos/{video_id}"):
        name = unicodedata.normalize(other, name)
        assert match_ids([name], [video_id]).found == {name: video_id}
    bare = unicodedata.normalize(other, base)
    assert match_ids([bare], [video_id]).found == {bare: video_id}


@given(st.lists(TEXT, unique_by=lambda text: unicodedata.normalize("NFC", text), max_size=6))
def test_ids_mean_themselves(ids):
    matches = match_ids(ids, ids)
    assert matches.found == {name: name for name in ids}
    assert (matches.unknown, matches.unnamed) == ((), ())


def test_matches_other_than_by_id_are_said_in_one_line(caplog):
    matches = match_ids(["a", "b.mp4", "c", "d", "x/e"], ["a", "b", "1/c", "1/d", "e"])
    with caplog.at_level(logging.INFO):
        matches.report("label", "l.csv")
    assert caplog.messages == [
        "l.csv: 2 labels matched by file name, 1 by id plus suffix, 1 by the end of the path "
        "(-v lists them)"
    ]
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        matches.report("label", "l.csv")
    assert "  'x/e' is the video 'e', by the end of the path" in caplog.messages
    assert len(caplog.messages) == 5
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        match_ids(["a"], ["a"]).report("label", "l.csv")
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("vidoe_1", "video_1"),
        ("clip7", "CLIP7"),
        ("Clip7.mp4", "CLIP7"),
        ("other/folder/far/away/street", "day1/street"),
    ],
)
def test_a_mistyped_name_gets_a_hint(name, near):
    ids = ["video_1", "CLIP7", "day1/street"]
    assert unknown_message([name], ids) == f"'{name}' (did you mean '{near}'?)"


def test_a_strange_name_gets_none():
    assert unknown_message(["zzz"], ["video_1"]) == "'zzz'"


def test_class_names_that_look_alike():
    names = ["Push Up", "run", "push_up", "push-up", "Run ", "jump"]
    assert alike_classes(names) == [("Push Up", "push_up", "push-up"), ("run", "Run ")]


def test_numbers_have_the_right_noun():
    assert (counted(1, "video"), counted(2, "video")) == ("1 video", "2 videos")
