"""How a machine is divided among workers."""

import dataclasses

import pytest

from extract.backbones.registry import BACKBONES
from extract.errors import ExtractError
from extract.jobs import resources
from extract.jobs.resources import Division, divide

I3D, MINI = BACKBONES["i3d"], BACKBONES["i3d-mini"]
BOTH = ("rgb", "flow")
LARGE = 100 << 20
GIGABYTE = 1 << 30


@pytest.fixture
def machine(monkeypatch):
    def make(cores=8, free=1000 * GIGABYTE, gpus=0):
        monkeypatch.setattr(resources, "cores", lambda: cores)
        monkeypatch.setattr(resources, "free_memory", lambda: free)
        names = tuple(f"cuda:{n}" for n in range(gpus))
        monkeypatch.setattr(resources, "gpus", lambda: names)
        auto = "cuda" if gpus else "cpu"
        monkeypatch.setattr(
            resources, "choose_device", lambda name: auto if name == "auto" else name
        )

    return make


@pytest.mark.parametrize(
    ("cores", "videos", "expected"),
    [(2, 100, (1, 2)), (2, 1, (1, 2)), (8, 100, (2, 4)), (8, 1, (1, 8)), (64, 100, (16, 4))],
)
def test_a_large_network_has_some_threads_for_each_reader(machine, cores, videos, expected):
    machine(cores)
    found = divide(I3D, BOTH, [LARGE] * videos, "auto")
    assert (found.workers, found.threads) == expected


@pytest.mark.parametrize(
    ("cores", "videos", "expected"), [(2, 100, (2, 1)), (8, 3, (3, 2)), (8, 1, (1, 8))]
)
def test_a_small_network_has_a_reader_for_each_core(machine, cores, videos, expected):
    machine(cores)
    found = divide(MINI, BOTH, [LARGE] * videos, "cpu")
    assert (found.workers, found.threads) == expected


@pytest.mark.parametrize(
    ("free", "weights", "workers"),
    [(None, 0, 8), (7 * GIGABYTE, 0, 3), (1 * GIGABYTE, 0, 1), (12 * GIGABYTE, GIGABYTE, 3)],
)
def test_short_memory_means_fewer_workers(machine, free, weights, workers):
    machine(8, free)
    found = divide(MINI, BOTH, [LARGE] * 100, "cpu", weights=weights)
    assert (found.workers, found.threads) == (workers, 8 // workers)
    assert ("too little memory" in str(found)) == (workers < 8)


def test_a_worker_is_not_started_for_little_work(machine):
    machine(8)
    assert divide(MINI, BOTH, [1 << 20] * 3, "cpu").workers == 1
    assert divide(MINI, BOTH, [1 << 20] * 10, "cpu").workers == 2
    assert divide(MINI, BOTH, [], "cpu").workers == 1
    assert divide(MINI, BOTH, [1 << 20] * 3, "cpu", jobs=3).workers == 3


def test_what_the_user_asks_for_is_done(machine):
    machine(8, free=GIGABYTE)
    found = divide(I3D, BOTH, [LARGE] * 100, "cpu", jobs=4)
    assert (found.workers, found.threads, found.scarce) == (4, 2, "")
    assert divide(I3D, BOTH, [LARGE] * 3, "cpu", jobs=4).workers == 3


def test_each_gpu_has_a_worker(machine):
    machine(gpus=4)
    found = divide(I3D, BOTH, [LARGE] * 100, "auto")
    assert found.workers == 4
    assert [found.device(n) for n in range(5)] == ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:0"]
    assert divide(I3D, BOTH, [LARGE] * 2, "auto").workers == 2
    assert divide(I3D, BOTH, [LARGE] * 100, "auto", jobs=8).workers == 8
    one = divide(I3D, BOTH, [LARGE] * 100, "cuda:2")
    assert (one.workers, one.devices) == (1, ("cuda:2",))
    assert str(found) == "4 workers on cuda:0, cuda:1, cuda:2, cuda:3"


def test_a_single_gpu_keeps_its_name(machine):
    machine(gpus=1)
    assert divide(I3D, BOTH, [LARGE] * 100, "auto").devices == ("cuda",)


def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ExtractError, match="torch finds"):
        divide(I3D, BOTH, [LARGE] * 1, "cuda:77")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Division(1, 2), "1 worker with 2 threads"),
        (Division(2, 1), "2 workers with 1 thread each"),
        (
            Division(2, 4, scarce="too little memory"),
            "2 workers with 4 threads each (too little memory for more)",
        ),
    ],
)
def test_it_is_said_in_one_line(found, words):
    assert str(found) == words


def test_frames_that_a_network_leaves_out_do_not_count(machine):
    machine(8)
    few = dataclasses.replace(I3D, frames=4)
    assert divide(few, ("rgb",), [LARGE] * 100, "cpu").workers == 8
