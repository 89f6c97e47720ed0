"""Fixtures that every test may use."""

import logging
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
# No test depends on the speed of the machine, or on what else runs there.
# Every run draws the same examples, so that a failure is that of a change; BASNET_RANDOM=1: others.
settings.register_profile(
    "patient",
    deadline=None,
    derandomize="BASNET_RANDOM" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real videos, features and detections; the test is skipped where it is absent."""
    folder = Path(os.environ.get("BASNET_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real test data not found in {folder} (set BASNET_TEST_DATA)")
    return folder


@pytest.fixture(autouse=True)
def plain_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Each test begins as in a process of its own, and with an empty feature cache.

    The command line sets up the packages' loggers, and a shell that starts tests in the background
    has Ctrl-C ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cache = tmp_path_factory.getbasetemp() / f"features-{uuid.uuid4().hex}"
    monkeypatch.setattr("extract.jobs.store.default_folder", lambda: cache)
    yield
    for name in ("basnet_e2e", "extract", "weights"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a small random model of transformers, by its model type."""
    pytest.importorskip("transformers")
    import tiny_models

    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = tiny_models.write_model(
                kind, tmp_path_factory.mktemp("models") / f"tiny-{kind}"
            )
        return made[kind]

    return make


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[Any]:
    """A Ray cluster of two machines of two cores on this one; skipped where Ray is not installed.

    Tests that use it belong to the group ``ray``, so that it is started once.
    """
    pytest.importorskip("ray", reason="needs Ray (the extra [ray])")
    from ray.cluster_utils import Cluster

    class Machines(Cluster):  # type: ignore[misc]  # Ray's types are not known without Ray
        """Ray's node leaves a handler of SIGTERM, at which forked children of tests would hang."""

        def add_node(self, *arguments: Any, **options: Any) -> Any:
            before = signal.getsignal(signal.SIGTERM)
            try:
                return super().add_node(*arguments, **options)
            finally:
                signal.signal(signal.SIGTERM, before)

    def started() -> Any:
        head = {"num_cpus": 2, "include_dashboard": False}
        cluster = Machines(initialize_head=True, head_node_args=head)
        cluster.add_node(num_cpus=2)
        cluster.wait_for_nodes(timeout=300)
        return cluster

    for attempts_left in (2, 1, 0):
        try:
            cluster = started()
            break
        except Exception:  # Ray gives a machine 30 s to come up, and a busy one needs more
            if not attempts_left:
                raise
    yield cluster
    cluster.shutdown()
