"""The real RGB network on real clips: what an independent forward pass said of them."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from picture_reference import resize_short_side, scale_rgb

from extract.backbones.i3d import InceptionI3D
from extract.backbones.registry import BACKBONES
from extract.inference.backbone import class_names, load_network
from extract.inference.torch_runtime import TorchRuntime
from extract.preprocessing.crop import centre_crop
from weights import WeightsError
from weights.files import git_blob_id
from weights.manifest import network as network_entry
from weights.registry import resolve
from weights.weights_file import WeightsFile

# clip -> (class, probability) on the first 64 decoded frames, as the test data's README gives them.
KNOWN = {
    "clean_and_jerk.mp4": ("clean and jerk", 0.964),
    "walking_the_dog.mp4": ("walking the dog", 0.998),
    "arm_wrestling.mp4": ("arm wrestling", 1.0),
    "archery.avi": ("archery", 0.997),
    "flipping_pancake.mkv": ("flipping pancake", 0.815),
    "basketball.mp4": ("playing basketball", 0.64),
}
TOLERANCE = 0.03
SPEC = BACKBONES["i3d"]


@pytest.fixture(scope="module")
def rgb_file() -> WeightsFile:
    try:
        return resolve("i3d", "rgb")
    except WeightsError as error:
        pytest.skip(f"no real weights here: {error}")


@pytest.fixture(scope="module")
def network(rgb_file: WeightsFile) -> InceptionI3D:
    found = load_network(SPEC, "rgb", rgb_file)
    assert isinstance(found, InceptionI3D)
    return found


def first_frames(path: Path, count: int) -> NDArray[np.float32]:
    """The first decoded frames at their native rate as the network's input [1, 3, T, 224, 224]."""
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = resize_short_side(frame.to_ndarray(format="rgb24"), SPEC.frame_side)
            frames.append(centre_crop(picture, SPEC.crop))
            if len(frames) == count:
                break
    return scale_rgb(SPEC, np.stack(frames)).transpose(3, 0, 1, 2)[None]


@pytest.mark.parametrize("name", KNOWN)
def test_known_clips_have_their_class_and_probability(
    name: str, shared_data: Path, network: InceptionI3D, rgb_file: WeightsFile
) -> None:
    clip = torch.from_numpy(first_frames(shared_data / "clips" / name, 64).copy())
    with torch.inference_mode():
        probabilities = network(clip).softmax(dim=1)[0].numpy()
    names = class_names(SPEC, "rgb", rgb_file)
    label, expected = KNOWN[name]
    assert names[int(probabilities.argmax())] == label
    assert probabilities.max() == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["clean_and_jerk.mp4", "walking_the_dog.mp4"])
def test_what_runs_on_a_cpu_computes_the_network(
    name: str, shared_data: Path, network: InceptionI3D
) -> None:
    """To 1e-4, where 1e-3 is asked for between machines."""
    clip = first_frames(shared_data / "clips" / name, SPEC.length)
    with torch.inference_mode():
        expected = network.features(torch.from_numpy(clip)).numpy()
    for winograd in (False, True):
        runtime = TorchRuntime(network, clip.shape[1:], winograd=winograd)
        found = runtime.run(torch.from_numpy(clip)).numpy()
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


# DeepMind's sample, arrays [1, 79, 224, 224, C] in its repository under data/, by Git blob id.
CRICKET = {
    "rgb": ("v_CricketShot_g04_c01_rgb.npy", "d756c5020a6e0fb56a99b210e32f5865da712bba"),
    "flow": ("v_CricketShot_g04_c01_flow.npy", "ee00e78e6f380caa5463de878d7c85ad7a01e668"),
}


def cricket_logits(stream: str, shared_data: Path) -> NDArray[np.float32]:
    """Logits [400] of the sample; skipped where sample or weights are absent."""
    name, blob = CRICKET[stream]
    path = shared_data / name
    if not path.is_file() or git_blob_id(path) != blob:
        pytest.skip(f"DeepMind's sample {name} is not in {shared_data}")
    try:
        file = resolve("i3d", stream, offline=True)
    except WeightsError as error:
        pytest.skip(str(error))
    sample = np.load(path).transpose(0, 4, 1, 2, 3).astype(np.float32)
    with torch.inference_mode():
        return load_network(SPEC, stream, file)(torch.from_numpy(sample))[0].numpy()


def test_the_cricket_sample_through_the_rgb_network(shared_data: Path) -> None:
    logits = cricket_logits("rgb", shared_data)
    names = network_entry("i3d", "rgb").labels()
    assert names[int(logits.argmax())] == "playing cricket"
    assert logits.max() == pytest.approx(25.856636, abs=1e-2)


def test_the_cricket_sample_through_both_networks(shared_data: Path) -> None:
    logits = cricket_logits("rgb", shared_data) + cricket_logits("flow", shared_data)
    assert np.linalg.norm(logits) == pytest.approx(138.468643, abs=5e-2)
    assert logits.max() == pytest.approx(41.8137, abs=2e-2)
