"""Which frame is shown at which time, on videos whose frames carry their number."""

import logging
import math
import random
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from extract.errors import ExtractError, VideoError
from extract.video.clip import open_video

MILLISECOND = Fraction(1, 1000)
DECODERS = ["decord", "pyav"]
NTSC = Fraction(30000, 1001)
FILM = Fraction(24000, 1001)


def shown_numbers(times, last, fps):
    """The definition by brute force: at n / fps the last frame that has appeared."""
    end = times[-1] + last
    grid = [Fraction(n) / fps for n in range(math.ceil(end * fps)) if Fraction(n) / fps < end]
    return [
        max([k for k, time in enumerate(times) if time <= now + MILLISECOND], default=0)
        for now in grid
    ]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("rate", [Fraction(25), FILM, NTSC, Fraction(50), Fraction(60)], ids=str)
def test_constant_rates_on_the_25_fps_grid(make_video, number_in, rate, suffix, decoder):
    # An AVI of mpeg4 without B-frames, as UCF101 and HMDB51 come.
    codec = {"codec": "mpeg4", "options": {"bf": "0"}} if suffix == "avi" else {}
    decoder = "auto" if suffix == "avi" else decoder
    video = make_video(f"a.{suffix}", range(70), 1 / rate, **codec)
    with open_video(video.path, decoder) as clip:
        assert clip.decoder == ("pyav" if suffix == "avi" else decoder)
        numbers = [number_in(frame) for _, frame in clip.frames()]
        duration = clip.duration
    # Matroska rounds to milliseconds.
    times = [Fraction(round(t * 1000), 1000) if suffix == "mkv" else t for t in video.times]
    last = Fraction(duration).limit_denominator(10**5) - times[-1]
    assert last == pytest.approx(float(1 / rate), abs=1e-3)
    assert numbers == shown_numbers(times, last, 25)


def test_variable_rate(make_video, number_in):
    spaces = random.Random(3).choices([11, 17, 40, 95, 400], k=60)
    ticks = [sum(spaces[:n]) for n in range(60)]
    video = make_video("vfr.mp4", ticks, MILLISECOND)
    with pytest.raises(VideoError, match="decord cannot be used: its frame rate varies"):
        open_video(video.path, "decord")
    with open_video(video.path) as clip:
        last = Fraction(clip.duration).limit_denominator(10**6) - video.times[-1]
        for fps in (25, "30000/1001", 3.5):
            exact = Fraction(str(fps))
            shown = [(time, number_in(frame)) for time, frame in clip.frames(fps)]
            assert [number for _, number in shown] == shown_numbers(video.times, last, exact)
            assert [time for time, _ in shown] == [float(n / exact) for n in range(len(shown))]
            assert clip.frame_count(fps) == len(shown)
        assert clip.fps == pytest.approx(60 / clip.duration)


@pytest.mark.parametrize("decoder", DECODERS)
def test_25_fps_passes_through_as_often_as_asked(make_video, number_in, decoder):
    video = make_video("a.mp4", range(40), Fraction(1, 25))
    with open_video(video.path, decoder) as clip:
        assert clip.size == (64, 48)
        assert clip.path == str(video.path)
        first = clip.frames()
        assert number_in(next(first)[1]) == 0
        for _ in range(2):
            numbers = [number_in(frame) for _, frame in clip.frames()]
            assert numbers == list(range(40))
        assert number_in(next(first)[1]) == 1
    assert list(first) == []  # closed with the clip


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_late_start_of_the_container_is_subtracted(make_video, number_in, suffix):
    video = make_video(f"late.{suffix}", range(70, 110), Fraction(1, 25))
    with open_video(video.path) as clip:
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(40))
        assert clip.duration == pytest.approx(1.6)


def test_a_stream_that_starts_after_the_others_keeps_its_place(tmp_path, number_in, numbered):
    path = tmp_path / "sound_first.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), "s16", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        file.mux(sound.encode(samples))
        for n in range(20):
            frame = av.VideoFrame.from_ndarray(numbered(n), format="rgb24")
            frame.pts, frame.time_base = n + 10, Fraction(1, 25)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
    with open_video(path) as clip:
        # The first frame stands in until it appears at 0.4 s.
        assert [number_in(frame) for _, frame in clip.frames()] == [0] * 10 + list(range(20))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_frames_before_zero_are_not_shown(make_video, number_in, suffix):
    video = make_video(
        f"early.{suffix}",
        range(-7, 33),
        Fraction(1, 25),
        container={"avoid_negative_ts": "disabled"},
        options={"bf": "0"},
    )
    with open_video(video.path) as clip:
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(7, 40))
        assert clip.duration == pytest.approx(33 / 25)
        assert clip.decoder == "pyav"


def test_b_frames_in_avi_keep_their_order(make_video, number_in):
    # FFmpeg stamps them in the order of decoding: the pictures come in the right order, their
    # timestamps do not.
    video = make_video("b.avi", range(40), Fraction(1, 25), options={"bf": "2"})
    with open_video(video.path) as clip:
        numbers = [number_in(frame) for _, frame in clip.frames()]
    assert sorted(set(numbers)) == list(range(40))
    assert numbers == sorted(numbers)


RAW = {
    "h264": {"codec": "libx264"},
    "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "m4v": {"codec": "mpeg4", "options": {"bf": "0"}},
    "mpeg2video": {"codec": "mpeg2video"},
}


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30), NTSC, FILM, Fraction(50)], ids=str)
@pytest.mark.parametrize("form", RAW)
def test_a_raw_stream_plays_at_the_rate_it_states(make_video, number_in, form, rate, caplog):
    video = make_video(f"a.{form}", range(40), 1 / rate, container_format=form, **RAW[form])
    with caplog.at_level(logging.WARNING), open_video(video.path) as clip:
        assert clip.duration == pytest.approx(float(40 / rate))
        times = [n / rate for n in range(40)]
        numbers = [number_in(frame) for _, frame in clip.frames()]
        assert numbers == shown_numbers(times, 1 / rate, 25)
    assert ("has no timestamps" in caplog.text) == (form in ("h264", "hevc"))


def test_a_raw_stream_that_states_no_rate_plays_at_25(make_video, number_in):
    form = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "container_format": "mjpeg"}
    video = make_video("a.mjpeg", range(30), Fraction(1, 30), **form)
    with open_video(video.path) as clip:
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(30))


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_single_frame(make_video, number_in, decoder):
    video = make_video("one.mkv", [0], Fraction(1, 25))
    with open_video(video.path, decoder) as clip:
        assert [number_in(frame) for _, frame in clip.frames()] == [0]
        assert clip.duration == pytest.approx(0.04)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(make_video, number_in, decoder, degrees):
    def stored(number):
        return numbered_turned(number, -degrees)

    upright = make_video("upright.mp4", range(12), Fraction(1, 25))
    numbered_turned = _turner(upright.path)
    size = (64, 48) if degrees % 180 == 0 else (48, 64)
    video = make_video(
        "turned.mp4",
        range(12),
        Fraction(1, 25),
        size=size,
        picture=stored,
        turn=(degrees, False, False),
        options={"qp": "0"},
    )
    with open_video(video.path, decoder) as clip:
        assert clip.size == (64, 48)
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(12))


def _turner(path):
    """Decoded pictures of a file by number, turned counter-clockwise by so many degrees."""
    with open_video(path, "pyav") as clip:
        pictures = [frame for _, frame in clip.frames()]
    return lambda number, degrees: np.ascontiguousarray(np.rot90(pictures[number], degrees // 90))


@pytest.mark.parametrize(("degrees", "across", "down"), [(0, 1, 0), (0, 0, 1), (90, 1, 0)])
def test_mirrored_video_is_shown_as_a_player_does(make_video, degrees, across, down):
    plain = make_video("plain.mp4", range(5), Fraction(1, 25), size=(80, 48))
    turned = make_video(
        "mirrored.mp4",
        range(5),
        Fraction(1, 25),
        size=(80, 48),
        turn=(degrees, bool(across), bool(down)),
    )
    with open_video(plain.path) as clip, open_video(turned.path) as other:
        for (_, frame), (_, mirrored) in zip(clip.frames(), other.frames(), strict=True):
            expected = np.rot90(frame, degrees // 90)
            expected = expected[:, ::-1] if across else expected
            expected = expected[::-1] if down else expected
            assert np.array_equal(mirrored, expected)
    assert other.decoder == "pyav"


def test_cover_pictures_are_not_videos(tmp_path, number_in, numbered):
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as file:
        cover = file.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((480, 640, 3), 80, np.uint8), format="rgb24")
        file.mux(cover.encode(grey.reformat(format="yuvj420p")))
        file.mux(cover.encode(None))
        for n in range(20):
            frame = av.VideoFrame.from_ndarray(numbered(n), format="rgb24")
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
    with open_video(path) as clip:
        assert clip.size == (64, 48)
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(20))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("size", "pix_fmt"), [((71, 49), "yuv444p"), ((66, 50), "yuv420p")])
def test_odd_sizes(make_video, number_in, size, pix_fmt, decoder):
    video = make_video("odd.mkv", range(10), Fraction(1, 25), size=size, pix_fmt=pix_fmt)
    with open_video(video.path, decoder) as clip:
        assert clip.size == size
        frames = [frame for _, frame in clip.frames()]
    assert frames[0].shape == (size[1], size[0], 3)
    assert [number_in(frame) for frame in frames] == list(range(10))


# Y, U, V of 8 bits; grey, a red, a green and a blue within the limited range.
COLOURS = [(126, 128, 128), (90, 110, 190), (120, 90, 80), (70, 190, 110)]
MATRICES = {
    "bt601": (5, 0.299, 0.114),
    "bt709": (1, 0.2126, 0.0722),
    "bt2020nc": (9, 0.2627, 0.0593),
    "unspecified": (2, 0.299, 0.114),
}


def rgb_of(colour, red, blue, full):
    """RGB of a Y'CbCr colour by the definition of the matrix and the range."""
    y, u, v = colour
    luma = y if full else (y - 16) * 255 / 219
    u, v = ((c - 128) * 255 / (255 if full else 224) for c in (u, v))
    r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
    g = (luma - red * r - blue * b) / (1 - red - blue)
    return np.clip([r, g, b], 0, 255)


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
@pytest.mark.parametrize("deep", [False, True], ids=["8bit", "10bit"])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_follow_matrix_and_range_of_the_stream(make_video, matrix, full, deep, decoder):
    code, red, blue = MATRICES[matrix]

    def picture(number):
        frame = av.VideoFrame(64, 48, "yuv420p10le" if deep else "yuv420p")
        for plane, value in zip(frame.planes, COLOURS[number % 4], strict=True):
            values = np.full(plane.buffer_size // (2 if deep else 1), value * (4 if deep else 1))
            plane.update(values.astype(np.uint16 if deep else np.uint8).tobytes())
        frame.colorspace, frame.color_range = code, 2 if full else 1
        return frame

    video = make_video(
        "colour.mkv",
        range(8),
        Fraction(1, 25),
        pix_fmt="yuv420p10le" if deep else "yuv420p",
        picture=picture,
        options={
            "crf": "1",
            "x264-params": f"colormatrix={_x264_name(code)}:fullrange={'on' if full else 'off'}",
        },
    )
    with open_video(video.path, decoder) as clip:
        frames = [frame for _, frame in clip.frames()]
    for number, frame in enumerate(frames):
        expected = rgb_of(COLOURS[number % 4], red, blue, full)
        assert np.abs(frame.mean((0, 1)) - expected).max() < 3, (number, frame[20, 20], expected)


def _x264_name(code):
    return {5: "bt470bg", 1: "bt709", 2: "undef", 9: "bt2020nc"}[code]


def test_decoder_is_named_in_the_log(make_video, caplog):
    video = make_video("a.mp4", range(20), Fraction(1, 25))
    with caplog.at_level(logging.DEBUG), open_video(video.path) as clip:
        assert clip.decoder == "decord"
    assert "decoded by decord" in caplog.text


def test_a_video_that_decord_might_hold_whole_goes_through_pyav(make_video, monkeypatch, caplog):
    """Nothing is wrong with such a video, so nothing is said."""
    video = make_video("a.mp4", range(20), Fraction(1, 25))
    size = 64 * 48 * 3 * 20
    for bound, decoder in ((size, "decord"), (size - 1, "pyav")):
        monkeypatch.setattr("extract.video.clip.DECORD_BYTES", bound)
        with open_video(video.path) as clip:
            assert clip.decoder == decoder
    with open_video(video.path, "decord") as clip:
        assert clip.decoder == "decord"
    assert caplog.text == ""


def test_what_decord_refuses_goes_through_pyav(make_video, number_in, monkeypatch, decord, caplog):
    def refuse(path, **options):
        raise decord.DECORDError("no such codec")

    monkeypatch.setattr(decord, "VideoReader", refuse)
    video = make_video("a.mp4", range(20), Fraction(1, 25))
    with caplog.at_level(logging.DEBUG), open_video(video.path) as clip:
        assert clip.decoder == "pyav"
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(20))
    assert "not decord: it cannot open the file (no such codec)" in caplog.text
    with pytest.raises(VideoError, match="no such codec"):
        open_video(video.path, "decord")


def test_decoding_is_lazy(make_video, decord, monkeypatch):
    read = []

    class Counting(decord.VideoReader):
        def next(self):
            read.append(1)
            return super().next()

    video = make_video("a.mp4", range(200), Fraction(1, 25))
    with open_video(video.path) as clip:
        monkeypatch.setattr(decord, "VideoReader", Counting)
        frames = clip.frames()
        next(frames)
        assert len(read) <= 2


def test_unknown_decoder_and_rate_name_what_is_valid(make_video):
    video = make_video("a.mp4", range(5), Fraction(1, 25))
    with pytest.raises(ExtractError, match="auto, decord, pyav"):
        open_video(video.path, "opencv")
    with open_video(video.path) as clip, pytest.raises(ExtractError, match="above 0"):
        clip.frames(0)


def test_names_that_look_like_addresses(make_video, number_in, tmp_path, monkeypatch):
    make_video("12:30 ü.mp4", range(5), Fraction(1, 25))
    monkeypatch.chdir(tmp_path)
    with open_video("12:30 ü.mp4") as clip:
        assert clip.decoder == "decord"
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(5))


def test_torch_computes_after_decord_was_loaded(make_video):
    """decord brings a BLAS for GPUs that would take torch's matrix products and crash."""
    video = make_video("a.mp4", range(30), Fraction(1, 25))
    program = (
        "import sys, extract\n"
        "with extract.open_video(sys.argv[1], 'decord') as clip: next(clip.frames())\n"
        "import torch, torch.nn.functional as F\n"
        "print(F.linear(torch.ones(64, 1024), torch.ones(512, 1024)).sum().item())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(video.path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, str(64 * 512 * 1024.0)), done.stderr
