"""A user's own extract.py or weights.py must not break the program in a way nobody understands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import basnet_e2e

ROOT = Path(basnet_e2e.__file__).parents[1]


def start(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("name", ["extract.py", "weights.py", "extract/__init__.py"])
def test_a_file_in_the_way_is_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    (tmp_path / "script.py").write_text("from basnet_e2e import localize\n")
    ended = start(tmp_path, "script.py")
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode != 0
    assert last.startswith(f"ImportError: {tmp_path / name} hides the package")
    assert "rename" in last
    ended = start(tmp_path, "-m", "basnet_e2e", "--version")
    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert str(tmp_path / name) in ended.stderr


def test_other_files_are_of_no_concern(tmp_path):
    (tmp_path / "script.py").write_text("from basnet_e2e import Interval\nprint(Interval)\n")
    (tmp_path / "weights").mkdir()  # a folder of downloads is no package
    ended = start(tmp_path, "script.py")
    assert (ended.returncode, ended.stderr) == (0, "")
