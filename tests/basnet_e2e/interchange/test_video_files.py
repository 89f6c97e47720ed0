"""Clips, labelled copies and chapters: real files, read back frame by frame."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from basnet_e2e import Interval, Localization
from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.interchange.clips.burn import burn
from basnet_e2e.interchange.clips.cut import cut
from basnet_e2e.interchange.formats.chapters import write_video as write_chapters
from basnet_e2e.report.thumbnails import take_thumbnails
from extract.video.clip import open_video

FRAMES, FPS, SIZE = 100, 25, (64, 48)
FOUND = [Interval("di/ve", 1.0, 2.0, 0.9), Interval("jump", 1.52, 3.0, 0.5)]
RESULT = Localization("set/v", "v.mp4", FRAMES / FPS, "m", {}, FOUND)


def picture(number):
    return np.full((SIZE[1], SIZE[0], 3), 20 + 2 * number, np.uint8)


def numbers(path):
    """Which frames of the source a video shows on its 25 fps grid."""
    with open_video(path) as clip:
        return [round((float(frame.mean()) - 20) / 2) for _, frame in clip.frames(FPS)]


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    write_video(path, map(picture, range(FRAMES)), FPS, SIZE)
    return path


@pytest.fixture(scope="module")
def sounding(video):
    """The same with a tone, in mkv."""
    path = video.with_name("tone.mkv")
    with av.open(str(video)) as read, av.open(str(path), "w") as written:
        pictures = written.add_stream_from_template(read.streams.video[0])
        sound = written.add_stream("aac", rate=8000, layout="mono")
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                written.mux(packet)
        tone = np.sin(np.arange(8000 * 4) / 8).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        written.mux(sound.encode(frame))
        written.mux(sound.encode())
    return path


def test_exact_clips_hold_the_frames_of_the_interval(video, tmp_path):
    one, two = cut(RESULT, video, tmp_path, exact=True)
    assert one.relative_to(tmp_path).as_posix() == "set/v/001_di_ve_1.000-2.000.mp4"
    assert numbers(one) == pytest.approx(range(25, 50), abs=1)
    assert numbers(two) == pytest.approx(range(38, 75), abs=1)
    assert not list(tmp_path.rglob(".*"))


def test_copied_clips_begin_with_the_interval(video, tmp_path):
    for path, first, last in zip(cut(RESULT, video, tmp_path), (25, 38), (50, 75), strict=True):
        shown = numbers(path)
        assert shown[0] == pytest.approx(first, abs=1)
        assert last - first <= len(shown) <= last - first + 4
        with av.open(str(path)) as clip, av.open(str(video)) as source:
            # The packets are the source's own.
            ours = [bytes(packet) for packet in clip.demux(video=0) if packet.size]
            theirs = {bytes(packet) for packet in source.demux(video=0) if packet.size}
            assert set(ours) <= theirs


def test_copied_clips_of_reordered_frames_are_whole(tmp_path):
    path, step = tmp_path / "b.mkv", Fraction(1, FPS)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"bf": "3", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, step
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    for clip, first, last in zip(cut(RESULT, path, tmp_path), (20, 30), (50, 75), strict=True):
        shown = numbers(clip)
        assert shown[: last - first] == pytest.approx(range(first, last), abs=1)


def test_clips_keep_their_sound(sounding, tmp_path):
    for exact, folder in ((True, "exact"), (False, "copied")):
        for path in cut(RESULT, sounding, tmp_path / folder, exact=exact):
            with av.open(str(path)) as clip:
                sound = clip.streams.audio[0]
                samples = sum(frame.samples for frame in clip.decode(sound))
            assert samples / 8000 >= 0.7


def test_other_containers_are_encoded(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "v.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (clip,) = cut(Localization("v", "v.avi", 2.4, "m", {}, FOUND[:1]), path, tmp_path / "out")
    assert clip.suffix == ".mp4"
    assert numbers(clip) == pytest.approx(numbers(path)[25:50], abs=1)
    assert "encoding the clips" in caplog.text


def test_labels_are_drawn_while_an_action_lasts(video, tmp_path):
    path, seen = tmp_path / "burnt.mp4", []
    burn(RESULT, video, path, lambda done, count: seen.append((done, count)))
    assert seen[-1] == (FRAMES, FRAMES)
    with open_video(path) as clip, open_video(video) as source:
        pairs = zip(clip.frames(FPS), source.frames(FPS), strict=True)
        changed = [float(np.abs(new.astype(int) - old).max()) > 40 for (_, new), (_, old) in pairs]
    assert [k for k, drawn in enumerate(changed) if drawn] == list(range(25, 75))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A white disc in pixels that are wider than high."""
    path, pixel = tmp_path_factory.mktemp("video") / "wide.mp4", Fraction(64, 45)
    x, y = np.meshgrid(np.arange(180) - 89.5, np.arange(144) - 71.5)
    disc = np.where((x * float(pixel)) ** 2 + y**2 < 48**2, 255, 60).astype(np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 180, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = pixel
        for _ in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(disc[..., None].repeat(3, 2), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def is_round(picture):
    white = picture.mean(2) > 150
    across, down = white.any(0).sum(), white.any(1).sum()
    return abs(across / picture.shape[1] - 96 / 256) < 0.02 and abs(across - down) < 3


def test_a_disc_is_round_in_clips_and_labelled_copies(wide, tmp_path):
    """As on a player: stretched to square pixels, or with the ratio of the source."""
    burn(RESULT, wide, tmp_path / "labelled.mp4")
    exact = cut(RESULT, wide, tmp_path / "exact", exact=True)
    copies = cut(RESULT, wide, tmp_path / "copied")
    for path in (tmp_path / "labelled.mp4", *exact, *copies):
        with open_video(path) as clip:
            assert clip.size == (256, 144)
            assert is_round(next(clip.frames())[1])
    for path in (tmp_path / "labelled.mp4", *exact):
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            assert (stream.width, stream.height) == (256, 144)
            assert stream.sample_aspect_ratio in (None, 1)


def test_a_disc_is_round_in_thumbnails(wide):
    with Image.open(io.BytesIO(take_thumbnails(wide)[0].jpeg)) as image:
        picture = np.asarray(image)
    assert picture.shape == (90, 160, 3)
    assert abs((picture.mean(2) > 150).any(0).sum() - 60) < 3


def test_chapters_in_a_copy_of_the_video(video, tmp_path):
    path = tmp_path / "marked.mp4"
    write_chapters(video, path, RESULT)
    with av.open(str(path)) as container:
        marks = [
            (round(float(mark["start"] * mark["time_base"]), 3), mark["metadata"]["title"])
            for mark in container.chapters()
        ]
    assert marks == [
        (0.0, "no action"),
        (1.0, "di/ve"),
        (1.52, "di/ve + jump"),
        (2.0, "jump"),
        (3.0, "no action"),
    ]
    assert numbers(path) == numbers(video)


def test_the_command_finds_the_video_beside_the_result(video, tmp_path, run):
    from basnet_e2e.interchange.writers import write_results

    result = video.with_name("result.json")
    write_results(result, [RESULT])
    code, out, err = run("export", "intervals", result, "--cut", tmp_path / "clips")
    assert (code, out) == (0, "")
    assert err[-1].startswith("2 clips written")
    code, _, err = run("export", "intervals", result, "--burn", video)
    assert code == 2
    assert "input" in err[-1]
    lonely = tmp_path / "result.json"
    write_results(lonely, [RESULT])
    code, _, err = run("export", "intervals", lonely, "--cut", tmp_path / "more")
    assert code == 2
    assert "--videos" in err[-1]
    code, _, err = run("export", "intervals", result, "--exact")
    assert code == 2
    assert "--cut" in err[-1]
    code, _, err = run("export", "intervals", result, "--format", "vtx")
    assert code == 2
    assert "did you mean 'vtt'" in err[-1]


def test_work_in_another_tool_is_not_written_over(video, tmp_path, run):
    from basnet_e2e.interchange.writers import write_results

    result, project = tmp_path / "result.json", tmp_path / "v.eaf"
    write_results(result, [RESULT])
    assert run("export", "intervals", result, "-o", project)[0] == 0
    project.write_text(project.read_text().replace("jump", "walk"))
    code, _, err = run("export", "intervals", result, "-o", project)
    assert code == 2
    assert "--force" in err[-1]
    assert "walk" in project.read_text()
    assert run("export", "intervals", result, "-o", project, "--force")[0] == 0
