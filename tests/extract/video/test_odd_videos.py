"""Odd videos, kind by kind: at each grid time the frame that a player shows, by either decoder.

Every frame carries its number in blocks of black and white, so a picture at a wrong time is seen.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import odd_files
import pytest
from odd_files import COVER, RATE, Track

from extract.errors import VideoError
from extract.video.clip import open_video

FRAMES = 40
WHOLE = list(range(FRAMES))
VP8 = {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}}
VP9 = VP8 | {"codec": "libvpx-vp9"}
XVID = {"codec": "mpeg4", "options": {"bf": "0"}}
GIF = {"codec": "gif", "pix_fmt": "rgb8"}
MPEG2 = {"codec": "mpeg2video"}
PRORES = {"codec": "prores_ks", "pix_fmt": "yuv422p10le"}
INTERLACED = {"flags": "+ildct+ilme"}
WRAP = 2**33 // 3600  # frames of 25 fps until a clock of 33 bits at 90 kHz begins anew


def hevc(**colours):
    words = [f"{name}={value}" for name, value in {"log-level": "none", **colours}.items()]
    return {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "options": {"x265-params": ":".join(words)},
    }


@contextlib.contextmanager
def usual_priority():
    """SVT-AV1 gives the thread that opens it priority over all else, where root runs the tests."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


@dataclass(frozen=True)
class Odd:
    """A kind of odd video.

    Attributes:
        name: file name.
        shown: numbers of the frames that are shown at n / 25 s.
        settings: of ``write_video``.
        ticks: times of the frames in units of ``unit``.
        unit: seconds.
        change: what is done to the file afterwards.
        size: width and height.
        wide, high: pixels that show one pixel of the numbered picture.
    """

    name: str
    shown: list[int] = field(default_factory=lambda: WHOLE)
    settings: dict = field(default_factory=dict)
    ticks: range | list[int] = range(FRAMES)
    unit: Fraction = RATE
    change: Callable[[Path], None] | None = None
    enlarged: int = 1

    def __str__(self):
        return self.name

    def make(self, folder, video_writer, numbered):
        size = (64 * self.enlarged, 48 * self.enlarged)
        ones = np.ones((self.enlarged, self.enlarged, 1), np.uint8)

        def picture(number):
            return np.kron(numbered(number), ones)

        settings = ({"size": size, "picture": picture} if self.enlarged > 1 else {}) | self.settings
        with usual_priority():
            video = video_writer(folder / self.name, self.ticks, self.unit, **settings)
        if self.change:
            self.change(video.path)
        return video.path


def edits(*rows):
    return lambda path: odd_files.set_edit_list(path, list(rows))


def lie(function, by):
    return lambda path: function(path, by)


def per_second(rate, count):
    """Numbers shown of ``count`` frames at an even rate; a frame may be a millisecond late."""
    return [int((Fraction(n, 25) + Fraction(1, 1000)) * rate) for n in range(count * 25 // rate)]


GAP = [*range(20), *range(220, 240)]
OVER_GAP = [*range(19), *[19] * 201, *range(20, 40)]

CONTAINERS = [
    Odd("plain.gif", settings=GIF),
    Odd("plain.webm", settings=VP8),
    Odd("vp9.webm", settings=VP9),
    Odd("plain.mkv"),
    Odd("plain.mov"),
    Odd("plain.mp4"),
    Odd("av1.mp4", settings={"codec": "libsvtav1"}),
    Odd("plain.flv"),
    Odd("plain.wmv", settings={"codec": "wmv2"}),
    Odd("plain.avi", settings=XVID),
    Odd("mjpeg.avi", settings={"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
    Odd("plain.ts"),
    Odd("plain.m2ts"),
    Odd("plain.mpg", settings=MPEG2),
    Odd("plain.mxf", settings=MPEG2),
    Odd("plain.ogv", settings=VP8),
    Odd("plain.apng", settings={"codec": "apng", "pix_fmt": "rgb24"}),
    Odd("plain.y4m", settings={"codec": "rawvideo"}),
]
HEADERS = [
    Odd("no_duration.mkv", settings={"container": {"live": "1"}}),
    Odd("no_duration.flv", settings={"container": {"flvflags": "no_duration_filesize"}}),
    Odd("fragments.mp4", settings={"container": {"movflags": "frag_keyframe+empty_moov"}}),
    Odd("ten_times.mp4", change=lie(odd_files.scale_mp4_durations, 10)),
    Odd("half.mp4", change=lie(odd_files.scale_mp4_durations, 0.5)),
    Odd("none.mp4", change=lie(odd_files.scale_mp4_durations, 0)),
    Odd("ten_times.mkv", change=lie(odd_files.scale_matroska_duration, 10)),
    Odd("half.mkv", change=lie(odd_files.scale_matroska_duration, 0.5)),
    Odd("counts_more.avi", settings=XVID, change=lie(odd_files.miscount_avi, 1000)),
    Odd("counts_less.avi", settings=XVID, change=lie(odd_files.miscount_avi, -20)),
]
CLOCKS = [
    Odd("late.mp4", ticks=range(70, 110)),
    Odd("late.ts", ticks=range(70, 110)),
    Odd(
        "early.mkv",
        list(range(7, 40)),
        {"container": {"avoid_negative_ts": "disabled"}, "options": {"bf": "0"}},
        range(-7, 33),
    ),
    # Close to the limit of the clock FFmpeg calls the times before it negative.
    Odd("over_the_limit.ts", ticks=range(WRAP - 50, WRAP - 10)),
    Odd(
        "long_over_the_limit.ts",
        [n // 100 for n in range(3901)],
        ticks=range(WRAP - 2000, WRAP + 2000, 100),
    ),
    Odd("gap.mp4", OVER_GAP, ticks=GAP),
    Odd("gap.mkv", OVER_GAP, ticks=GAP),
    Odd("gap.webm", OVER_GAP, ticks=GAP, settings=VP8),
    Odd("gap.flv", OVER_GAP, ticks=GAP),
    Odd("gap.ts", OVER_GAP, ticks=GAP),
    Odd("leap.mp4", WHOLE, ticks=[*range(20), *range(10**6, 10**6 + 20)]),
    Odd("leap.mkv", WHOLE, ticks=[*range(20), *range(10**6, 10**6 + 20)]),
    Odd("b_frames.avi", settings={"options": {"bf": "2"}}),
    Odd("many_b_frames.avi", settings={"options": {"bf": "4"}}),
    Odd("xvid_b_frames.avi", settings=XVID | {"options": {"bf": "2"}}),
    Odd("one_fps.mp4", per_second(1, 8), ticks=range(8), unit=Fraction(1)),
    Odd("one_fps.mkv", per_second(1, 8), ticks=range(8), unit=Fraction(1)),
    Odd("one_fps.gif", per_second(1, 8), settings=GIF, ticks=range(8), unit=Fraction(1)),
    Odd("240_fps.mp4", per_second(240, 480), ticks=range(480), unit=Fraction(1, 240)),
    Odd("240_fps.mkv", per_second(240, 480), ticks=range(480), unit=Fraction(1, 240)),
    Odd("240_fps.avi", per_second(240, 480), XVID, range(480), Fraction(1, 240)),
    Odd("240_fps.ts", per_second(240, 480), {}, range(480), Fraction(1, 240)),
    Odd("single.gif", [0], settings=GIF, ticks=range(1)),
    Odd("single.mp4", [0], ticks=range(1)),
    Odd("single.mkv", [0], ticks=range(1)),
    Odd("single.webm", [0], settings=VP8, ticks=range(1)),
    Odd("single.avi", [0], settings=XVID, ticks=range(1)),
    Odd("single.ts", [0], ticks=range(1)),
]
NO_B = {"options": {"bf": "0"}}
EDITS = [
    Odd("begins_later.mp4", WHOLE[15:], change=edits((1000, 15))),
    Odd("ends_early.mp4", WHOLE[:25], change=edits((1000, 0))),
    Odd("both.mp4", WHOLE[5:15], change=edits((400, 5))),
    Odd(
        "without_the_middle.mp4",
        [*range(10), *range(20, 30)],
        NO_B,
        change=edits((400, 0), (400, 20)),
    ),
    Odd("swapped.mp4", [*range(20, 30), *range(10)], change=edits((400, 20), (400, 0))),
    Odd("repeated.mp4", [*range(10), *range(10)], change=edits((400, 0), (400, 0))),
    # The container's start is the clock's: nothing plays for 0.4 s, and then the video begins.
    Odd("waits.mp4", change=edits((400, -1), (1600, 0))),
]
PICTURES = [
    Odd("interlaced.mp4", settings={"options": {"x264-params": "tff=1"}}),
    Odd("interlaced.ts", settings={"options": {"x264-params": "bff=1"}}),
    Odd("interlaced.mpg", settings=MPEG2 | {"options": INTERLACED}),
    Odd("pulldown.mp4", settings={"options": {"x264-params": "pulldown=32"}}),
    Odd("ten_bits.mp4", settings={"pix_fmt": "yuv420p10le"}),
    Odd("ten_bits.mov", settings=PRORES),
    Odd("ten_bits_av1.mkv",
        settings={"codec": "libsvtav1", "pix_fmt": "yuv420p10le"}),
    Odd("pq.mp4",
        settings=hevc(colorprim="bt2020", transfer="smpte2084", colormatrix="bt2020nc")),
    Odd("hlg.mkv",
        settings=hevc(colorprim="bt2020", transfer="arib-std-b67", colormatrix="bt2020nc")),
    Odd("grey_16.mkv", settings={"codec": "ffv1", "pix_fmt": "gray16le"}),
    Odd("rgb.mp4", settings={"codec": "libx264rgb", "pix_fmt": "rgb24"}),
    Odd("odd_size.webm", settings=VP8 | {"size": (321, 243)}),
    Odd("odd_size.gif", settings=GIF | {"size": (321, 243)}, shown=WHOLE),
    Odd("odd_size.avi", settings=XVID | {"size": (321, 243)}),
    Odd("odd_size.mov", settings=PRORES | {"size": (321, 243)}),
    Odd("odd_size.mp4", settings={"pix_fmt": "yuv444p", "size": (321, 243)}),
    Odd("eight_k.mov", [0, 1], ticks=range(2), enlarged=90,
        settings={"codec": "mjpeg", "pix_fmt": "yuvj420p"}),
]  # fmt: skip
KINDS = [*CONTAINERS, *HEADERS, *CLOCKS, *EDITS, *PICTURES]


@pytest.fixture(scope="module")
def made(tmp_path_factory, video_writer, numbered):
    """The file of a kind, made once."""
    files: dict[str, Path] = {}

    def make(kind):
        if kind.name not in files:
            folder = tmp_path_factory.mktemp("odd")
            files[kind.name] = kind.make(folder, video_writer, numbered)
        return files[kind.name]

    return make


def shown(path, decoder, number_in, enlarged=1):
    """Numbers on the 25 fps grid, and the decoder that gave them."""
    with open_video(path, decoder) as clip:
        half = enlarged // 2
        numbers = [number_in(frame[half::enlarged, half::enlarged]) for _, frame in clip.frames()]
        assert len(numbers) == clip.frame_count()
        return numbers, clip.decoder


# Those that decord decodes.
BY_DECORD = {
    *("plain.mkv", "plain.mov", "plain.mp4", "fragments.mp4", "ten_times.mp4", "half.mp4"),
    *("none.mp4", "ten_times.mkv", "half.mkv", "late.mp4", "waits.mp4", "one_fps.mp4"),
    *("one_fps.mkv", "240_fps.mp4", "240_fps.mkv", "single.mp4", "single.mkv"),
    *("interlaced.mp4", "pulldown.mp4", "rgb.mp4", "odd_size.mp4"),
}


@pytest.mark.parametrize("decoder", ["auto", "decord", "pyav"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_frames_that_a_player_shows(made, number_in, kind, decoder):
    path, by_decord = made(kind), kind.name in BY_DECORD
    if decoder == "decord" and not by_decord:
        with pytest.raises(VideoError, match="decord cannot be used"):
            open_video(path, decoder)
        return
    numbers, used = shown(path, decoder, number_in, kind.enlarged)
    assert numbers == kind.shown
    assert used == ("decord" if by_decord and decoder != "pyav" else "pyav")


ALPHA = {
    "vp9.webm": VP9 | {"pix_fmt": "yuva420p"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuva444p10le", "options": {"profile": "4444"}},
    "qtrle.mov": {"codec": "qtrle", "pix_fmt": "argb"},
    "png.mov": {"codec": "png", "pix_fmt": "rgba"},
    "ffv1.mkv": {"codec": "ffv1", "pix_fmt": "yuva420p"},
    "utvideo.avi": {"codec": "utvideo", "pix_fmt": "gbrap"},
    "a.apng": {"codec": "apng", "pix_fmt": "rgba"},
}


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
@pytest.mark.parametrize("name", ALPHA)
def test_alpha_is_left_aside(make_video, numbered, number_in, name, decoder):
    def see_through(number):
        alpha = np.full((48, 64, 1), 255, np.uint8)
        alpha[:, ::2] = 0
        whole = np.concatenate([numbered(number), alpha], axis=2)
        frame = av.VideoFrame.from_ndarray(whole, format="rgba")
        return frame.reformat(format=ALPHA[name]["pix_fmt"])

    video = make_video(name, range(12), RATE, picture=see_through, **ALPHA[name])
    assert shown(video.path, decoder, number_in)[0] == list(range(12))


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
@pytest.mark.parametrize(
    ("name", "size", "codec", "pix_fmt"),
    [
        ("pixel.mkv", (1, 1), "ffv1", "bgr0"),
        ("pixel.mov", (1, 1), "png", "rgb24"),
        ("row.mkv", (200, 1), "ffv1", "bgr0"),
        ("four.mp4", (2, 2), "libx264", "yuv420p"),
    ],
)
def test_sizes_too_small_for_a_number(make_video, name, size, codec, pix_fmt, decoder):
    def grey(number):
        return np.full((size[1], size[0], 3), 10 * number, np.uint8)

    video = make_video(name, range(20), RATE, size=size, codec=codec, pix_fmt=pix_fmt, picture=grey)
    with open_video(video.path, decoder) as clip:
        assert clip.size == size
        assert [round(frame.mean() / 10) for _, frame in clip.frames()] == list(range(20))


@pytest.mark.parametrize("decoder", ["auto", "decord", "pyav"])
@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_a_cover_before_the_video(tmp_path, numbered, number_in, suffix, decoder):
    path = tmp_path / f"cover.{suffix}"
    odd_files.write_tracks(path, [COVER, Track()], numbered, sound=suffix == "mp4")
    assert shown(path, decoder, number_in)[0] == list(range(20))


@pytest.mark.parametrize("decoder", ["auto", "decord", "pyav"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("default", [None, 0, 1])
@pytest.mark.parametrize("wide", [0, 1])
def test_of_several_streams_the_one_that_ffmpeg_plays(
    tmp_path, numbered, number_in, suffix, default, wide, decoder
):
    path = tmp_path / f"several.{suffix}"
    tracks = [
        Track(
            100 * n,
            (128, 96) if n == wide else (64, 48),
            av.stream.Disposition.default if n == default else None,
            codec="mpeg4" if suffix == "avi" else "libx264",
        )
        for n in range(2)
    ]
    odd_files.write_tracks(path, tracks, numbered)
    with av.open(str(path)) as file:
        best = file.streams.best("video").index
    if decoder == "decord" and suffix in ("ts", "avi"):
        with pytest.raises(VideoError, match="decord cannot be used"):
            open_video(path, decoder)
        return
    assert shown(path, decoder, number_in)[0] == list(range(100 * best, 100 * best + 20))


@pytest.mark.parametrize(("suffix", "form"), [("m4a", "mp4"), ("mp4", None)])
def test_sound_with_a_cover_is_not_a_video(tmp_path, numbered, suffix, form):
    path = tmp_path / f"song.{suffix}"
    odd_files.write_tracks(path, [COVER], numbered, sound=True, container_format=form)
    with pytest.raises(VideoError, match="no video stream"):
        open_video(path)


@pytest.mark.parametrize("decoder", ["auto", "decord", "pyav"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_a_video_that_begins_after_its_sound(tmp_path, numbered, number_in, suffix, decoder):
    path = tmp_path / f"late.{suffix}"
    odd_files.write_tracks(path, [Track(start=10)], numbered, sound=True)
    if decoder == "decord":
        with pytest.raises(VideoError, match="decord cannot be used: the video does not show all"):
            open_video(path, decoder)
        return
    assert shown(path, decoder, number_in)[0] == [0] * 10 + list(range(20))
