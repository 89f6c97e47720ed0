import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extract.errors import ExtractError
from extract.sources.find import find_videos, safe_id


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_a_folder_is_searched_in_depth_and_in_order(tmp_path):
    for name in ("b.mp4", "a/z.MKV", "a/notes.txt", ".hidden/c.mp4", "a/.part.mp4", "c.d.avi"):
        touch(tmp_path / name)
    assert [video.id for video in find_videos([tmp_path])] == ["b", "c.d", "a/z"]


def test_a_file_is_taken_whatever_its_suffix(tmp_path):
    path = touch(tmp_path / "clip.data")
    assert [(video.id, video.path) for video in find_videos([path])] == [("clip", path)]


def test_two_files_with_one_id_are_both_named(tmp_path):
    touch(tmp_path / "a.mp4")
    touch(tmp_path / "a.mkv")
    with pytest.raises(ExtractError, match=r"a\.mkv and .*a\.mp4 would both be called 'a'"):
        find_videos([tmp_path])


def test_the_same_file_twice_is_one_video(tmp_path):
    path = touch(tmp_path / "a.mp4")
    assert len(find_videos([path, tmp_path, tmp_path / "." / "a.mp4"])) == 1


def test_missing_paths_and_empty_folders_are_errors(tmp_path):
    with pytest.raises(ExtractError, match=r"nowhere\.mp4: no such file or folder"):
        find_videos([tmp_path / "nowhere.mp4"])
    with pytest.raises(ExtractError, match="no video in this folder"):
        find_videos([tmp_path])


def test_folders_distinguish_files_of_one_name(tmp_path):
    for name in ("a/game.mp4", "b/game.mp4", "b/deep/other.mp4"):
        touch(tmp_path / name)
    found = find_videos([tmp_path / "a" / "game.mp4", tmp_path / "b" / "game.mp4"])
    assert [video.id for video in found] == ["a/game", "b/game"]
    found = find_videos([tmp_path / "a", tmp_path / "b"])
    assert [video.id for video in found] == ["a/game", "b/game", "b/deep/other"]
    found = find_videos([tmp_path / "a", tmp_path / "b" / "deep"])
    assert [video.id for video in found] == ["game", "other"]
    # One of the inputs is their common folder.
    touch(tmp_path / "game.mkv")
    found = find_videos([tmp_path / "game.mkv", tmp_path / "b"])
    assert [video.id for video in found] == ["game", "b/game", "b/deep/other"]


def test_a_link_to_a_video_under_another_name_is_a_video(tmp_path):
    path = touch(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").symlink_to(path)
    assert [video.id for video in find_videos([tmp_path])] == ["a", "b"]


def test_ids_that_differ_in_unicode_form_only_are_one_id(tmp_path):
    touch(tmp_path / "caf\u00e9.mp4")
    touch(tmp_path / "cafe\u0301.mkv")
    with pytest.raises(ExtractError, match="would both be called"):
        find_videos([tmp_path])


def touch_bytes(folder, name):
    try:
        return touch(folder / os.fsdecode(name))
    except OSError:
        pytest.skip("this file system holds no name that is not UTF-8")


def test_a_name_that_is_not_utf8_has_an_id_that_is(tmp_path):
    for name in (b"caf\xe9.mp4", b"f\xff/a.mp4", b"plain.mp4"):
        touch_bytes(tmp_path, name)
    found = find_videos([tmp_path])
    assert [video.id for video in found] == ["caf%E9", "plain", "f%FF/a"]
    assert [video.file for video in found] == ["caf%E9.mp4", "plain.mp4", "a.mp4"]
    assert [video.id for video in find_videos([found[0].path])] == ["caf%E9"]
    touch(tmp_path / "b" / "a.mp4")
    both = find_videos([tmp_path / os.fsdecode(b"f\xff"), tmp_path / "b"])
    assert [video.id for video in both] == ["f%FF/a", "b/a"]


def test_a_name_spelt_like_an_escaped_one_is_another_video(tmp_path):
    touch_bytes(tmp_path, b"caf\xe9.mp4")
    touch(tmp_path / "caf%E9.mp4")
    ids = {video.id for video in find_videos([tmp_path])}
    assert len(ids) == 2
    assert "caf%E9" in ids
    assert all(video_id.startswith("caf%E9") for video_id in ids)


def test_a_long_name_has_an_id_that_leaves_room_for_suffixes(tmp_path):
    long = "l" * 200
    touch(tmp_path / f"{long}{'x' * 50}.mp4")
    touch(tmp_path / f"{long}{'x' * 49}y.mp4")
    touch(tmp_path / f"{'é' * 125}.mp4")
    touch(tmp_path / f"{long}.mp4")
    ids = [video.id for video in find_videos([tmp_path])]
    assert len(set(ids)) == 4
    assert long in ids
    assert max(len(video_id.encode()) for video_id in ids) == 228


@given(st.binary(max_size=300).filter(lambda name: b"\0" not in name))
def test_every_id_can_be_written_and_named(name):
    found = safe_id(os.fsdecode(name))
    assert all(len(part.encode()) <= 228 for part in found.split("/"))
    assert not {".", ".."} & set(found.split("/"))
    assert safe_id(found) == found


def test_raw_streams_and_rare_containers_are_videos(tmp_path):
    names = ["a.h264", "b.hevc", "c.265", "d.3g2", "e.f4v", "f.y4m", "g.m2t", "h.nut", "i.MTS"]
    for name in names:
        touch(tmp_path / name)
    assert [video.path.name for video in find_videos([tmp_path])] == names


def test_what_a_folder_holds_besides_videos_is_counted_in_one_line(tmp_path, caplog):
    for name in ("a.mp4", "n.txt", "sub/m.TXT", "o.srt", "README", ".hidden", ".git/config"):
        touch(tmp_path / name)
    (tmp_path / "linked").symlink_to(tmp_path / "sub")
    with caplog.at_level(logging.INFO):
        find_videos([tmp_path])
    assert caplog.messages == [
        f"{tmp_path}: not taken for videos: 2 .txt, 1 .srt, 1 without a suffix, "
        "1 linked folder (linked)"
    ]
    caplog.clear()
    find_videos([tmp_path / "a.mp4"])
    assert caplog.messages == []
