"""The streaming core against an implementation that holds every frame and every field."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from picture_reference import grey, quantize_flow, resize_short_side, scale_rgb
from standins import (
    SIDE,
    SPEC,
    TinyClip,
    TinyFlow,
    random_pictures,
    stand_in,
    tiny_extractor,
)

import extract
from extract.preprocessing.crop import centre_crop
from extract.preprocessing.torch_ops import resize_short_side as resize_tensor

LENGTH = SPEC.length


def plain(pictures, stride, quantize):
    """Features as DESIGN's sentences read, with everything in memory."""
    small = np.stack([resize_short_side(picture, SIDE) for picture in pictures])
    frames = len(small)
    fields = np.zeros((1, 2, SIDE, SIDE), np.float32)
    if frames > 1:
        fields = centre_crop(TinyFlow().compute(np.stack([grey(p) for p in small]), small), SIDE)
    starts = [0] if frames <= LENGTH else range(0, frames - LENGTH + stride, stride)
    rgb, flow = [], []
    for start in starts:
        if start >= frames:
            break
        rows = np.arange(start, start + LENGTH)
        seen = np.stack([centre_crop(small[n], SIDE) for n in np.minimum(rows, frames - 1)])
        rgb.append(scale_rgb(SPEC, seen).transpose(3, 0, 1, 2).reshape(-1))
        motion = fields[np.minimum(rows, len(fields) - 1)].transpose(1, 0, 2, 3)
        flow.append(quantize_flow(motion, quantize).reshape(-1))
    return np.stack(rgb), np.stack(flow)


def near_multiples(stride):
    """Lengths at which a snippet begins or ends just at, before or after the last frame."""
    edge = st.builds(
        lambda k, tail, off: min(max(k * stride + tail + off, 1), 200),
        st.integers(0, 200 // stride),
        st.sampled_from([0, LENGTH]),
        st.integers(-2, 2),
    )
    return st.one_of(edge, st.integers(1, 200))


LENGTHS = st.integers(1, 64).flatmap(
    lambda stride: st.tuples(near_multiples(stride), st.just(stride))
)


@given(LENGTHS, st.sampled_from(["uint8", "none"]))
@example((129, 32), "uint8")
@example((1, 1), "uint8")
@example((200, 7), "none")
@settings(max_examples=150, deadline=None)
def test_streaming_gives_what_holding_all_frames_gives(video, quantize):
    frames, stride = video
    pictures, flow = random_pictures(frames), TinyFlow()
    choices = extract.ExtractSettings(stride=stride, quantize=quantize)
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, flow, TinyClip(pictures))
        found = tiny_extractor(choices).extract("tiny.mp4")
    rgb, motion = plain(pictures, stride, quantize)
    np.testing.assert_array_equal(found.rgb, rgb)
    np.testing.assert_array_equal(found.flow, motion)
    assert flow.pairs <= frames - 1  # no field twice
    starts = np.arange(len(rgb)) * stride
    np.testing.assert_allclose(found.start, starts / 25)
    np.testing.assert_allclose(found.end, np.minimum(starts + LENGTH, frames) / 25)


def test_frames_between_snippets_far_apart_are_not_kept(monkeypatch):
    resized = []

    def counted(frames, side):
        resized.extend(frames)
        return resize_tensor(frames, side)

    stand_in(monkeypatch, TinyFlow(), TinyClip(random_pictures(200)))
    extractor = tiny_extractor(extract.ExtractSettings(stride=64))
    monkeypatch.setattr("extract.pipeline.frame_steps.resize_short_side", counted)
    assert len(extractor.extract("tiny.mp4").start) == 4
    assert len(resized) <= 4 * (LENGTH + 1)


def test_a_listener_hears_every_snippet_as_soon_as_it_is_there(monkeypatch):
    clip = TinyClip(random_pictures(16 * 5 + 3))
    stand_in(monkeypatch, TinyFlow(), clip)
    extractor = tiny_extractor()
    heard, order = [], []

    def listen(start, end, rows):
        heard.append((start, end, rows["rgb"], rows["flow"]))
        order.append("heard")

    features = extractor.extract(
        "tiny.mp4", on_features=listen, on_progress=lambda done, count: order.append(done)
    )
    assert order == [0, 1, "heard", 2, "heard", 3, "heard", 4, "heard", 5, "heard", 6, "heard"]
    for told, kept in zip(
        map(np.concatenate, zip(*heard, strict=True)),
        (features.start, features.end, features.rgb, features.flow),
        strict=True,
    ):
        assert np.array_equal(told, kept)
    plain = extractor.extract("tiny.mp4")
    assert np.array_equal(plain.rgb, features.rgb)
    assert np.array_equal(plain.flow, features.flow)


@given(st.integers(1, 90), st.sets(st.integers(0, 89), min_size=1, max_size=12))
@example(1, {0})
@example(90, {0, 89})
@settings(max_examples=80, deadline=None)
def test_snippets_may_begin_anywhere(frames, begin):
    wanted = sorted(n for n in begin if n < frames) or [0]
    pictures, flow = random_pictures(frames), TinyFlow()
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, flow, TinyClip(pictures))
        extractor = tiny_extractor()
        told = []
        found = extractor.extract_snippets(
            "tiny.mp4", wanted, on_progress=lambda done, count: told.append((done, count))
        )
    for row, n in enumerate(wanted):
        # The same as of a video that begins there, but for the last field, which is repeated.
        rgb, motion = plain(pictures[max(0, min(n, frames - 2)) :], 1, "uint8")
        first = n - max(0, min(n, frames - 2))
        if first == 0:
            np.testing.assert_array_equal(found.rgb[row], rgb[0])
            np.testing.assert_array_equal(found.flow[row], motion[0])
        else:
            np.testing.assert_array_equal(found.rgb[row], plain(pictures[n:], 1, "uint8")[0][0])
    np.testing.assert_allclose(found.start, np.array(wanted) / 25)
    np.testing.assert_allclose(found.end, np.minimum(np.array(wanted) + LENGTH, frames) / 25)
    assert told[-1] == (len(wanted), len(wanted))
    assert flow.pairs <= min(frames - 1, len(wanted) * LENGTH)


def test_frames_between_single_snippets_are_not_kept(monkeypatch):
    resized = []

    def counted(frames, side):
        resized.extend(frames)
        return resize_tensor(frames, side)

    stand_in(monkeypatch, TinyFlow(), TinyClip(random_pictures(200)))
    extractor = tiny_extractor()
    monkeypatch.setattr("extract.pipeline.frame_steps.resize_short_side", counted)
    found = extractor.extract_snippets("tiny.mp4", [3, 90, 94, 180])
    assert len(found.start) == 4
    assert len(resized) <= 2 * (LENGTH + 1) + LENGTH + 5 + 1


@pytest.mark.parametrize("frames", [[], [3, 3], [5, 4], [-1, 2], [200]])
def test_snippets_begin_in_order_within_the_video(monkeypatch, frames):
    stand_in(monkeypatch, TinyFlow(), TinyClip(random_pictures(200)))
    extractor = tiny_extractor()
    with pytest.raises(extract.ExtractError, match=r"ascending order|frame 200 of 200"):
        extractor.extract_snippets("tiny.mp4", frames)
