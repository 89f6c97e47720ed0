import pytest

from extract.errors import ExtractError
from extract.sources.find import find_videos


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


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
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
