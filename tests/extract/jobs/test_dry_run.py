"""What an extraction would take, from the headers of the videos."""

from fractions import Fraction

import numpy as np
import pytest

from extract.features.feature_file import Features
from extract.jobs.dry_run import estimate
from extract.sources.find import VideoInput

SETTINGS = {"fps": "25", "stride": 16, "backbone": "test", "streams": ["rgb", "flow"], "flow": None}


def test_time_is_what_the_headers_state(make_video, tmp_path):
    video = VideoInput("a", make_video("a.mp4", range(100), Fraction(1, 25)).path)
    broken = VideoInput("b", tmp_path / "b.mp4")
    broken.path.write_text("no video")
    found = estimate([video, broken], SETTINGS, 64)
    assert found.seconds == pytest.approx(4.0, abs=0.1)
    assert found.unread == 1


def test_disk_is_that_of_the_files(make_video, tmp_path):
    video = VideoInput("a", make_video("a.mp4", range(1600), Fraction(1, 25)).path)
    rows = np.zeros((100, 64), np.float32)
    times = np.arange(100.0)
    Features(rows, rows, times, times + 1, {"settings": SETTINGS | {"format": 1}}).save(
        tmp_path / "f"
    )
    expected = (tmp_path / "f").stat().st_size
    assert estimate([video], SETTINGS, 64).bytes == pytest.approx(expected, rel=0.05)
