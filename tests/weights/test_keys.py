from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from extract.backbones.i3d import InceptionI3D
from weights import WeightsError
from weights.formats.architectures import shapes
from weights.formats.keys import key_format, to_i3d
from weights.formats.pickle_numpy import load_arrays
from weights.formats.tensor_files import content_hash, read_tensors

MENDED = "Mixed_5b/Branch_2/Conv3d_0b_3x3"
FORMATS = ("piergiaj", "hassony2", "tensorflow", "flax")
Tensors = dict[str, np.ndarray]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_gives_the_same_network(
    kind: str, published: Tensors, in_format: Callable[[str], Path]
) -> None:
    path = in_format(kind)
    if kind == "flax":
        with path.open("rb") as file:
            tensors = load_arrays(file, kind)
    else:
        tensors = read_tensors(path)
    assert key_format(tensors) == kind
    found = to_i3d(tensors, 3, 400, kind)
    assert list(found) == list(shapes(3, 400))
    for name, value in published.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("scope", ["", "inception_i3d/", "Flow/inception_i3d/"])
def test_tensorflow_scopes(
    scope: str, published: Tensors, in_format: Callable[[str], Path]
) -> None:
    """Kinetics-600's checkpoint has no scope around its layers."""
    tensors = read_tensors(in_format("tensorflow"))
    renamed = {scope + key.removeprefix("RGB/inception_i3d/"): v for key, v in tensors.items()}
    assert key_format(renamed) == "tensorflow"
    assert content_hash(to_i3d(renamed, 3, 400, "x")) == content_hash(published)
    repaired = {k.replace("Mixed_5b/Branch_2/Conv3d_0a_3x3", MENDED): v for k, v in renamed.items()}
    assert repaired.keys() != renamed.keys()
    assert content_hash(to_i3d(repaired, 3, 400, "x")) == content_hash(published)
    with pytest.raises(WeightsError, match=r"^x: .*duplicate Mixed_5b\.b2b\."):
        to_i3d(renamed | repaired, 3, 400, "x")


@pytest.mark.parametrize("kind", ["hassony2", "tensorflow"])
def test_nothing_beside_the_network_is_taken(kind: str, in_format: Callable[[str], Path]) -> None:
    tensors = read_tensors(in_format(kind))
    for extra in ("global_step", "fc.conv3d.weight", "RGB/inception_i3d/Mixed_6a/conv_3d/w"):
        with pytest.raises(WeightsError, match=f"x: not the network expected .unexpected {extra}"):
            to_i3d({**tensors, extra: np.zeros(1, np.float32)}, 3, 400, "x")


@pytest.mark.parametrize("width", [1.0, 0.25])
@pytest.mark.parametrize(("channels", "classes"), [(3, 400), (2, 157)])
def test_the_layout_is_that_of_the_network(channels: int, classes: int, width: float) -> None:
    with torch.device("meta"):
        state = InceptionI3D(channels, classes, width=width).state_dict()
    counters = [name for name in state if name.endswith("num_batches_tracked")]
    assert len(counters) == 57
    ours = {name: tuple(value.shape) for name, value in state.items() if name not in counters}
    assert ours == shapes(channels, classes, width)


def test_counters_may_be_there(published: Tensors) -> None:
    counted = {**published, "Mixed_3b.b0.bn.num_batches_tracked": np.array(7)}
    assert to_i3d(counted, 3, 400, "x").keys() == published.keys()


def test_another_network_is_refused(published: Tensors) -> None:
    def refused(change: Tensors, message: str, drop: str = "") -> None:
        changed = {k: v for k, v in {**published, **change}.items() if k != drop}
        with pytest.raises(WeightsError, match=message):
            to_i3d(changed, 3, 400, "file.pt")

    bias = "logits.conv3d.bias"
    refused({}, r"file\.pt: not the network expected \(no logits\.conv3d\.bias", drop=bias)
    refused({"extra": np.zeros(1)}, "unexpected extra")
    refused({bias: np.zeros(600, np.float32)}, "is 600 instead of 400")
    refused({bias: np.full(400, np.nan, np.float32)}, "not finite floating point numbers")
    refused({bias: np.zeros(400, np.int64)}, "not finite floating point numbers")
    refused({bias: np.full(400, 1e300)}, "not finite floating point numbers")  # infinite in float32
    variance = "Mixed_3b.b0.bn.running_var"
    refused({variance: np.full(64, -1, np.float32)}, "a negative variance")
    with pytest.raises(WeightsError, match="64x3x7x7x7 instead of 64x2x7x7x7"):
        to_i3d(published, 2, 400, "rgb.pt")
    with pytest.raises(WeightsError, match="unknown names"):
        to_i3d({"fc.weight": np.zeros((2, 2))}, 3, 400, "x")
