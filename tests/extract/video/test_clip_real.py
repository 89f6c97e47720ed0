"""Real videos and decoding oddities of the shared data."""

import itertools

import av
import numpy as np
import pytest

from extract.errors import VideoError
from extract.video.clip import open_video

# Frames a player shows (FFmpeg's own count), seconds, grid frames at 25 fps, decoder.
KNOWN = {
    "clips/archery.avi": (131, 5.24, 131, "pyav"),
    "clips/arm_wrestling.mp4": (280, 10.0, 250, "pyav"),  # its pixels are not square
    "clips/basketball.mp4": (214, 7.14993, 179, "pyav"),  # begins at -2.9 s, header counts 265
    "clips/bikes.mp4": (250, 10.0, 250, "decord"),
    "clips/carphone.mp4": (120, 4.004, 101, "pyav"),  # nor are these
    "clips/clean_and_jerk.mp4": (355, 18.09378, 453, "decord"),
    "clips/flipping_pancake.mkv": (310, 10.333, 259, "decord"),
    # The header counts 1618.
    "clips/plastering_vfr.avi": (1616, 53.98727, 1350, "pyav"),
    "clips/walking_the_dog.mp4": (420, 14.0, 350, "decord"),
    "odd/av1_video.mkv": (125, 5.0, 125, "pyav"),
    "odd/bt709_full_range.mp4": (30, 1.0, 25, "decord"),
    "odd/frames.gif": (2, 1.0, 25, "pyav"),
    "odd/h264_10bits.mp4": (30, 1.0, 25, "pyav"),
    "odd/nasa_13013.mp4": (390, 13.013, 326, "decord"),  # the larger of two video streams
    "odd/unordered.mov": (4, 0.125, 4, "decord"),
    "odd/video_0.mov": (3, 0.1, 3, "decord"),
    "odd/video_90.mov": (3, 0.1, 3, "decord"),
    "odd/video_180.mov": (3, 0.1, 3, "decord"),
    "odd/video_270.mov": (3, 0.1, 3, "decord"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_counts_and_times(shared_data, name):
    frames, seconds, grid, decoder = KNOWN[name]
    with open_video(shared_data / name) as clip:
        assert clip.source_frames == frames
        assert clip.duration == pytest.approx(seconds, abs=1e-5)
        assert clip.frame_count() == grid
        assert clip.decoder == decoder
        assert clip.partial is None


BY_DECORD = [name for name, known in KNOWN.items() if known[3] == "decord"]


@pytest.mark.parametrize("name", BY_DECORD)
def test_decord_and_pyav_give_the_same_pictures(shared_data, name):
    limit = 25
    with (
        open_video(shared_data / name, "decord") as clip,
        open_video(shared_data / name, "pyav") as reference,
    ):
        assert clip.size == reference.size
        pairs = zip(clip.frames(), reference.frames(), strict=True)
        for (time, frame), (other_time, other) in itertools.islice(pairs, limit):
            assert time == other_time
            assert np.abs(frame.astype(int) - other).mean() < 0.5


def test_spliced_videos_use_decord(shared_data):
    for path in sorted((shared_data / "spliced" / "test").glob("*.mp4"))[:2]:
        with open_video(path, "decord") as clip, open_video(path, "pyav") as reference:
            pairs = zip(clip.frames(1), reference.frames(1), strict=True)
            assert all(np.array_equal(a[1], b[1]) for a, b in pairs)


def test_what_a_player_does_not_show_is_not_part_of_the_video(shared_data):
    path = shared_data / "clips/basketball.mp4"
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        hidden = sum(packet.is_discard for packet in file.demux(stream))
    assert hidden == 51
    with pytest.raises(
        VideoError, match="decord cannot be used: the video does not show all packets"
    ):
        open_video(path, "decord")
    with open_video(path) as clip, av.open(str(path)) as file:
        first = next(frame for frame in file.decode(video=0) if frame.pts >= 0)
        _, frame = next(clip.frames())
        assert np.array_equal(frame, first.to_ndarray(format="rgb24"))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotated_phone_videos_stand_upright(shared_data, degrees):
    path = shared_data / f"odd/video_{degrees}.mov"
    with open_video(path) as clip, av.open(str(path)) as file:
        stored = next(file.decode(video=0))
        turned = np.rot90(stored.to_ndarray(format="rgb24"), stored.rotation // 90)
        assert np.array_equal(next(clip.frames())[1], turned)
        assert clip.size == (turned.shape[1], turned.shape[0])
        assert (clip.size[0] > clip.size[1]) == (degrees % 180 == 0)


def test_damaged_file_is_refused_at_its_time_and_kept_in_part(shared_data):
    path = shared_data / "odd/corrupted.mp4"
    with pytest.raises(VideoError, match=r"decoding failed at 2\.9 s"):
        open_video(path)
    with open_video(path, keep_partial=True) as clip:
        assert clip.duration == pytest.approx(2.9)
        assert sum(1 for _ in clip.frames()) == 73
        assert "2.9 s" in clip.partial


def test_deep_colour_is_close_to_its_definition(shared_data):
    path = shared_data / "odd/h264_10bits.mp4"
    with open_video(path) as clip, av.open(str(path)) as file:
        _, frame = next(clip.frames())
        stored = next(file.decode(video=0))
    y, u, v = (
        np.frombuffer(bytes(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width] / 4
        for plane in stored.planes
    )
    u, v = (plane.repeat(2, 0).repeat(2, 1) for plane in (u, v))
    luma, blue, red = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    expected = np.stack(
        [luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], -1
    )
    assert np.abs(frame - np.clip(expected, 0, 255)).mean() < 1.5
