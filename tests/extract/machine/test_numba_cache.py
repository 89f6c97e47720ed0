"""Where numba's compiled code is kept."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")  # a folder cannot be made below a file, whoever asks
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from extract.machine import numba_cache;"
        "print(numba_cache.KEPT_IN)"
    )
    environment = {**os.environ, "BASNET_CACHE": str(blocked / "cache"), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    folder = Path(done.stdout.strip())
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0


def test_where_nothing_can_be_written_code_is_compiled_and_not_kept(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    program = (
        "import sys, tempfile; sys.path.insert(0, sys.argv[1]); tempfile.tempdir = sys.argv[2];"
        "import numpy as np;"
        "from extract.machine import numba_cache; from extract.preprocessing import numpy_ops;"
        "numpy_ops.PLAIN_FRAMES = 0; print(numba_cache.KEPT_IN);"
        "print(numpy_ops.resize_short_side(np.zeros((9, 9, 3), np.uint8), 5).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT), str(blocked)],
        env={**os.environ, "BASNET_CACHE": str(blocked)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "None\n(5, 5, 3)"


def test_all_compiled_code_is_kept_in_the_cache(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import numpy as np, numba;"
        "from extract.preprocessing.compiled_resize import mix;"
        "from extract.flow.tvl1.numba_engine import _solve_level;"
        "print(mix.stats.cache_path); print(_solve_level.stats.cache_path);"
        "print(numba.config.CACHE_DIR)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(ROOT)],
        env={**os.environ, "BASNET_CACHE": str(tmp_path), "NUMBA_CACHE_DIR": "others"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    *ours, others = done.stdout.splitlines()
    assert [Path(path).parent for path in ours] == [tmp_path / "numba"] * 2
    assert others == "others", "the setting of other packages was changed"
