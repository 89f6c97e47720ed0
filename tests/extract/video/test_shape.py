"""Pictures have the shape that a player shows: a disc is round, whatever the file stores."""

import logging
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from extract.errors import VideoError
from extract.video.clip import open_video

RATE = Fraction(1, 25)
REALTIME = {"deadline": "realtime", "cpu-used": "8"}


def disc(size, pixel=Fraction(1)):
    """A white disc in the middle of a grey picture, as pixels of a ratio store it."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
    inside = (x * float(max(pixel, 1))) ** 2 + (y / float(min(pixel, 1))) ** 2 < (height / 3) ** 2
    return np.where(inside[..., None], 255, 90).astype(np.uint8).repeat(3, axis=2)


def extent(picture):
    """Width and height of what is white."""
    white = picture.mean(2) > 170
    return int(white.any(0).sum()), int(white.any(1).sum())


def is_round(picture):
    width, height = extent(picture)
    return height > 20 and abs(width - height) <= 2


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi", "mpg"])
@pytest.mark.parametrize(
    ("size", "pixel", "shown"),
    [
        ((180, 144), Fraction(64, 45), (256, 144)),
        ((180, 144), Fraction(16, 15), (192, 144)),
        ((180, 120), Fraction(8, 9), (180, 135)),
    ],
)
def test_pixels_that_are_not_square(make_video, suffix, size, pixel, shown, decoder):
    codec = {"avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    video = make_video(
        f"a.{suffix}",
        range(10),
        RATE,
        size=size,
        pixel=pixel,
        codec=codec,
        picture=lambda number: disc(size, pixel),
    )
    with open_video(video.path, decoder) as clip:
        assert np.abs(np.subtract(clip.size, shown)).max() <= 1  # MPEG-2 states it by the picture
        for _, picture in clip.frames():
            assert picture.shape == (clip.size[1], clip.size[0], 3)
            assert is_round(picture)


def test_turned_pixels_are_stretched_before_they_are_turned(make_video):
    pixel = Fraction(64, 45)
    video = make_video(
        "a.mp4",
        range(5),
        RATE,
        size=(180, 144),
        pixel=pixel,
        turn=(90, False, False),
        picture=lambda number: disc((180, 144), pixel),
    )
    with open_video(video.path) as clip:
        assert clip.size == (144, 256)
        assert all(is_round(picture) for _, picture in clip.frames())


def test_a_ratio_beyond_all_standards_is_not_heeded(make_video):
    video = make_video("a.mp4", range(5), RATE, pixel=Fraction(100))
    with open_video(video.path) as clip:
        assert clip.size == (64, 48)


def test_a_programme_that_turns_wide(tmp_path, caplog):
    """Of a stream in MPEG-2 the ratio of pixels changes, and the stored size does not."""
    path, parts = tmp_path / "a.mpg", []
    for n, ratio in enumerate((Fraction(16, 15), Fraction(64, 45))):
        part = tmp_path / f"{n}.m2v"
        with av.open(str(part), "w", format="mpeg2video") as file:
            stream = file.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = 180, 144, "yuv420p"
            stream.codec_context.sample_aspect_ratio = ratio
            for _ in range(20):
                frame = av.VideoFrame.from_ndarray(disc((180, 144), ratio), format="rgb24")
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    with caplog.at_level(logging.WARNING), open_video(path) as clip:
        pictures = [picture for _, picture in clip.frames()]
    assert len(pictures) == 40
    assert all(is_round(picture) for picture in pictures)
    assert (pictures[-1][:15] == 0).all()  # a wide picture in a narrow one has bars
    assert (pictures[0][:15] > 50).all()
    assert caplog.text.count("changes shape") == 1


def two_sizes(path, sizes, codec, **options):
    """A video of two encoders' pictures one after the other, 20 each."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuv420p"
        for part, size in enumerate(sizes):
            if part:
                encoder = av.CodecContext.create(codec, "w")
                encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
                encoder.time_base, encoder.framerate = RATE, Fraction(25)
                encoder.options = options
            for n in range(21):
                frame = None
                if n < 20:
                    frame = av.VideoFrame.from_ndarray(disc(size), format="rgb24")
                    frame.pts, frame.time_base = 20 * part + n, RATE
                for packet in encoder.encode(frame) if part else stream.encode(frame):
                    packet.stream = stream
                    file.mux(packet)
    return path


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
@pytest.mark.parametrize("sizes", [((128, 96), (96, 128)), ((96, 128), (256, 192))], ids=str)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.webm", "libvpx", REALTIME),
        ("a.mkv", "libvpx-vp9", REALTIME),
        ("a.mp4", "libx264", {"bf": "0", "x264-params": "annexb=0:repeat-headers=1"}),
        ("a.mkv", "libx264", {"bf": "0", "x264-params": "annexb=0:repeat-headers=1"}),
        ("a.ts", "libx264", {"bf": "0"}),
    ],
)
def test_a_picture_that_changes_its_size(tmp_path, name, codec, options, sizes, decoder, caplog):
    path = two_sizes(tmp_path / name, sizes, codec, **options)
    with caplog.at_level(logging.WARNING), open_video(path, decoder) as clip:
        assert clip.size == sizes[0]
        for _ in range(2):
            pictures = [picture for _, picture in clip.frames()]
            assert len(pictures) == 40
            assert all(is_round(picture) for picture in pictures)
        assert clip.decoder == "pyav"
    assert caplog.text.count("changes shape at 0.8 s") == 1
    # Bars on both sides, and none before.
    ends = np.concatenate([pictures[30][:8, 60:68], pictures[30][-8:, 60:68]])
    sides = np.concatenate([pictures[30][44:52, :8], pictures[30][44:52, -8:]])
    assert (sides if sizes[0][0] > sizes[0][1] else ends).max() == 0
    assert pictures[10].min() > 50


def grow(data, place, by):
    """Add to the size of an element of Matroska that stands at a place."""
    width = 9 - data[place].bit_length()
    size = int.from_bytes(data[place : place + width]) + by
    data[place : place + width] = size.to_bytes(width)
    return place + width


def crop_by_header(path, left, top, right, bottom):
    """Let the header of a Matroska file say so; the room is taken from what it leaves empty."""
    data = bytearray(path.read_bytes())
    names = (b"\x54\xcc", b"\x54\xbb", b"\x54\xdd", b"\x54\xaa")
    numbers = (left, top, right, bottom)
    more = b"".join(
        name + b"\x81" + bytes([number]) for name, number in zip(names, numbers, strict=True)
    )
    tracks = data.rindex(b"\x16\x54\xae\x6b") + 4  # the first is in the list of places
    track = data.index(b"\xae\x01\x00", tracks) + 1
    video = data.index(b"\xe0", data.index(b"V_MPEG4", track)) + 1
    for place in (tracks, track, video):
        begin = grow(data, place, len(more))
    data[begin:begin] = more
    begin = grow(data, data.index(b"\xec\x01\x00") + 1, -len(more))
    del data[begin : begin + len(more)]
    path.write_bytes(data)


@pytest.mark.parametrize("decoder", ["auto", "pyav"])
def test_the_crop_of_matroska(make_video, decoder):
    def picture(number):
        whole = np.full((96, 128, 3), 255, np.uint8)
        whole[10:90, 16:122] = 60
        return whole

    video = make_video("a.mkv", range(5), RATE, size=(128, 96), picture=picture)
    crop_by_header(video.path, 16, 10, 6, 6)
    with open_video(video.path, decoder) as clip:
        assert clip.size == (106, 80)
        for _, shown in clip.frames():
            assert shown.shape == (80, 106, 3)
            assert shown[2:-2, 2:-2].max() < 80
    with pytest.raises(VideoError, match="decord cannot be used"):
        open_video(video.path, "decord")


def with_exif(orientation):
    """Adds the marker that cameras write, behind the beginning of a JPEG picture."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    data = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + struct.pack("<H", 1) + entry + bytes(4)
    marker = b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data
    return lambda number, jpeg: jpeg[:2] + marker + jpeg[2:]


UPRIGHT = {
    1: lambda picture: picture,
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.transpose(1, 0, 2),
    6: lambda picture: np.rot90(picture, -1),
    7: lambda picture: picture[::-1, ::-1].transpose(1, 0, 2),
    8: lambda picture: np.rot90(picture),
}


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv", "mp4"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_of_exif(make_video, orientation, suffix):
    settings = {"codec": "mjpeg", "pix_fmt": "yuvj420p", "size": (80, 48)}
    plain = make_video(f"plain.{suffix}", range(4), RATE, **settings)
    turned = make_video(f"turned.{suffix}", range(4), RATE, edit=with_exif(orientation), **settings)
    with open_video(plain.path) as clip, open_video(turned.path) as other:
        for (_, picture), (_, found) in zip(clip.frames(), other.frames(), strict=True):
            np.testing.assert_array_equal(found, UPRIGHT[orientation](picture))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("anamorphic.mp4", (1024, 576)),
        ("cropped.mkv", (240, 160)),
        ("exif.avi", (128, 96)),
        ("exif.mov", (128, 96)),
        ("turned.webm", (320, 240)),
    ],
)
def test_reported_files(shared_data, name, size):
    with open_video(shared_data / "reports" / "video" / name) as clip:
        assert clip.size == size
        assert sum(1 for _ in clip.frames()) == clip.frame_count()
