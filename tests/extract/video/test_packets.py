"""Packets without a picture: empty ones, and those of messages or delimiters alone."""

from fractions import Fraction

import av
import pytest
from odd_packets import FILLER, UNITS, empty_packets, insert_units

from extract.errors import VideoError
from extract.video.clip import open_video

RATE = Fraction(1, 25)
NO_B = {"h264": {"bf": "0"}, "hevc": {"x265-params": "log-level=none:bframes=0:keyint=10"}}
ENCODER = {"h264": "libx264", "hevc": "libx265"}
REALTIME = {"options": {"deadline": "realtime", "cpu-used": "8"}}
CODECS = {
    "libx264": {"options": NO_B["h264"]},
    "libx265": {"options": {"x265-params": "log-level=none:keyint=1"}},
    "mpeg4": {"options": {"bf": "0"}},
    "mpeg2video": {"options": {"bf": "0"}},
    "libvpx": REALTIME,
    "libvpx-vp9": REALTIME,
    "mjpeg": {"pix_fmt": "yuvj420p"},
    "ffv1": {},
    "png": {"pix_fmt": "rgb24"},
}


def check(path, number_in, expected, frames):
    for decoder in ("auto", "pyav"):
        with open_video(path, decoder) as clip:
            assert [number_in(picture) for _, picture in clip.frames()] == expected
            assert clip.source_frames == frames
            assert clip.duration == pytest.approx(1.6)
            assert clip.partial is None
    with pytest.raises(VideoError, match="decord cannot be used"):
        open_video(path, "decord")


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "flv", "ts"])
@pytest.mark.parametrize("kind", UNITS, ids="-".join)
@pytest.mark.parametrize("after", [[15], [0, 15, 16, 30]], ids=str)
def test_a_packet_of_messages_is_not_damage(
    make_video, tmp_path, number_in, kind, suffix, after, caplog
):
    codec = kind[0]
    if ENCODER[codec] not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder of {codec} to make the file with")
    # One key frame, and several: the whole video is decoded to read its times, or both its ends.
    for gop in (60, 10):
        options = {"options": NO_B[codec], "gop": gop}
        plain = make_video(f"plain.{suffix}", range(40), RATE, codec=ENCODER[codec], **options)
        path = tmp_path / f"messages.{suffix}"
        insert_units(plain.path, path, after, UNITS[kind])
        check(path, number_in, list(range(40)), 40)
    assert "damaged" not in caplog.text


EMPTY = [
    *((".nut", codec) for codec in CODECS),
    *((suffix, codec) for suffix in (".mp4", ".mov") for codec in ("mpeg4", "mpeg2video")),
    *((suffix, codec) for suffix in (".mkv", ".avi") for codec in ("mpeg4", "mjpeg")),
]


@pytest.mark.parametrize(("suffix", "codec"), EMPTY)
def test_an_empty_packet_shows_the_frame_before(make_video, number_in, suffix, codec, caplog):
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no encoder {codec} to make the file with")
    empty = [10, 20, 35]
    video = make_video(
        f"a{suffix}",
        range(40),
        RATE,
        codec=codec,
        gop=1,
        edit=lambda number, data: FILLER[suffix] if number in empty else data,
        **CODECS[codec],
    )
    empty_packets(video.path, empty)
    check(video.path, number_in, [n - 1 if n in empty else n for n in range(40)], 37)
    assert "damaged" not in caplog.text


@pytest.mark.parametrize("name", ["aud_only.mp4", "sei_only.mp4", "sei_only.mkv", "sei_only.flv"])
def test_reported_files_with_packets_of_messages(shared_data, name):
    with open_video(shared_data / "reports" / "video" / name) as clip:
        assert (clip.source_frames, clip.frame_count(), clip.duration) == (40, 40, 1.6)
        assert sum(1 for _ in clip.frames()) == 40


def test_a_reported_file_with_empty_packets(shared_data):
    with open_video(shared_data / "reports" / "video" / "zero_mpeg4.mp4") as clip:
        assert (clip.source_frames, clip.frame_count()) == (36, 40)
        assert sum(1 for _ in clip.frames()) == 40
