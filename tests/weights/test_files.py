import errno
import hashlib
import os
import subprocess
import sys

import pytest

from weights.files import atomic_write, cache_folder, git_blob_id, sha256_of, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "result.json"
    write_text(path, "old")

    def fail_halfway():
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", ["secrets.token_hex", "os.fsync", "os.replace"])
def test_a_full_disk_is_reported_for_the_file_that_was_meant(tmp_path, monkeypatch, place):
    path = tmp_path / "result.json"

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", ".result.json.x1.part")

    monkeypatch.setattr(f"weights.files.{place}", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(path, "new")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files there")
def test_a_file_over_the_limit_of_the_process_leaves_nothing(tmp_path):
    import resource

    path = tmp_path / "result.json"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_text(path, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_folders_are_made_and_permissions_are_those_of_any_new_file(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("")
    write_text(tmp_path / "a" / "b" / "result", "ü")
    written = tmp_path / "a" / "b" / "result"
    assert written.read_bytes() == "ü".encode()
    assert os.stat(written).st_mode == os.stat(plain).st_mode


def test_hashes_are_the_standard_ones(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello\n")
    assert sha256_of(path) == hashlib.sha256(b"hello\n").hexdigest()
    # the id git gives the six bytes "hello\n", as in its own documentation
    assert git_blob_id(path) == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_git_agrees_on_the_blob_id(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3_000_000))
    try:
        asked = subprocess.run(["git", "hash-object", path], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert git_blob_id(path) == asked.stdout.strip()


def test_the_cache_folder_can_be_chosen(monkeypatch, tmp_path):
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BASNET_CACHE")
    assert cache_folder().name == "basnet"
