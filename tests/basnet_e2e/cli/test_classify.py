"""`basnet classify` as a user meets it, with the bundled network."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from picture_reference import resize_short_side, scale_rgb
from scipy.special import softmax

from basnet_e2e.demo.footage.encode import write_video
from extract.backbones.registry import BACKBONES
from extract.inference.backbone import load_backbone, load_network
from extract.preprocessing.crop import centre_crop
from extract.video.clip import open_video

Run = Callable[..., tuple[int, str, list[str]]]
FRAMES = 40


@pytest.fixture
def run(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    # --offline of a command sets this variable for its process; restore it after the test
    monkeypatch.setenv("BASNET_OFFLINE", "")
    return partial(run, "classify")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    texture = np.random.default_rng(1).integers(0, 255, (96, 200, 3), np.uint8)
    path = tmp_path / "noise.mp4"
    write_video(path, (texture[:, n : n + 128] for n in range(FRAMES)), 25, (128, 96))
    return path


def test_clips_have_the_length_of_the_classifiers_training(
    run: Run, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 frames in clips of 32: the second holds 8 of the video and counts a fifth."""
    import torch

    spec = replace(BACKBONES["i3d-mini"], classifier_length=32)
    monkeypatch.setitem(BACKBONES, "i3d-mini", spec)
    code, out, err = run(video, "--backbone", "i3d-mini", "--top", 3, "-q")
    assert (code, err) == (0, [])
    with open_video(video) as clip:
        pictures = [resize_short_side(frame, spec.frame_side) for _, frame in clip.frames(25)]
    assert len(pictures) == FRAMES
    crops = [centre_crop(picture, spec.crop) for picture in pictures + pictures[-1:] * 24]
    x = scale_rgb(spec, np.stack(crops)).reshape(2, 32, spec.crop, spec.crop, 3)
    backbone = load_backbone("i3d-mini", ("rgb",))
    network = load_network(spec, "rgb", backbone.file("rgb"))
    with torch.inference_mode():
        logits = network(torch.from_numpy(x.transpose(0, 4, 1, 2, 3).copy())).numpy()
    expected = softmax(0.8 * logits[0] + 0.2 * logits[1])
    first, *lines = out.splitlines()
    assert first == "noise.mp4"
    ranked = sorted(zip(expected, backbone.class_names, strict=True), reverse=True)[:3]
    assert [line.split(maxsplit=1)[1] for line in lines] == [name for _, name in ranked]
    for line, (probability, _) in zip(lines, ranked, strict=True):
        assert float(line.split()[0]) == pytest.approx(probability, abs=2e-3)


def test_i3d_is_asked_for_clips_of_64_frames() -> None:
    assert BACKBONES["i3d"].classifier_length == 64
    assert BACKBONES["i3d"].length == 16  # of a snippet


def test_a_network_whose_weights_are_not_here(
    run: Run, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASNET_CACHE", str(tmp_path / "cache"))
    for name, file in (("x3d_m", "X3D_M.pyth"), ("i3d_r50", "I3D_8x8_R50.pyth")):
        code, out, (error,) = run(video, "--backbone", name, "--offline")
        assert (code, out) == (2, "")
        assert f"run `basnet weights import {file} --sha256 HASH`" in error
    code, _, (error,) = run(video, "--backbone", "x3dm")
    assert code == 2
    assert "did you mean 'x3d_m'?" in error
