"""Decoding in a process that can be ended: the same pictures, no fault beyond it."""

import functools
import gc
import os
import re
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from doubles import AT, OPENER
from slow_double import FRAME_SECONDS
from standins import TinyBackbone, TinyFlow, stand_in_flow

import extract
from extract.errors import ExtractError, VideoError
from extract.video.clip import open_video
from extract.video.isolation.isolated_clip import Isolation
from extract.video.isolation.shared_memory import FEWEST_SLOTS, MOST_SLOTS, slots_for

RATE = Fraction(1, 25)
STALL = 3.0  # seconds; only a double that hangs lets so many pass without a sign of life
LIMIT = 1 << 30


@pytest.fixture(scope="module")
def isolation():
    isolation = Isolation(60.0)
    yield isolation
    isolation.close()


@pytest.fixture
def doubles():
    isolation = Isolation(STALL, opener=OPENER, limit=LIMIT)
    yield isolation
    isolation.close()


def numbers(clip, number_in, first=0):
    return [number_in(picture) for _, picture in clip.frames(25, first)]


def test_pictures_are_those_of_this_process(make_video, isolation, number_in):
    """More of them than lie ready at a time, some shown several times, of two sizes in a row."""
    ticks = [n * 2 for n in range(60)]
    for name, size in (("a.mp4", (64, 48)), ("b.mp4", (128, 96))):
        video = make_video(name, ticks, RATE, size=size)
        with open_video(video.path) as plain, isolation.open(video.path) as clip:
            for fact in ("size", "fps", "duration", "source_frames", "partial", "decoder"):
                assert getattr(clip, fact) == getattr(plain, fact)
            assert clip.frame_count(25) == plain.frame_count(25) > 100
            pairs = zip(plain.frames(25), clip.frames(25), strict=True)
            for (time_here, picture), (time_there, other) in pairs:
                assert time_here == time_there
                np.testing.assert_array_equal(picture, other)


@pytest.mark.parametrize("first", [0, 1, 41, 59])
def test_frames_from_the_middle_on(make_video, isolation, number_in, first):
    video = make_video("a.mp4", range(60), RATE)
    with isolation.open(video.path) as clip:
        assert numbers(clip, number_in, first) == list(range(first, 60))
    with open_video(video.path) as clip:
        assert numbers(clip, number_in, first) == list(range(first, 60))


def test_stopping_early_keeps_the_process(make_video, isolation, number_in):
    video = make_video("a.mp4", range(200), RATE)
    process = isolation.process()
    for _ in range(3):
        with isolation.open(video.path) as clip:
            assert number_in(next(clip.frames(25))[1]) == 0
    with isolation.open(video.path) as clip:
        assert numbers(clip, number_in) == list(range(200))
    assert isolation.process() is process


def test_errors_and_warnings_come_through(tmp_path, make_video, isolation, caplog):
    with pytest.raises(VideoError, match="no such file") as caught:
        isolation.open(tmp_path / "none.mp4")
    assert type(caught.value) is VideoError
    with pytest.raises(ExtractError, match="unknown decoder") as caught:
        isolation.open(tmp_path / "none.mp4", "other")
    assert type(caught.value) is ExtractError
    video = make_video("a.h264", range(60), RATE, container_format="h264")
    with isolation.open(video.path):
        assert "has no timestamps" in caplog.text


@pytest.mark.parametrize(
    ("misdeed", "words"),
    [
        ("hang", "decord gave no frame for 3 s at 1.2 s"),
        ("eat", "decord asked for more than 1.0 GB of memory at 1.2 s"),
        ("crash", "decord was killed by SIGSEGV (a crash) at 1.2 s"),
    ],
)
def test_the_other_decoder_continues_at_the_last_good_frame(
    make_video, doubles, number_in, misdeed, words, caplog
):
    video = make_video(f"{misdeed}_decord.mp4", range(60), RATE)
    with doubles.open(video.path) as clip:
        assert numbers(clip, number_in) == list(range(60))
        assert clip.decoder == "pyav"
    assert f"{words}, continuing with PyAV" in caplog.text


def test_a_decoder_chosen_by_name_is_not_exchanged(make_video, doubles):
    video = make_video("hang_decord.mp4", range(60), RATE)
    words = re.escape(f"{video.path}: decord gave no frame for 3 s at 1.2 s") + "$"
    with doubles.open(video.path, "decord") as clip, pytest.raises(VideoError, match=words):
        list(clip.frames(25))


def test_if_both_hang_the_video_fails_with_the_time(make_video, doubles, number_in):
    video = make_video("hang_both.mp4", range(60), RATE)
    seen = []
    words = "decord gave no frame for 3 s at 1.2 s and pyav gave no frame for 3 s at 1.2 s"
    with doubles.open(video.path) as clip, pytest.raises(VideoError, match=words):
        seen.extend(number_in(picture) for _, picture in clip.frames(25))
    assert seen == list(range(AT))
    good = make_video("good.mp4", range(60), RATE)
    with doubles.open(good.path) as clip:
        assert numbers(clip, number_in) == list(range(60))


def test_ctrl_c_does_not_wait_for_a_decoder_that_hangs(make_video, monkeypatch):
    monkeypatch.setattr("extract.video.isolation.parent.END_SECONDS", 3600.0)
    video = make_video("hang_both.mp4", range(60), RATE)
    isolation = Isolation(3600.0, opener=OPENER)
    with isolation.open(video.path) as clip:
        frames = clip.frames(25)
        for _ in range(AT):
            next(frames)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            next(frames)
    isolation.close()


def test_opening_may_hang_too(make_video, doubles):
    video = make_video("hang_open.mp4", range(60), RATE)
    with pytest.raises(VideoError, match="while opening it, and PyAV gave no frame for 3 s"):
        doubles.open(video.path)


def test_slow_is_not_stuck(make_video, number_in):
    """Frames that are read count, given out or not: the first comes only after the limit."""
    video = make_video("a.mp4", range(30), RATE)
    isolation = Isolation(STALL, opener="slow_double:open_slow")
    first = 1 + int(STALL / FRAME_SECONDS)
    try:
        with isolation.open(video.path, "pyav") as clip:
            assert numbers(clip, number_in, first) == list(range(first, 30))
    finally:
        isolation.close()


def gone(process):
    """Whether a process has ended, or ends within a minute."""
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{process}/stat").is_file():
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":  # ended; nobody here is there to take note
                return True
        time.sleep(0.1)
    return False


def test_the_process_ends_with_its_owner(make_video):
    isolation = Isolation(60.0, opener=OPENER)
    video = make_video("a.mp4", range(60), RATE).path
    with isolation.open(video):
        inner = int(Path(f"{video}.pid").read_text())
    del isolation
    gc.collect()
    assert gone(inner)


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are not inherited there")
@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)], ids=["stdin", "all"])
def test_closed_standard_streams_do_not_matter(make_video, tmp_path, closed):
    video = make_video("a.mp4", range(60), RATE)
    program = (
        f"import os, sys; sys.path[:] = {sys.path!r}\n"
        f"for descriptor in {closed!r}: os.close(descriptor)\n"
        "from extract.video.isolation.isolated_clip import open_isolated\n"
        f"with open_isolated({str(video.path)!r}) as clip: count = sum(1 for _ in clip.frames())\n"
        f"open({str(tmp_path / 'count')!r}, 'w').write(str(count))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "count").read_text() == "60"


def test_the_process_ends_when_its_parent_is_killed(tmp_path):
    """Even amid a decoder that hangs for ever."""
    path, inner = tmp_path / "hang_open.mp4", tmp_path / "hang_open.mp4.pid"
    path.write_bytes(b"video")
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from extract.video.isolation.isolated_clip import Isolation\n"
        f"Isolation(1000.0, opener={OPENER!r}).open({str(path)!r}, 'pyav')"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        while not (inner.is_file() and inner.read_text()):
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()
    assert gone(int(inner.read_text()))


def test_features_are_the_same_however_they_are_decoded(make_video, monkeypatch):
    video = make_video("hang_decord.mp4", range(90), RATE)
    stand_in_flow(monkeypatch, TinyFlow())

    def extractor(stall):
        return extract.Extractor(
            extract.ExtractSettings(),
            backbone=TinyBackbone(),
            decoding=extract.DecodeOptions(stall=stall),
        )

    expected = extractor(None).extract(video.path)
    found = extractor(STALL).extract(video.path)
    np.testing.assert_array_equal(found.matrix(), expected.matrix())
    assert found.meta == expected.meta
    doubles = functools.partial(Isolation, opener=OPENER)
    monkeypatch.setattr("extract.pipeline.extractor.Isolation", doubles)
    found = extractor(stall=STALL).extract(video.path)
    np.testing.assert_array_equal(found.matrix(), expected.matrix())
    assert found.facts["decoder"] == "pyav"


@pytest.mark.parametrize(
    ("size", "count"), [((64, 48), MOST_SLOTS), ((1920, 1080), 10), ((7680, 4320), FEWEST_SLOTS)]
)
def test_fewer_pictures_are_kept_ready_if_they_are_large(size, count):
    assert slots_for(size) == count
