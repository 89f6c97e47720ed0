import json

import numpy as np
import pytest
from pretraining import KEPT, LABELS, MARGIN, ClipFormat, Clips, make_clip
from train_mini import BATCH, batches, centre_views, measure, mini_format, train_stream

from basnet_e2e.demo.footage.timeline import CLASSES
from extract.streams import STREAMS

SMALL = ClipFormat(side=24, crop=16, length=16, flow={})


def clips_of(rgb, flow, labels):
    return Clips(rgb.astype(np.uint8), flow.astype(np.uint8), np.asarray(labels))


def constant_clips(count):
    """Clips whose pictures and flow are the same everywhere: a colour, and one velocity."""
    rgb = np.broadcast_to(np.array([10, 120, 250]), (count, KEPT, 24, 16 + MARGIN, 3))
    flow = np.broadcast_to(np.array([200, 50]), (count, KEPT - 1, 24, 16 + MARGIN, 2))
    return clips_of(rgb, flow, np.arange(count) % len(LABELS))


def test_the_demo_classes_are_among_the_labels():
    assert len(LABELS) == len(set(LABELS)) == 26
    assert set(CLASSES) <= set(LABELS)


def test_a_mirrored_flow_clip_moves_the_other_way_and_as_much_up():
    rng, schedule = np.random.default_rng(0), [(16, 1), (4, 1)]
    found = [x for x, _ in batches(constant_clips(BATCH), "flow", SMALL, rng, schedule)]
    assert [tuple(x.shape) for x in found] == [(BATCH, 2, 16, 16, 16), (BATCH, 2, 4, 16, 16)]
    right = {round((float(v) + 1) * 127.5) for x in found for v in x[:, 0].unique()}
    down = {round((float(v) + 1) * 127.5) for x in found for v in x[:, 1].unique()}
    assert right == {200, 55}
    assert down == {50}


def test_rgb_batches_exchange_channels_and_keep_values_and_labels():
    clips = constant_clips(2 * BATCH)
    seen = []
    for x, labels in batches(clips, "rgb", SMALL, np.random.default_rng(0), [(16, 1)]):
        assert x.min() >= -1
        assert x.max() <= 1
        first = np.rint((x[:, :, 0, 0, 0].numpy() + 1) * 127.5)
        assert {tuple(sorted(row)) for row in first} == {(10, 120, 250)}
        seen += labels.tolist()
    assert sorted(seen) == sorted(clips.labels.tolist())


def test_the_centre_view_is_the_crop_that_extraction_takes():
    side = np.arange(24)[:, None] * 100 + np.arange(16 + MARGIN)
    rgb = np.broadcast_to((side % 251)[None, None, :, :, None], (1, KEPT, 24, 16 + MARGIN, 3))
    flow = np.zeros((1, KEPT - 1, 24, 16 + MARGIN, 2))
    view = centre_views(clips_of(rgb, flow, [0]), "rgb", SMALL)
    assert view.shape == (1, 16, 16, 16, 3)
    assert (view[0, 0, :, :, 0] == (side % 251)[4:20, 6:22]).all()


def test_measure_counts_labels_looks_and_motions():
    import torch

    class Fixed(torch.nn.Module):
        def forward(self, x):
            scores = torch.zeros(len(x), len(LABELS))
            scores[:, LABELS.index("striped spin")] = 1
            return scores

    labels = [
        LABELS.index(name) for name in ("striped spin", "striped swing", "rayed spin", "empty")
    ]
    clips = constant_clips(4)
    clips = Clips(clips.rgb, clips.flow, np.array(labels))
    assert measure(Fixed(), "rgb", clips, SMALL) == {"label": 0.25, "look": 0.5, "motion": 0.5}


def test_a_clip_is_decided_by_seed_and_number():
    form = mini_format()
    rgb, flow = make_clip(7, 3, form)
    again, _ = make_clip(7, 3, form)
    other, _ = make_clip(7, 4, form)
    assert rgb.shape == (KEPT, form.side, form.crop + MARGIN, 3)
    assert flow.shape == (KEPT - 1, form.side, form.crop + MARGIN, 2)
    assert (rgb == again).all()
    assert not np.array_equal(rgb, other)
    moving = np.abs(flow.astype(int) - 127)
    assert moving.max() >= 4  # "checked spin" moves by more than half a pixel a frame


def test_clips_come_back_from_a_folder(tmp_path):
    clips = constant_clips(3)
    clips.save(tmp_path / "a")
    back = Clips.load(tmp_path / "a")
    assert (back.rgb == clips.rgb).all()
    assert (back.flow == clips.flow).all()
    assert back.labels.tolist() == clips.labels.tolist()


def test_equal_seeds_train_equal_weights():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (BATCH, KEPT, 24, 16 + MARGIN, 3))
    flow = rng.integers(0, 256, (BATCH, KEPT - 1, 24, 16 + MARGIN, 2))
    clips = clips_of(rgb, flow, np.arange(BATCH))
    runs = [
        train_stream("flow", clips, clips, SMALL, schedule=[(8, 2), (16, 2)], seed=seed)
        for seed in (5, 5, 6)
    ]
    first, second, third = (run.tensors for run in runs)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["logits.conv3d.weight"], third["logits.conv3d.weight"])


@pytest.fixture(scope="module")
def fresh():
    """Clips of a seed that training never saw: each label once, as the backbone takes them."""
    form = mini_format()
    made = [make_clip(number, 4242, form) for number in range(len(LABELS))]
    clips = Clips(
        np.stack([rgb for rgb, _ in made]),
        np.stack([flow for _, flow in made]),
        np.arange(len(LABELS)),
    )
    return {
        stream: centre_views(clips, stream, form).transpose(0, 4, 1, 2, 3).astype(np.float32)
        / 127.5
        - 1
        for stream in STREAMS
    }


@pytest.mark.parametrize("stream", STREAMS)
def test_the_bundled_weights_know_fresh_clips(stream, fresh):
    from extract import load_backbone

    backbone = load_backbone("i3d-mini", streams=(stream,), device="cpu")
    features = getattr(backbone, stream)(fresh[stream])
    assert features.shape == (len(LABELS), 256)
    found = np.asarray(backbone.classify(features, stream)).argmax(1)
    words = np.array([(label.split() * 2)[:2] for label in LABELS])
    look, motion = (words[found] == words).mean(0)
    # Each stream must know well what it is there for: looks by pictures, motions by flow.
    assert (look if stream == "rgb" else motion) >= 0.6  # chance is about 0.2


@pytest.mark.parametrize("stream", STREAMS)
def test_the_bundled_weights_say_how_they_were_made(stream):
    from importlib.resources import files

    from safetensors import safe_open

    path = files("weights") / f"i3d-mini-{stream}.safetensors"
    with safe_open(str(path), framework="numpy") as file:
        meta = json.loads(file.metadata()["basnet"])
    assert meta["classes"] == list(LABELS)
    # The module's name at that time; the file, and so its hash, stays as it is.
    assert meta["command"].startswith("python -m basnet_e2e.footage.train_mini --clips ")
    assert f"--seed {meta['seed']}" in meta["command"]
    # Pictures show the look and hardly the motion, flow the motion and hardly the look.
    own = "look" if stream == "rgb" else "motion"
    assert 0.8 < meta["accuracy"][f"held_out_{own}"] <= 1
