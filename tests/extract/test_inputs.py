import pytest

from extract.errors import ExtractError
from extract.inputs import find_videos


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
