"""`basnet localize --refine` from videos and from features."""

import json
import uuid

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.heads.checkpoint import HeadModel, save_model
from basnet_e2e.heads.common.head import Shape
from basnet_e2e.heads.ensemble import build
from basnet_e2e.heads.presets import preset
from extract.pipeline.extractor import Extractor
from extract.pipeline.settings import ExtractSettings
from extract.sources import storage
from extract.sources.urls import Url

CLASSES = ("run", "jump")
CUTS = (87, 141)  # frames at which another scene begins
FRAMES = 16 * 15 + 5


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """A video with two cuts, and a model whose activation is high between them.

    The model's network is random; its last layer is fitted to the video.
    """
    folder = tmp_path_factory.mktemp("cut")
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 255, (3, 96, 420, 3), np.uint8)
    scenes[2] = scenes[0]

    def frames():
        for n in range(FRAMES):
            scene = sum(n >= cut for cut in CUTS)
            speed = 1 if scene == 1 else 0
            yield scenes[scene][:, n * speed : n * speed + 128]

    video = folder / "video.mp4"
    write_video(video, frames(), 25, (128, 96))
    extractor = Extractor(ExtractSettings("i3d-mini", streams=("rgb",)))
    features = extractor.extract(video)
    chosen = preset("small", hidden=32, filter_hidden=4, segments=16, theta_class=0.0)
    torch.manual_seed(0)
    net = build(Shape(features.rgb.shape[1], len(CLASSES)), chosen).eval()
    middle = (features.start + features.end) / 2 * 25
    wanted = np.zeros((len(middle), 3), np.float32)
    wanted[(middle > CUTS[0]) & (middle < CUTS[1]), 0] = 4
    fit_last_layer(net, torch.from_numpy(features.rgb), torch.from_numpy(wanted))
    save_model(
        HeadModel(net, CLASSES, chosen, Shape(net.features, 2), extractor.file_settings),
        folder / "m.safetensors",
    )
    return folder


def fit_last_layer(net, x, wanted):
    """Least squares of the activation that is wanted on what the last layer is given."""
    with torch.no_grad():
        weighted = (x * net.filter(x[None])[0][:, None]).T[None]
        rows = F.leaky_relu(net.conv_1(weighted), net.slope)
        rows = F.leaky_relu(net.conv_2(rows), net.slope)[0].T
        net.conv_3.weight.copy_(torch.linalg.lstsq(rows, wanted).solution.T[:, :, None])


def intervals(out, label="run"):
    document = json.loads(out)
    return document, [one for one in document["intervals"] if one["label"] == label]


def off(found):
    """Seconds by which the best interval's borders miss the cuts."""
    return abs(found[0]["start"] - CUTS[0] / 25) + abs(found[0]["end"] - CUTS[1] / 25)


def test_a_video_is_looked_at_more_closely(cut, run):
    command = ("localize", cut / "video.mp4", "-m", cut / "m.safetensors", "--keep", "all", "-q")
    code, out, err = run(*command)
    assert code == 0, err
    plain, found = intervals(out)
    assert "closer_snippets" not in plain["made"]
    code, out, err = run(*command, "--refine")
    assert code == 0, err
    refined, better = intervals(out)
    assert off(better) < 0.25 < off(found)
    assert 0 < refined["made"]["closer_snippets"] <= 0.4 * 16
    assert refined["classes"] == plain["classes"]
    # Nothing of it is left in the feature cache: the second run says the same.
    assert run(*command, "--refine")[1] == out


def test_features_are_refined_without_their_video(cut, run, tmp_path):
    results = {}
    for stride in (16, 4):
        folder = tmp_path / str(stride)
        code, _, err = run("extract", cut / "video.mp4", "-o", folder, "--backbone", "i3d-mini",
                           "--streams", "rgb", "--stride", stride, "-q")  # fmt: skip
        assert code == 0, err
        command = ("localize", folder, "-m", cut / "m.safetensors", "--keep", "all")
        code, out, err = run(*command, "--refine", "-q")
        assert code == 0, err
        (results[stride],) = json.loads(out)["videos"]
        if stride == 4:
            code, _, err = run(*command)
            assert code == 2
            assert any("stride: 16 against 4" in line for line in err)
    for stride, most in ((16, 0.6), (4, 0.35)):
        found = [one for one in results[stride]["intervals"] if one["label"] == "run"]
        assert off(found) < most
        assert "closer_snippets" not in results[stride]["made"]


def test_what_was_refined_is_not_what_was_not(cut, run, tmp_path):
    out = tmp_path / "out"
    command = ("localize", cut / "video.mp4", "-m", cut / "m.safetensors", "-o", f"{out}/")

    def done_before(*more):
        code, _, err = run(*command, *more)
        assert code == 0, err
        return any("1 of 1 done before" in line for line in err)

    assert [done_before(), done_before(), done_before("--refine")] == [False, True, False]
    assert [done_before("--refine"), done_before()] == [True, False]


def test_the_built_in_classifier_is_refined_too(cut, run):
    command = ("localize", cut / "video.mp4", "--backbone", "i3d-mini", "-q", "--refine")
    code, out, err = run(*command, "--keep", "all")
    assert code == 0, err
    assert "closer_snippets" in json.loads(out)["made"]


def test_a_video_elsewhere_is_refined_as_one_here(cut, run):
    url = Url(f"memory://{uuid.uuid4().hex}/video.mp4")
    storage.write(url, (cut / "video.mp4").read_bytes())
    results = []
    for given in (cut / "video.mp4", url):
        code, out, err = run(
            *("localize", given, "-m", cut / "m.safetensors", "--keep", "all", "-q", "--refine")
        )
        assert code == 0, err
        results.append(json.loads(out))
    assert results[0]["intervals"] == results[1]["intervals"]
    assert results[1]["made"]["closer_snippets"] > 0
