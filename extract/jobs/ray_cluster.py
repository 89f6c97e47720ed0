"""Videos on the machines of a Ray cluster: actors, each with an extractor of its own.

A lost actor, or machine, costs a second attempt at its video; if that is lost too, the video is
recorded as failed. Ray restarts lost actors, but the second attempt is made here: Ray would make
its own while the machine is still going down. The lists of failures are written here, because the
machines may have no locks in common.
"""

import contextlib
import importlib.util
import logging
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extract.errors import ExtractError
from extract.features.failure_lists import change_failures
from extract.jobs.plan import Event, Job, JobQueue, OnEvent, Plan
from extract.jobs.ray_actor import Actor, Machine, code_hash
from extract.jobs.store import FeatureFolder
from extract.jobs.video_job import ExtractorOptions, clean_up, record_lost
from extract.machine.file_locks import UNFINISHED, remove_empty
from extract.sources.urls import Url

log = logging.getLogger(__name__)

EXTRA = "pip install 'basnet-e2e[ray]'"
POLL_SECONDS = 0.5  # between two questions for the progress of actors
START_SECONDS = 300.0  # for the first actor: imports over a busy network file system
STOP_SECONDS = 10.0
ATTEMPTS = 2  # at a video whose actor is lost
LOST = "its worker was lost twice (a decoder's crash, too little memory, or its machine)"
CARRIED = ("BASNET_OFFLINE",)  # everything else in a machine's environment is its own


@dataclass(frozen=True)
class Slots:
    """Actors at a time; cores (and threads) of each; GPUs of each, a fraction if they share one."""

    count: int
    cpus: int
    gpus: float


def run_on_cluster(
    plan: Plan, options: ExtractorOptions, address: str, jobs: int | None, on_event: OnEvent
) -> None:
    """Extract the videos of a plan on a Ray cluster.

    Args:
        plan: its paths must be the same on all machines, or URLs.
        options: as of worker processes.
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        jobs: videos at a time; default: one per GPU, or per machine if there is no GPU.
        on_event: called with each event.

    Raises:
        ExtractError: Ray is not installed, there is no such cluster, or one of its machines lacks
            the program or the folders.
        Exception: whatever else than a broken video stops an actor (weights, a full disk).
    """
    plan.check_shared()
    with _connected(address) as ray:
        slots = slots_for(ray, jobs, options.device, len(plan.todo))
        each = f"{slots.cpus} cores" + (f" and {slots.gpus:g} GPUs" if slots.gpus else "")
        log.info("on Ray: %d videos at a time, %s each", slots.count, each)
        _Run(ray, _absolute(plan), options, slots, on_event).all()


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to a cluster; a connection that was there before stays."""
    if importlib.util.find_spec("ray") is None:
        raise ExtractError(f"--ray: Ray is not installed: {EXTRA}")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else Ray warns of its future
    before = signal.getsignal(signal.SIGTERM)
    import ray

    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray sets its own, which ends this process
    except Exception as error:  # of many kinds, by the kind of address
        text = " ".join(str(error).split())[:160]
        raise ExtractError(
            f"--ray {address}: no cluster there ({text}); 'ray start --head' starts one"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def slots_for(ray: Any, jobs: int | None, device: str, videos: int) -> Slots:
    """Slots that fit a cluster, at most as many as videos; for ``jobs`` see `run_on_cluster`.

    Raises:
        ExtractError: GPUs are required and there are none.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    gpus = 0.0 if device == "cpu" else sum(node.get("GPU", 0.0) for node in nodes)
    if device.startswith("cuda") and not gpus:
        raise ExtractError(f"no device '{device}': the cluster has no GPU; use auto or cpu")
    count = max(1, min(jobs or int(gpus) or len(cores), videos))
    wanted = -(-count // max(1, len(cores)))  # on each machine, if they are alike
    return Slots(count, max(1, min(cores, default=1) // wanted), min(1.0, gpus / count))


class _Run:
    """One plan on one cluster; actors are known by number."""

    def __init__(
        self, ray: Any, plan: Plan, options: ExtractorOptions, slots: Slots, on_event: OnEvent
    ) -> None:
        self._ray, self._plan, self._slots, self._on_event = ray, plan, slots, on_event
        self._queue = JobQueue(plan)
        # Jobs come one by one, and failures are listed here.
        empty = Plan(plan.store, (), failures=None)
        where = replace(options, device="cuda") if slots.gpus else options
        remote = ray.remote(Actor).options(
            num_cpus=slots.cpus,
            num_gpus=slots.gpus,
            max_restarts=-1,
            max_concurrency=3,
            scheduling_strategy="SPREAD",
        )
        environment = {name: os.environ[name] for name in CARRIED if name in os.environ}
        self._make = lambda: remote.remote(empty, where, slots.cpus, environment)
        self._files: tuple[Path, ...] = ()
        self._lost: Counter[str] = Counter()
        self._actors: dict[int, Any] = {}
        # Pending answers, by their references.
        self._machines: dict[Any, int] = {}
        self._work: dict[Any, tuple[int, Job]] = {}
        self._progress: dict[Any, int] = {}
        self._reported: dict[str, Event] = {}

    def all(self) -> None:
        """Extract every video of the plan."""
        self._plan.prepare()
        try:
            with probe_files(self._plan) as self._files:
                for number in range(self._slots.count):
                    self._actors[number] = self._make()
                    self._ask_machine(number)
                while self._work or len(self._queue):
                    self._step()
        finally:
            self._end()

    def _ask_machine(self, number: int) -> None:
        """Ask an actor for its machine; the answer comes when it has started, or restarted."""
        machine = self._actors[number].machine.options(max_task_retries=-1)
        self._machines[machine.remote(self._files)] = number

    def _start(self, reference: Any) -> None:
        """Check an actor's machine, and give it a video."""
        number = self._machines.pop(reference)
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            text = " ".join(str(error).split())
            if "ModuleNotFoundError" in text or "ImportError" in text:
                raise ExtractError(
                    "a machine of the cluster has no basnet-e2e of this version: install the same "
                    f"on all of them ({text[-160:]})"
                ) from error
            raise ExtractError(f"the cluster cannot start a worker: {text[:300]}") from error
        _check(found, self._plan)
        self._next(number)

    def _next(self, number: int) -> None:
        """Give an actor its next video; if there is none, its cores go to others."""
        job = self._queue.next()
        if job is None:
            self._ray.kill(self._actors.pop(number), no_restart=True)
        else:
            self._work[self._actors[number].work.remote(job)] = number, job

    def _step(self) -> None:
        """Wait until something happens, and handle it."""
        for number, _ in self._work.values():
            if number not in self._progress.values():
                self._progress[self._actors[number].progress.remote()] = number
        patience = POLL_SECONDS if self._work else START_SECONDS
        ready, _ = self._ray.wait([*self._work, *self._machines], timeout=patience)
        if not ready and not self._work:
            raise ExtractError(
                f"the cluster started no worker of {self._slots.cpus} cores and "
                f"{self._slots.gpus:g} GPUs within {START_SECONDS:g} s; 'ray status' says why"
            )
        for reference in ready:
            if reference in self._machines:
                self._start(reference)
            else:
                self._ended(reference)
        if not self._progress:
            return
        ready, _ = self._ray.wait(list(self._progress), num_returns=len(self._progress), timeout=0)
        for reference in ready:
            self._progress.pop(reference)
            # `_ended` notices a lost actor.
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._report(self._ray.get(reference))

    def _report(self, event: Event | None) -> None:
        """Pass on the last event of a running video, if it is a new one."""
        running = {job.video.id for _, job in self._work.values()}
        if event and event.video.id in running and self._reported.get(event.video.id) != event:
            self._reported[event.video.id] = event
            self._on_event(event)

    def _ended(self, reference: Any) -> None:
        """A video is done, or has failed, or its actor is lost."""
        number, job = self._work.pop(reference)
        try:
            event, warnings = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            log.debug("%s: %s", job.video.id, error)
            self._lose(job)
            self._ask_machine(number)
            return
        for line in warnings:
            log.warning("%s", line)
        if isinstance(event, Exception):
            raise event
        if event.kind == "busy":
            self._queue.put_off(job)
        else:
            self._conclude(event)
        self._next(number)

    def _lose(self, job: Job) -> None:
        """An actor died on this video: retry once, then record a failure."""
        video = job.video
        self._lost[video.id] += 1
        if self._lost[video.id] < ATTEMPTS:
            log.warning("%s: its worker was lost; retrying", video.path)
            self._queue.put_first(job)
            return
        event = Event("failed", video, message=f"{video.path}: {LOST}")
        record_lost(self._plan, event)
        self._conclude(event)

    def _conclude(self, event: Event) -> None:
        change_failures(self._plan.store.output, [event.video.id])
        if event.kind == "failed":
            self._plan.record_failure(event)
        self._on_event(event)

    def _end(self) -> None:
        """Stop what is still running, at last by force, and remove what it left unfinished."""
        for actor in self._actors.values():
            actor.stop.remote()
        if self._work:
            self._ray.wait(list(self._work), num_returns=len(self._work), timeout=STOP_SECONDS)
        for actor in self._actors.values():
            self._ray.kill(actor, no_restart=True)
        deadline = time.monotonic() + STOP_SECONDS
        for _, job in self._work.values():
            clean_up(self._plan, job.video, max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def probe_files(plan: Plan) -> Iterator[tuple[Path, ...]]:
    """Files that every machine must see: one in the output folder and the first video."""
    paths = [job.video.path for job in plan.todo]
    files = [path for path in paths if isinstance(path, Path) and path.exists()][:1]
    if isinstance(plan.folder, Url):
        yield tuple(files)
        return
    root = plan.folder / UNFINISHED
    probe = root / f"seen-{uuid.uuid4().hex}"
    root.mkdir(parents=True, exist_ok=True)
    probe.touch()
    try:
        yield (probe, *files)
    finally:
        probe.unlink(missing_ok=True)
        remove_empty(root, root)


def _check(found: Machine, plan: Plan) -> None:
    """Raise an ``ExtractError`` if a machine has other code, or does not see the files."""
    if found.code != code_hash():
        raise ExtractError(
            f"{found.host} has another version of basnet-e2e: install the same on all machines"
        )
    if not all(found.sees):
        of_outputs = not found.sees[0] and isinstance(plan.folder, Path)
        what = f"the output folder {plan.folder}" if of_outputs else "the folder of the videos"
        raise ExtractError(
            f"{found.host} does not see {what}: use one that all machines share, or URLs"
        )


def _absolute(plan: Plan) -> Plan:
    """The plan with absolute paths."""

    def full(path: Path | Url) -> Path | Url:
        return path.absolute() if isinstance(path, Path) else path

    todo = [replace(j, video=replace(j.video, path=full(j.video.path))) for j in plan.todo]
    return replace(plan, store=FeatureFolder(full(plan.folder)), todo=tuple(todo))
