"""What is to be expected of an extraction, from headers and the pace of the last run."""

from fractions import Fraction

import numpy as np
import pytest

from extract.features.feature_file import Features
from extract.jobs.dry_run import estimate, header_seconds, record_pace
from extract.sources.find import VideoInput

SETTINGS = {"fps": "25", "stride": 16, "backbone": "test", "streams": ["rgb", "flow"], "flow": None}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.jobs.dry_run._file", lambda: tmp_path / "cache" / "pace.json")
    return tmp_path / "cache"


def test_time_follows_the_last_run(make_video, tmp_path):
    video = VideoInput("a", make_video("a.mp4", range(100), Fraction(1, 25)).path)
    broken = VideoInput("b", tmp_path / "b.mp4")
    broken.path.write_text("no video")
    assert header_seconds(video.path) == pytest.approx(4.0, abs=0.1)
    found = estimate([video, broken], SETTINGS, 64, "cpu")
    assert (found.seconds, found.unread) == (None, 1)
    record_pace(SETTINGS, "cpu", 10.0, 25.0)
    assert estimate([video], SETTINGS, 64, "cpu").seconds == pytest.approx(10.0, abs=0.3)
    assert estimate([video], SETTINGS, 64, "cuda").seconds is None


def test_disk_is_that_of_the_files(make_video, tmp_path):
    video = VideoInput("a", make_video("a.mp4", range(1600), Fraction(1, 25)).path)
    rows = np.zeros((100, 64), np.float32)
    times = np.arange(100.0)
    Features(rows, rows, times, times + 1, {"settings": SETTINGS | {"format": 1}}).save(
        tmp_path / "f"
    )
    expected = (tmp_path / "f").stat().st_size
    assert estimate([video], SETTINGS, 64, "cpu").bytes == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("text", ["{", "[1]", '{"a": "b"}'])
def test_a_damaged_record_is_none(cache, text, make_video):
    cache.mkdir()
    (cache / "pace.json").write_text(text)
    assert estimate([], SETTINGS, 64, "cpu").seconds is None
    record_pace(SETTINGS, "cpu", 1.0, 1.0)
    assert estimate([], SETTINGS, 64, "cpu").seconds == 0


def test_a_cache_that_cannot_be_written_keeps_nothing(cache):
    cache.write_text("a file")
    record_pace(SETTINGS, "cpu", 1.0, 1.0)
    record_pace(SETTINGS, "cpu", 0.0, 1.0)
