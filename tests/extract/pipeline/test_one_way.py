"""From frames to features on a GPU that is not there: nothing is mixed, nothing comes back.

Torch's fake tensors have a device and a shape and no values. An operation on tensors of two devices
is an error, and so is whatever asks for a value; the guard here adds what leaves the GPU.
"""

import contextlib
import types

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from extract.backbones.i3d import InceptionI3D
from extract.backbones.registry import BACKBONES
from extract.flow.raft import raft_tensors
from extract.flow.tvl1.method import TVL1Flow
from extract.flow.tvl1.torch_engine import Execution, plain_level
from extract.flow.tvl1.triton_engine import TritonSolver
from extract.inference import torch_runtime
from extract.inference.backbone import Backbone
from extract.pipeline.frame_steps import FrameSteps

SNIPPETS = 2
LENGTH = 16
SHORT = {"scales": 2, "warps": 2, "iterations": 3, "finest_iterations": 2}
I3D = BACKBONES["i3d"]


class OneWay(TorchDispatchMode):
    """Refuses what goes from a GPU to the processor; keeps what goes up."""

    def __init__(self):
        super().__init__()
        self.went_up = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        made = [x for x in tree_leaves(found) if isinstance(x, torch.Tensor)]
        on_gpu = [tensor.is_cuda for tensor in given]
        if any(on_gpu) and not all(tensor.is_cuda for tensor in made):
            raise AssertionError(f"{function} leaves the GPU")
        if given and made and not all(on_gpu) and all(tensor.is_cuda for tensor in made):
            self.went_up += [x for x, there in zip(given, on_gpu, strict=True) if not there]
        return found


class Recorded:
    """Frames go up at once, and features stay where they are."""

    def __init__(self):
        self.features = []

    def up(self, frames):
        return torch.from_numpy(np.stack(frames)).to("cuda")

    def down(self, rows):
        self.features.append(rows)
        return lambda: None


@contextlib.contextmanager
def no_gpu():
    """Fake tensors, and the guard around what they do."""
    with FakeTensorMode(allow_non_fake_inputs=True), OneWay() as guard:
        yield guard


@pytest.fixture(scope="module")
def networks():
    return {stream: InceptionI3D(n).eval() for stream, n in (("rgb", 3), ("flow", 2))}


@pytest.fixture
def i3d(networks, monkeypatch):
    """Makes I3D on a GPU of fake tensors, with random weights."""
    plain = torch_runtime.inference_copy

    def prepared(network):
        with unset_fake_temporarily():  # weights are prepared before they are sent
            return plain(network.requires_grad_(False))

    monkeypatch.setattr(torch_runtime, "inference_copy", prepared)

    class Made(Backbone):
        def network(self, stream):
            return networks[stream]

    def make(precision="float32"):
        backbone = Made(I3D, tuple(networks), "cuda", precision=precision)
        for network in networks.values():  # its values would have to be copied
            monkeypatch.setattr(network, "classifier", lambda: None)
        backbone.load(tuple(networks))
        return backbone

    return make


class NoKernels:
    """Takes the launches of the fused kernels and does nothing."""

    OWNED = STOPPED = types.SimpleNamespace(value=2)

    def __init__(self):
        self.launched = []
        self.linearise = self.steps = self

    def __getitem__(self, grid):
        return lambda *arguments, **options: self.launched.append(arguments)


def tvl1(solver=plain_level):
    flow = TVL1Flow(SHORT, "cpu")  # a device that is there; tensors are computed where they are
    flow.execution = Execution(batch=20, solver=solver, early=False)
    return flow


class RAFT:
    """Torchvision's smaller network."""

    def __init__(self):
        from torchvision.models.optical_flow import raft_small

        with unset_fake_temporarily():
            model = raft_small(weights=None).eval().requires_grad_(False)
        self._model = model.to("cuda")

    def compute_on_device(self, grey, rgb):
        return raft_tensors(self._model, rgb)


def features(backbone, flow, size=(120, 160)):
    """Features of both streams of some snippets, and what went up on the way."""
    frames = [np.zeros((*size, 3), np.uint8)] * (SNIPPETS * LENGTH + 1)
    wanted = [list(range(n * LENGTH, (n + 1) * LENGTH)) for n in range(SNIPPETS)]
    transfer = Recorded()
    work = FrameSteps(backbone, flow, "uint8", transfer)
    pictures = work.pictures(frames)
    fields = work.fields(pictures)
    work.rgb(dict(enumerate(pictures)), wanted)
    work.flow(dict(enumerate(fields)), wanted)
    return transfer.features


@pytest.mark.filterwarnings("ignore:CUDA is not available")  # of autocast
@pytest.mark.parametrize(
    ("precision", "fused"), [("float32", False), ("float16", False), ("float32", True)]
)
def test_only_frames_go_up_and_only_features_are_to_come_down(i3d, monkeypatch, precision, fused):
    monkeypatch.setattr(torch.cuda, "device_of", contextlib.nullcontext)  # there is none to choose
    kernels = NoKernels()
    with no_gpu() as guard:
        backbone = i3d(precision)
        guard.went_up.clear()  # the networks
        found = features(backbone, tvl1(TritonSolver(kernels) if fused else plain_level))
    assert bool(kernels.launched) == fused
    for launch in kernels.launched:
        assert all(x.is_cuda for x in launch if isinstance(x, torch.Tensor))
    for rows in found:
        assert rows.device.type == "cuda"
        assert rows.shape == (SNIPPETS, I3D.dimension)
        assert rows.dtype == torch.float32
    (frames,) = guard.went_up
    assert frames.dtype == torch.uint8
    assert frames.shape == (SNIPPETS * LENGTH + 1, 120, 160, 3)


@pytest.fixture
def grid_sampler():
    """Tells fake tensors the shape of what cuDNN's sampler makes, which torch does not."""
    with torch.library._scoped_library("aten", "FRAGMENT") as library:
        torch.library.register_fake(
            "aten::cudnn_grid_sampler",
            lambda x, grid: x.new_empty((*x.shape[:2], *grid.shape[1:-1])),
            lib=library,
        )
        yield


def test_raft_mixes_nothing_either(i3d, grid_sampler):
    with no_gpu():
        found = features(i3d(), RAFT())
    assert [rows.device.type for rows in found] == ["cuda", "cuda"]


def test_a_video_of_one_frame(i3d):
    with no_gpu() as guard:
        backbone, transfer = i3d(), Recorded()
        guard.went_up.clear()
        FrameSteps(backbone, tvl1(), "uint8", transfer).flow({}, [[]])
    assert transfer.features[0].shape == (1, I3D.dimension)
    assert guard.went_up == []


LEAVING = {
    "a copy": lambda x: x.cpu(),
    "a copy into": lambda x: torch.zeros(3).copy_(x),
    "another type": lambda x: x.to("cpu", torch.float16),
}


@pytest.mark.parametrize("way", LEAVING)
def test_the_guard_sees_what_leaves(way):
    with no_gpu(), pytest.raises(AssertionError, match="leaves the GPU"):
        LEAVING[way](torch.zeros(3, device="cuda"))


def test_nor_can_a_value_be_asked_for_or_devices_be_mixed():
    with no_gpu():
        there = torch.zeros(3, device="cuda")
        with pytest.raises(DataDependentOutputException):
            bool(there.any())
        with pytest.raises(RuntimeError, match="cuda:0 and cpu"):
            there + torch.zeros(3)
