"""Mutated videos in one folder with good ones: rows for what decodes, an entry, or both; no hang.

``BASNET_FUZZ`` says how many there are (20 without it; a thorough run takes 500).
"""

import os
import random
from fractions import Fraction

import numpy as np
import pytest
from fake_extractor import run as run_plan
from standins import TinyBackbone, TinyFlow, stand_in_flow

import extract
from extract.errors import VideoError
from extract.features.feature_file import Features, feature_path
from extract.jobs.plan import make_plan
from extract.sources.find import find_videos
from extract.video.isolation.isolated_clip import Isolation

COUNT = int(os.environ.get("BASNET_FUZZ", "20"))
FRAMES = 60
KINDS = {
    "a.mp4": {},
    "b.mkv": {},
    "c.avi": {"codec": "mpeg4", "options": {"bf": "0"}},
    "d.mov": {"codec": "mpeg4"},
    "e.ts": {},
    "f.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "g.flv": {"codec": "flv1"},
}
STALL = 20.0


def flip_bits(data, chance):
    for _ in range(chance.choice([1, 10, 200])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def truncate(data, chance):
    return data[: chance.randrange(1, len(data))]


def swap_blocks(data, chance):
    size = chance.choice([16, 512, 4096])
    one, other = (chance.randrange(max(1, len(data) - size)) for _ in range(2))
    first, second = data[one : one + size], data[other : other + size]
    data[one : one + len(first)], data[other : other + len(second)] = second, first
    return data[: max(1, len(data))]


def lie_in_the_header(data, chance):
    """Sizes, counts and times stand in big-endian words near both ends."""
    for _ in range(chance.choice([1, 4, 16])):
        near = chance.randrange(min(2000, len(data) - 4))
        place = near if chance.random() < 0.6 else len(data) - 4 - near
        word = chance.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, chance.getrandbits(32)])
        data[place : place + 4] = word.to_bytes(4, "big")
    return data


MUTATIONS = (flip_bits, truncate, swap_blocks, lie_in_the_header)


@pytest.fixture
def collection(make_video, tmp_path):
    """Good videos and mutated ones."""
    folder = tmp_path / "videos"
    folder.mkdir()
    whole = {}
    for name, settings in KINDS.items():
        made = make_video(name, range(FRAMES), Fraction(1, 25), **settings).path
        whole[name] = made.read_bytes()
        made.rename(folder / f"good_{name}")
    for number in range(COUNT):
        name = list(KINDS)[number % len(KINDS)]
        chance = random.Random(number)
        data = chance.choice(MUTATIONS)(bytearray(whole[name]), chance)
        (folder / f"bad_{number}_{name}").write_bytes(data)
    return folder


def test_no_mutated_video_hurts_another(collection, tmp_path, monkeypatch):
    stand_in_flow(monkeypatch, TinyFlow())
    extractor = extract.Extractor(
        extract.ExtractSettings(),
        backbone=TinyBackbone(),
        decoding=extract.DecodeOptions(stall=STALL),
    )
    videos = find_videos([collection])
    out = tmp_path / "out"
    summary = run_plan(make_plan(videos, out, extractor.file_settings), extractor)
    assert sorted([*summary.done, *summary.failed]) == sorted(video.id for video in videos)
    assert {f"good_{name[0]}" for name in KINDS} <= set(summary.done)
    assert not [text for text in summary.failed.values() if "not expected" in text]
    assert not list(out.rglob(".*"))
    isolation = Isolation(STALL)
    try:
        for video in videos:
            if video.id in summary.done:
                check_rows(video, Features.load(feature_path(out, video.id)), isolation)
    finally:
        isolation.close()


def check_rows(video, features, isolation):
    """A feature file covers what PyAV decodes by itself."""
    try:
        with isolation.open(video.path, "pyav") as clip:
            frames = sum(1 for _ in clip.frames(25))
    except VideoError as error:
        pytest.fail(f"features of {video.id}, which does not decode: {error}")
    assert len(features.start) == 1 + max(0, -(-(frames - 16) // 16))
    assert np.isfinite(features.matrix()).all()
