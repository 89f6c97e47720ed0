import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from basnet_e2e.demo.footage.actors import PATTERNS, Motion, paint, pose, random_look
from basnet_e2e.demo.footage.backgrounds import FAMILIES, background
from basnet_e2e.demo.footage.collection import (
    Collection,
    ground_truth_path,
    labels_path,
    video_path,
    write_collection,
)
from basnet_e2e.demo.footage.colours import LUMA, two_colours
from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.demo.footage.scene import (
    Camera,
    Scene,
    frames,
    placement,
    random_actor,
    render,
    window,
)
from basnet_e2e.demo.footage.timeline import CLASSES, DISTRACTORS, plan
from basnet_e2e.demo.footage.worlds import DEMO_WORLD, MOTIONS, PRETRAINING_WORLD
from basnet_e2e.errors import BasnetError


def apart(first, second):
    return first[1] <= second[0] or second[1] <= first[0]


def test_the_demo_shows_no_background_size_or_speed_of_the_pretraining():
    assert not set(DEMO_WORLD.backgrounds) & set(PRETRAINING_WORLD.backgrounds)
    for ours in DEMO_WORLD.radius:
        assert all(apart(ours, theirs) for theirs in PRETRAINING_WORLD.radius)
    for ours in DEMO_WORLD.period:
        assert all(apart(ours, theirs) for theirs in PRETRAINING_WORLD.period)


def test_neither_look_nor_motion_names_a_class():
    looks = Counter(label.split()[0] for label in CLASSES)
    motions = Counter(label.split()[1] for label in CLASSES)
    assert len(CLASSES) >= 5
    assert min(looks.values()) >= 2
    assert min(motions.values()) >= 2
    assert not set(CLASSES) & set(DISTRACTORS)
    assert set(looks) <= {name.split()[0] for name in DISTRACTORS}
    assert set(motions) <= {name.split()[1] for name in DISTRACTORS}


@given(seed=st.integers(0, 2**32), label=st.sampled_from(CLASSES))
@settings(max_examples=60, deadline=None)
def test_a_timeline_holds_its_class_and_one_actor_at_a_time(seed, label):
    timeline = plan(np.random.default_rng(seed), DEMO_WORLD, label)
    assert set(timeline.labels) <= set(CLASSES)
    assert 1 <= len(timeline.labels) <= 2
    assert label in timeline.labels
    ends = 0.0
    for actor in timeline.actors:
        assert actor.acts[0].start >= ends
        ends = actor.acts[-1].end
    assert ends <= timeline.duration
    inside = [(act.start, act.end) for actor in timeline.actors for act in actor.acts[1:2]]
    for occurrence in timeline.occurrences:
        assert (occurrence.start, occurrence.end) in inside
        assert (occurrence.end - occurrence.start) >= 2.3


@pytest.mark.parametrize("name", MOTIONS)
def test_every_motion_begins_at_its_place_and_repeats(name):
    motion = Motion(name, period=1.2, amplitude=0.1, turn=1, heading=0.3)
    start, later = pose(motion, 0.0), pose(motion, 1.2)
    assert (start.right, start.down, start.angle) == pytest.approx((0, 0, 0))
    assert (later.right, later.down) == pytest.approx((0, 0), abs=1e-9)
    middle = pose(motion, 0.3)
    assert max(abs(middle.right), abs(middle.down), abs(middle.angle)) > 0.05


def test_an_actor_waits_where_its_action_left_it():
    rng = np.random.default_rng(5)
    acts = [("rest", 0.0, 1.0), ("spin", 1.0, 3.1), ("rest", 3.1, 4.0)]
    actor = random_actor(rng, DEMO_WORLD, "striped", acts)
    before, after = placement(actor, 3.1), placement(actor, 3.1 + 1e-6)
    assert after == pytest.approx(before, abs=1e-4)
    assert placement(actor, 3.9)[2] == pytest.approx(before[2])
    assert placement(actor, 0.9)[2] == 0


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_look_fills_its_silhouette_with_its_two_colours(pattern):
    look = random_look(np.random.default_rng(3), pattern)
    picture = np.full((100, 100, 3), -1.0, np.float32)
    paint(picture, look, x=50, y=50, radius=20, angle=0.4, opacity=1.0)
    covered = (picture != -1).all(-1)
    # Between an ellipse and a rectangle of the same half-axes.
    assert 0.9 * np.pi < covered.sum() / (400 * look.aspect) < 4.3
    low = np.minimum(look.first, look.second).min()
    high = np.maximum(look.first, look.second).max()
    solid = picture[45:55, 45:55]
    assert solid.min() >= low - 1e-3
    assert solid.max() <= high + 1e-3
    assert solid.std() > 5  # a pattern, not one colour


def test_painting_outside_the_picture_and_invisibly_changes_nothing():
    look = random_look(np.random.default_rng(3), "checked")
    picture = np.full((40, 40, 3), 7.0, np.float32)
    for x, opacity in ((500.0, 1.0), (-90.0, 1.0), (20.0, 0.0)):
        paint(picture, look, x=x, y=20, radius=10, angle=0.0, opacity=opacity)
    assert (picture == 7).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_backgrounds_are_textured_and_in_range(family):
    texture = background(np.random.default_rng(1), family, 96, 130)
    assert texture.shape == (96, 130, 3)
    assert texture.dtype == np.float32
    assert texture.min() >= 0
    assert texture.max() <= 255
    assert texture.std(axis=(0, 1)).max() > 5


@given(seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_two_colours_differ_in_brightness(seed):
    first, second = two_colours(np.random.default_rng(seed), contrast=(70.0, 150.0))
    assert ((first >= 0) & (first <= 255) & (second >= 0) & (second <= 255)).all()
    assert abs(float((second - first) @ LUMA)) > 20  # clipping may take some of the contrast


def test_a_window_of_a_ramp_is_the_ramp_shifted():
    ramp = np.repeat(np.arange(40, dtype=np.float32)[None, :, None], 30, 0).repeat(3, 2)
    view = window(ramp, 0.0, 2.25, 20, 30)
    assert view.shape == (20, 30, 3)
    np.testing.assert_allclose(view[:, :, 0], np.tile(np.arange(30) + 5 + 2.25, (20, 1)), atol=1e-4)


def test_flow_sees_the_motion_that_the_scene_states():
    from extract.flow.tvl1.solver import tvl1

    rng = np.random.default_rng(8)
    actor = random_actor(rng, DEMO_WORLD, "checked", [("swing", 0.0, 9.0)])
    backdrop = background(rng, "cells", 120, 150)
    still = Camera(amplitude=(0.0, 0.0), period=(1.0, 1.0), phase=(0.0, 0.0))
    scene = Scene(DEMO_WORLD, backdrop, still, (actor,), noise=0.0, seed=0)
    first, second = 1.0, 1.04
    luma = np.stack([render(scene, time) @ LUMA for time in (first, second)])
    field = tvl1(np.clip(luma, 0, 255).astype(np.uint8), device="cpu")[0]
    height, width = luma.shape[1:]
    (right, down, _), (next_right, _, _) = placement(actor, first), placement(actor, second)
    y = round(height / 2 + (actor.y + down) * height)
    x = round(width / 2 + (actor.x + right) * height)
    expected = (next_right - right) * height
    assert abs(expected) > 0.4
    assert np.median(field[0, y - 5 : y + 6, x - 5 : x + 6]) == pytest.approx(expected, rel=0.25)
    assert abs(np.median(field[0, :8])) < 0.1


def test_encoded_frames_come_back_nearly_as_they_were(tmp_path):
    import av

    rng = np.random.default_rng(2)
    actor = random_actor(rng, DEMO_WORLD, "spotted", [("bounce", 0.0, 2.0)])
    backdrop = background(rng, "ripples", 120, 150)
    still = Camera(amplitude=(0.0, 0.0), period=(1.0, 1.0), phase=(0.0, 0.0))
    scene = Scene(DEMO_WORLD, backdrop, still, (actor,), noise=3.0, seed=1)
    shown = list(frames(scene, 1.0))
    write_video(tmp_path / "a.mp4", shown, DEMO_WORLD.fps, (DEMO_WORLD.width, DEMO_WORLD.height))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 25
        found = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(found) == len(shown) == 25
    assert np.abs(np.stack(found).astype(int) - np.stack(shown)).mean() < 8
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_failed_encoding_leaves_nothing(tmp_path):
    def broken():
        yield np.zeros((96, 120, 3), np.uint8)
        raise RuntimeError("no more frames")

    with pytest.raises(RuntimeError, match="no more frames"):
        write_video(tmp_path / "a.mp4", broken(), 25, (120, 96))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    collection = Collection(training=2, test=1, seed=7)
    write_collection(folder, collection, jobs=2)
    return folder, collection


def test_training_videos_have_labels_and_test_videos_intervals(tiny):
    folder, collection = tiny
    lines = labels_path(folder).read_text().splitlines()
    assert lines[0] == "video,labels"
    assert [line.split(",")[0] for line in lines[1:]] == ["train_01", "train_02"]
    for number, line in enumerate(lines[1:]):
        assert tuple(line.split(",")[1].split(";")) == collection.timeline("train", number).labels
    database = json.loads(ground_truth_path(folder).read_text())["database"]
    assert list(database) == ["test_01"]
    assert database["test_01"]["subset"] == "test"
    assert len(database["test_01"]["annotations"]) >= 1
    assert "train_01" not in ground_truth_path(folder).read_text()


def test_a_video_is_as_long_as_planned(tiny):
    import av

    folder, collection = tiny
    with av.open(str(video_path(folder, "test", 0))) as container:
        count = sum(1 for _ in container.decode(video=0))
    assert count == round(collection.timeline("test", 0).duration * 25)


def test_a_second_run_keeps_what_is_there_and_makes_what_is_missing(tiny):
    folder, collection = tiny
    kept, lost = video_path(folder, "train", 0), video_path(folder, "train", 1)
    before, again = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    write_collection(folder, collection, jobs=1)
    assert kept.stat().st_mtime_ns == before
    assert lost.read_bytes() == again


def test_footage_of_other_settings_is_refused(tiny):
    folder, _ = tiny
    with pytest.raises(BasnetError, match="other settings"):
        write_collection(folder, Collection(training=2, test=1, seed=8))


@pytest.mark.parametrize("name", ["train_labels.csv", "test_intervals.json"])
def test_files_of_the_users_are_not_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BasnetError, match="is not of generated footage"):
        write_collection(tmp_path, Collection(training=1, test=1), jobs=1)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_stop_does_not_wait_for_the_videos_that_have_not_begun(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_collection(tmp_path, Collection(training=12, test=0), jobs=1, progress=stop)
    assert len(list(tmp_path.rglob("*.mp4"))) < 12
    assert not list(tmp_path.rglob("*.part"))
