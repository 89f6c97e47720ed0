"""Copies of videos that browsers cannot play are on the clock of the intervals, to one frame."""

import numpy as np
import pytest
from studio_server import Studio

from basnet_e2e.studio.tasks.proxy import write_proxy
from extract.video.clip import open_video

RATE, SECONDS = 25, 6
STEP = 255 / (RATE * SECONDS)  # brightness from one frame to the next


def write(path, codec, pixels="yuv420p", start=0, options=None):
    """Frame n of a video is as bright as n steps; its first frame comes ``start`` seconds late."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=RATE, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        if codec == "mpeg4":
            stream.bit_rate = 2_000_000
        for number in range(RATE * SECONDS):
            picture = np.full((48, 64, 3), round(number * STEP), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number + start * RATE
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def brightness(path):
    """Of each frame of a grid of 25 frames a second."""
    with open_video(path) as clip:
        return np.array([frame.mean() for _, frame in clip.frames(RATE)])


@pytest.mark.parametrize(
    ("name", "codec", "how"),
    [
        ("old.avi", "mpeg4", {}),
        ("late.mkv", "libx264", {"start": 3}),
        ("deep.mp4", "libx264", {"pixels": "yuv420p10le"}),
        ("edited.mov", "prores_ks", {"pixels": "yuv422p10le"}),
    ],
)
def test_the_copy_shows_the_same_at_the_same_time(tmp_path, name, codec, how):
    source = write(tmp_path / name, codec, **how)
    told = []
    write_proxy(source, tmp_path / "copy.mp4", lambda done, total: told.append((done, total)))
    wanted, found = brightness(source), brightness(tmp_path / "copy.mp4")
    assert len(found) == pytest.approx(len(wanted), abs=1)
    assert told[-1] == (len(wanted), len(wanted))
    common = min(len(wanted), len(found))
    frames = np.abs(found[:common] - wanted[:common]) / STEP
    assert np.median(frames) < 1
    assert frames.max() < 2  # rounding of colours adds to a frame's difference


def test_large_pictures_are_made_smaller(tmp_path):
    import av

    path = tmp_path / "large.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 1920, 1080, "yuv420p"
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame(1920, 1080, "yuv420p")))
        file.mux(stream.encode(None))
    write_proxy(path, tmp_path / "copy.mp4", lambda done, total: None)
    with open_video(tmp_path / "copy.mp4") as clip:
        assert clip.size == (1280, 720)


@pytest.mark.xdist_group("browser")
def test_the_page_plays_the_copy(browser, tmp_path):
    (tmp_path / "videos").mkdir()
    write(tmp_path / "videos" / "old.avi", "mpeg4")
    with Studio(tmp_path / "videos", tmp_path / "project", cache=tmp_path / "cache") as studio:
        browser.visit(studio.address)
        browser.wait("document.querySelector('#rows li[data-key] a.name')")
        studio.wait(lambda found: found["rows"][0]["duration"], "preview")
        browser.visit(f"http://{studio.host}/videos/{studio.rows()['old']['key']}")
        player = "document.getElementById('player')"
        browser.wait(f"{player}.readyState >= 2 && {player}.src.endsWith('/proxy')", 60)
        for frame in (10, 70, 140):
            browser.run(f"{player}.currentTime = arguments[0]", (frame + 0.5) / RATE)
            browser.wait(f"!{player}.seeking")
            level = browser.run(
                "const c = document.createElement('canvas'); c.width = c.height = 8;"
                f"const x = c.getContext('2d'); x.drawImage({player}, 0, 0, 8, 8);"
                "return x.getImageData(4, 4, 1, 1).data[1]"
            )
            assert level == pytest.approx(frame * STEP, abs=1.5 * STEP)
