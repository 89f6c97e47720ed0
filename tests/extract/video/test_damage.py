"""Files that are broken, cut off or no videos: one clear line, never a short video in silence."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest

from extract.errors import VideoError
from extract.video.clip import open_video
from extract.video.truncation import missing_bytes

RATE = Fraction(1, 25)
INDEX_FIRST = {"movflags": "faststart"}
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def failure(path, **settings):
    """The one line that opening the file, or reading it through, ends with."""
    with pytest.raises(VideoError) as caught, open_video(path, **settings) as clip:
        for _ in clip.frames():
            pass
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    return str(caught.value)


def noisy(number):
    """Pictures that do not compress, so that a cut takes a fair share of the frames."""
    return np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in failure(tmp_path / "none.mp4")
    link = tmp_path / "link.mp4"
    link.symlink_to("gone.mp4")
    assert "a link to gone.mp4, which does not exist" in failure(link)


def test_folder(tmp_path):
    assert "folder" in failure(tmp_path)


def test_empty_file(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    assert "empty" in failure(path)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.avi", "notes.mkv"])
def test_text_named_as_a_video(tmp_path, name):
    path = tmp_path / name
    path.write_text("Monday: archery, 25 m. Tuesday: rest.\n" * 200)
    assert "not a video" in failure(path)


def test_sound_without_picture(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    assert "no video stream" in failure(path)


def test_stream_without_frames(tmp_path):
    path = tmp_path / "nothing.mkv"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        file.start_encoding()
    failure(path)


CUTS = [
    ("index_first.mp4", {"container": INDEX_FIRST}),
    ("fragments.mp4", {"container": FRAGMENTED}),
    ("a.mkv", {}),
    ("a.avi", {"codec": "mpeg4", "options": {"bf": "0"}}),
]


@pytest.mark.parametrize(("name", "settings"), CUTS)
def test_cut_off_file_is_refused_and_its_beginning_kept_on_demand(
    make_video, name, settings, caplog
):
    video = make_video(name, range(60), RATE, picture=noisy, **settings)
    assert missing_bytes(str(video.path)) == 0
    with open_video(video.path) as clip:
        whole = [frame for _, frame in clip.frames()]
        assert clip.partial is None
    data = video.path.read_bytes()
    video.path.write_bytes(data[: len(data) * 6 // 10])
    message = failure(video.path)
    assert "cut off" in message
    assert "--keep-partial" in message
    with caplog.at_level(logging.WARNING), open_video(video.path, keep_partial=True) as clip:
        kept = [frame for _, frame in clip.frames()]
        assert "cut off" in clip.partial
        assert clip.frame_count() == len(kept)
        assert clip.duration == pytest.approx(len(kept) / 25)
    assert "cut off" in caplog.text
    assert 20 < len(kept) < 45
    # The very last one may be a part of a picture.
    for frame, other in zip(kept[:-1], whole, strict=False):
        assert np.array_equal(frame, other)


def test_cut_off_before_its_index(make_video):
    video = make_video("index_last.mp4", range(60), RATE, picture=noisy)
    data = video.path.read_bytes()
    video.path.write_bytes(data[: len(data) * 6 // 10])
    assert "cut off or not a video" in failure(video.path)
    assert "cut off or not a video" in failure(video.path, keep_partial=True)


def test_bytes_missing_after_the_last_frame_do_not_matter(make_video):
    # The index of Matroska stands at the end; without it a file still plays.
    video = make_video("a.mkv", range(60), RATE, picture=noisy)
    data = video.path.read_bytes()
    video.path.write_bytes(data[:-40])
    assert missing_bytes(str(video.path)) == 40
    with open_video(video.path) as clip:
        assert sum(1 for _ in clip.frames()) == 60


def broken_packet(number, data):
    """Nothing is left of the slice in packet 25, which FFmpeg calls invalid data."""
    return b"\x00\x00\x00\x01\x41" if number == 25 else data


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_damage_in_the_middle_names_the_time(make_video, decoder, number_in):
    video = make_video("a.mp4", range(60), RATE, options={"bf": "0"}, edit=broken_packet, gop=20)
    assert "decoding failed at 1.0 s" in failure(video.path, decoder=decoder)
    with open_video(video.path, decoder, keep_partial=True) as clip:
        assert [number_in(frame) for _, frame in clip.frames()] == list(range(25))
        assert clip.duration == 1.0
        assert clip.partial.startswith("decoding failed at 1.0 s")
        assert clip.decoder == "pyav"


def test_decord_alone_refuses_damage_too(make_video):
    # It decodes ahead, so when it gives up and what it says depends on its threads.
    video = make_video("a.mp4", range(60), RATE, options={"bf": "0"}, edit=broken_packet, gop=20)
    assert "/project/src" not in failure(video.path, decoder="decord")


def test_decord_failing_on_the_way_hands_over_to_pyav(
    make_video, monkeypatch, decord, number_in, caplog
):
    read = []

    class Failing(decord.VideoReader):
        def next(self):
            read.append(1)
            if len(read) > 20:
                raise decord.DECORDError("Error sending packet")
            return super().next()

    video = make_video("a.mp4", range(60), RATE)
    with open_video(video.path) as clip:
        assert clip.decoder == "decord"
        monkeypatch.setattr(decord, "VideoReader", Failing)
        with caplog.at_level(logging.WARNING):
            assert [number_in(frame) for _, frame in clip.frames()] == list(range(60))
        assert clip.decoder == "pyav"
    assert "decord failed at 0.8 s (Error sending packet), continuing with PyAV" in caplog.text


def test_a_stream_whose_first_packets_do_not_decode_begins_later(make_video, number_in):
    # As a recording of a broadcast begins: between two key frames.
    video = make_video(
        "tuned_in.ts",
        range(60),
        RATE,
        options={"bf": "0"},
        gop=10,
        edit=lambda number, data: None if number == 0 else data,
    )
    with open_video(video.path) as clip:
        numbers = [number_in(frame) for _, frame in clip.frames()]
    assert numbers[-1] == 59
    assert numbers == sorted(numbers)


def test_ffmpeg_writes_nothing_to_the_terminal(make_video, capfd):
    video = make_video("a.mp4", range(60), RATE, options={"bf": "0"}, edit=broken_packet, gop=20)
    failure(video.path)
    with open_video(video.path, keep_partial=True) as clip:
        for _ in clip.frames():
            pass
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""
