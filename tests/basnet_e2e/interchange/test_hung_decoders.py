"""Whatever looks at a user's video is not stopped by a decoder that hangs or crashes."""

import functools
import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.interchange.clips.burn import burn
from basnet_e2e.interchange.clips.cut import cut
from basnet_e2e.interchange.media import source_rate
from basnet_e2e.intervals import Interval, Localization
from basnet_e2e.report import thumbnails
from basnet_e2e.report.evidence import Evidence
from basnet_e2e.report.figures.snippet import take_snippet
from basnet_e2e.report.gather import with_thumbnails
from extract.errors import VideoError
from extract.video.clip import open_video
from extract.video.isolation import isolated_clip
from extract.video.isolation.isolated_clip import Isolation, IsolationPool

DOUBLES = Path(__file__).parents[2] / "support"


class Differences:
    """A flow method of no cost."""

    def compute(self, grey, rgb):
        return np.zeros((len(grey) - 1, 2, *grey.shape[1:]), np.float32)


@pytest.fixture
def doubles(monkeypatch):
    """Videos are opened by test doubles, which misbehave as the file's name says."""
    pools = []

    def use(stall=60.0):
        make = functools.partial(Isolation, stall, opener="doubles:open_misbehaving")
        pools.append(IsolationPool(make))
        monkeypatch.setattr(isolated_clip, "pool", pools[-1])

    monkeypatch.setattr(sys, "path", [str(DOUBLES), *sys.path])
    monkeypatch.setattr(thumbnails, "EVERY", 0.1)  # so that the frame in question is asked for
    source_rate.cache_clear()
    use()
    yield use
    for pool in pools:
        pool.close()


@pytest.fixture
def video(tmp_path):
    def make(name):
        pictures = np.random.default_rng(0).integers(0, 255, (50, 48, 64, 3), np.uint8)
        write_video(tmp_path / name, list(pictures), 25, (64, 48))
        return tmp_path / name

    return make


def result(path):
    found = (Interval("jump", 0.2, 1.8, 0.9),)
    return Localization(path.stem, path.name, 2.0, "model", {"jump": 0.9}, found)


LOOKS = {
    "thumbnails": lambda path, out: thumbnails.take_thumbnails(path),
    "snippet": lambda path, out: take_snippet(path, 1.9, Differences(), side=48),
    "burn": lambda path, out: burn(result(path), path, out / "burnt.mp4"),
    "cut": lambda path, out: cut(result(path), path, out / "clips", exact=True),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_decoder_that_crashes_is_replaced(look, doubles, video, tmp_path):
    crashing, good = video("crash_decord.mp4"), video("good.mp4")
    LOOKS[look](crashing, tmp_path / "crashing")
    LOOKS[look](good, tmp_path / "good")
    if look == "thumbnails":
        assert thumbnails.take_thumbnails(crashing) == thumbnails.take_thumbnails(good)
    if look in ("burn", "cut"):
        (one,), (other,) = ((tmp_path / each).rglob("*.mp4") for each in ("crashing", "good"))
        with open_video(one) as ours, open_video(other) as theirs:
            assert ours.source_frames == theirs.source_frames > 30


@pytest.mark.parametrize("look", LOOKS)
def test_where_both_crash_there_is_an_error_and_nothing_half(look, doubles, video, tmp_path):
    with pytest.raises(VideoError, match=r"decord was killed by SIGSEGV .* at 1\.[25] s and pyav"):
        LOOKS[look](video("crash_both.mp4"), tmp_path / "out")
    assert not [each for each in (tmp_path / "out").rglob("*") if each.is_file()]


def test_a_decoder_that_hangs_is_ended(doubles, video):
    path = video("hang_open.mp4")
    doubles(stall=2.0)
    with pytest.raises(VideoError, match="gave no frame for 2 s while opening it"):
        source_rate(path)


def test_a_page_has_no_frames_of_a_video_that_crashes_decoders(doubles, video, caplog):
    with caplog.at_level(logging.WARNING):
        evidence = with_thumbnails(Evidence.none("crash_both", 2.0), video("crash_both.mp4"))
    assert evidence.thumbnails == ()
    assert "SIGSEGV" in caplog.text
    assert "its page has no frames" in caplog.text


def test_two_videos_at_a_time_and_another_folder(monkeypatch, video, tmp_path):
    made = []

    def make():
        made.append(Isolation())
        return made[-1]

    pool = IsolationPool(make)
    path = video("a.mp4")
    for _ in range(2):
        with pool.open(path) as one, pool.open(path) as other:
            pairs = zip(one.frames(25), other.frames(25), strict=True)
            assert all((a[1] == b[1]).all() for a, b in pairs)
    assert len(made) == 2
    monkeypatch.chdir(tmp_path)
    with pool.open("a.mp4") as clip:
        assert clip.path == "a.mp4"
    assert len(made) == 3
    pool.close()
