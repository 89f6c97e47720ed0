import os
import stat
import subprocess
import sys

import pytest

from extract.machine.private_folders import is_private, private_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders without owners")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_missing_folder_is_made_for_this_user_alone(tmp_path):
    folder = private_folder(tmp_path / "cache" / "code")
    assert folder == tmp_path / "cache" / "code"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o1777, 0o702])
def test_a_folder_that_others_can_write_is_not_used(tmp_path, temporary, mode):
    wanted = tmp_path / "code"
    wanted.mkdir()
    wanted.chmod(mode)
    folder = private_folder(wanted)
    assert folder.parent == temporary
    assert is_private(folder)


def test_a_folder_below_one_that_others_can_write_is_not_used(tmp_path, temporary):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    assert private_folder(tmp_path / "shared" / "code").parent == temporary


def test_a_folder_below_a_sticky_one_is_used(tmp_path):
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    assert private_folder(tmp_path / "sticky" / "code") == tmp_path / "sticky" / "code"


def test_a_link_in_place_of_the_folder_is_not_used(tmp_path, temporary):
    (tmp_path / "precious").mkdir(mode=0o700)
    (tmp_path / "code").symlink_to(tmp_path / "precious")
    assert private_folder(tmp_path / "code").parent == temporary


def test_a_file_in_place_of_the_folder_is_not_used(tmp_path, temporary):
    (tmp_path / "code").touch()
    assert private_folder(tmp_path / "code").parent == temporary


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root")
def test_a_folder_of_another_user_is_not_used(tmp_path, temporary):
    (tmp_path / "code").mkdir(mode=0o700)
    os.chown(tmp_path / "code", 12345, 12345)
    assert private_folder(tmp_path / "code").parent == temporary


def test_the_temporary_folder_goes_with_the_process(tmp_path):
    wanted = tmp_path / "code"
    wanted.touch()
    program = (
        "import sys; from pathlib import Path\n"
        "from extract.machine.private_folders import private_folder\n"
        "folder = private_folder(Path(sys.argv[1])); (folder / 'file').touch(); print(folder)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(wanted)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().startswith(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_the_temporary_folder_is_one_for_a_process(tmp_path, temporary):
    (tmp_path / "code").touch()
    assert private_folder(tmp_path / "code") == private_folder(tmp_path / "code")
