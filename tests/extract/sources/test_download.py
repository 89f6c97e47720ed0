"""Videos from elsewhere, here for as long as they are worked on."""

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
import uuid

import pytest

from extract.errors import DiskError, VideoError
from extract.sources import storage
from extract.sources.download import download, local_copy
from extract.sources.urls import TransferError, Url


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def video():
    url = Url(f"memory://{uuid.uuid4().hex}/a.mp4")
    storage.write(url, b"some content")
    return url


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_is_here_for_a_while(video, temporary, monkeypatch):
    monkeypatch.setattr("extract.sources.download.PIECE", 5)
    with local_copy(video) as path:
        assert path.name == "a.mp4"
        assert path.is_relative_to(temporary)
        assert path.read_bytes() == b"some content"
    assert files(temporary) == []


def test_a_local_file_is_not_copied(tmp_path):
    with local_copy(tmp_path / "a.mp4") as path:
        assert path == tmp_path / "a.mp4"


def test_errors_name_the_url(video, temporary):
    with pytest.raises(VideoError, match=f"^{video}: damaged$"), local_copy(video) as path:
        raise VideoError(f"{path}: damaged")
    assert files(temporary) == []
    with pytest.raises(VideoError, match=r"none.mp4: no such file"), local_copy(video / "none.mp4"):
        pass


def test_a_video_that_does_not_fit_is_one_failure(video, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=3)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(VideoError, match=r"do not fit into .* TMPDIR"), local_copy(video):
        pass


def test_without_a_temporary_folder_the_run_ends(video, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    with pytest.raises(DiskError), local_copy(video):
        pass


def test_a_video_that_changes_on_the_way_is_refused(video, tmp_path, monkeypatch):
    read = storage.read

    def change(url, start, stop):
        piece = read(url, start, stop)
        time.sleep(0.02)  # the clock of a file system may be that coarse
        storage.write(url, b"other content"[:12])
        return piece

    monkeypatch.setattr("extract.sources.download.read", change)
    with pytest.raises(TransferError, match="changed while it was downloaded"):
        download(video, tmp_path / "a.mp4")


def _hold(url, pipe):
    storage.write(url, b"some content")
    with local_copy(url) as path:
        pipe.send(str(path))
        time.sleep(3600)


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_has_is_not(video, temporary):
    context = multiprocessing.get_context("fork")
    held = []
    for _ in range(2):
        ours, theirs = context.Pipe()
        process = context.Process(target=_hold, args=(video, theirs), daemon=True)
        process.start()
        held.append((process, ours.recv()))
    (dead, lost), (alive, kept) = held
    os.kill(dead.pid, signal.SIGKILL)
    dead.join()
    assert os.path.exists(lost)
    with local_copy(video):
        assert not os.path.exists(lost)
        assert os.path.exists(kept)
    alive.kill()
    alive.join()
