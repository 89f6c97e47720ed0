"""Videos on the machines of a Ray cluster: one actor a slot, each with an extractor of its own.

A broken video is a value, as everywhere. A lost worker, or machine, costs a second attempt at its
video; one whose second worker is lost too is recorded as failed. Ray starts lost workers anew, but
the second attempt is made here: Ray would make its own while the machine is still going down. The
lists of failures are written here, in one place, for the slots may have no locks in common.
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
from extract.features.failure_lists import FAILURES, change_failures
from extract.jobs.cleanup import give_up, leave, refuse_memory
from extract.jobs.plan import Event, Listener, Plan, Summary, Task, note
from extract.jobs.ray_actor import Greeting, Slot, code_hash
from extract.jobs.run import Queue, WorkerOptions, settle
from extract.machine.file_locks import UNFINISHED, remove_empty
from extract.sources.find import VideoInput
from extract.sources.urls import Url

log = logging.getLogger(__name__)

EXTRA = "pip install 'basnet-e2e[ray]'"
LOOK_SECONDS = 0.5  # between two looks at how far the slots are
START_SECONDS = 300.0  # for the first slot to be there: imports over a busy network file system
STOP_SECONDS = 10.0
ATTEMPTS = 2  # at a video whose worker is lost
LOST = "its worker was lost twice (a decoder's crash, too little memory, or its machine)"
CARRIED = ("BASNET_OFFLINE",)  # all else that a machine's environment says is its own affair


@dataclass(frozen=True)
class Slots:
    """What each actor asks its machine for.

    Attributes:
        count: actors at a time.
        cpus: processor cores, which are its threads too.
        gpus: GPUs, a fraction where several actors share one.
    """

    count: int
    cpus: int
    gpus: float


def run_plan_on_cluster(
    plan: Plan, options: WorkerOptions, address: str, jobs: int | None, listener: Listener
) -> Summary:
    """Extract the videos of a plan on a Ray cluster.

    Args:
        plan: its paths must be the same on all machines, or URLs.
        options: as of worker processes.
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        jobs: videos at a time; without it one per GPU, or per machine where there are none.
        listener: told of what happens.

    Raises:
        ExtractError: Ray is not installed, there is no such cluster, or a machine of it lacks the
            program or the folders.
        Exception: whatever else than a broken video stops a worker (weights, a full disk).
    """
    refuse_memory(plan)
    with _connected(address) as ray:
        slots = slots_for(ray, jobs, options.device, len(plan.todo))
        each = f"{slots.cpus} cores" + (f" and {slots.gpus:g} GPUs" if slots.gpus else "")
        log.info("on Ray: %d videos at a time, %s each", slots.count, each)
        return _Run(ray, _absolute(plan), options, slots, listener).all()


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
            signal.signal(signal.SIGTERM, before)  # Ray puts its own, which ends this process
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
    """Slots that fit a cluster.

    Args:
        ray: the module, connected.
        jobs: videos at a time; without it one per GPU, or per machine where there are none.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        videos: there are no more slots than these.

    Raises:
        ExtractError: GPUs are asked for and there are none.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    gpus = 0.0 if device == "cpu" else sum(node.get("GPU", 0.0) for node in nodes)
    if device.startswith("cuda") and not gpus:
        raise ExtractError(f"no device '{device}': the cluster has no GPU; use auto or cpu")
    count = max(1, min(jobs or int(gpus) or len(cores), videos))
    wanted = -(-count // max(1, len(cores)))  # on each machine, where they are alike
    return Slots(count, max(1, min(cores, default=1) // wanted), min(1.0, gpus / count))


class _Run:
    """One plan on one cluster; slots go by number."""

    def __init__(
        self, ray: Any, plan: Plan, options: WorkerOptions, slots: Slots, listener: Listener
    ) -> None:
        self._ray, self._plan, self._slots, self._listener = ray, plan, slots, listener
        self._summary = Summary()
        self._queue = Queue(plan)
        # Of the plan a slot needs the folder; its tasks come one by one, failures are listed here.
        empty = Plan(plan.folder, (), (), None)
        where = replace(options, device="cuda") if slots.gpus else options
        remote = ray.remote(Slot).options(
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
        self._greetings: dict[Any, int] = {}
        self._work: dict[Any, tuple[int, Task]] = {}
        self._looks: dict[Any, int] = {}
        self._seen: dict[str, Event] = {}

    def all(self) -> Summary:
        """Every video of the plan."""
        settle(self._plan)
        try:
            with _token(self._plan) as self._files:
                for number in range(self._slots.count):
                    self._actors[number] = self._make()
                    self._greet(number)
                while self._work or len(self._queue):
                    self._step()
        finally:
            self._end()
        return self._summary

    def _greet(self, number: int) -> None:
        """Ask a slot what it finds; the answer comes when it is there, or there again."""
        greeting = self._actors[number].greet.options(max_task_retries=-1)
        self._greetings[greeting.remote(self._files)] = number

    def _welcome(self, reference: Any) -> None:
        """See that a slot's machine is fit, and give it a video."""
        number = self._greetings.pop(reference)
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
        """Give a slot its next video; one that has nothing to do leaves its cores to others."""
        task = self._queue.next()
        if task is None:
            self._ray.kill(self._actors.pop(number), no_restart=True)
        else:
            self._work[self._actors[number].work.remote(task)] = number, task

    def _step(self) -> None:
        """Wait until something happens, and see to it."""
        for number, _ in self._work.values():
            if number not in self._looks.values():
                self._looks[self._actors[number].look.remote()] = number
        patience = LOOK_SECONDS if self._work else START_SECONDS
        ready, _ = self._ray.wait([*self._work, *self._greetings], timeout=patience)
        if not ready and not self._work:
            raise ExtractError(
                f"the cluster started no worker of {self._slots.cpus} cores and "
                f"{self._slots.gpus:g} GPUs within {START_SECONDS:g} s; 'ray status' says why"
            )
        for reference in ready:
            if reference in self._greetings:
                self._welcome(reference)
            else:
                self._ended(reference)
        if not self._looks:
            return
        looked, _ = self._ray.wait(list(self._looks), num_returns=len(self._looks), timeout=0)
        for reference in looked:
            self._looks.pop(reference)
            # Of a slot that is lost the video in hand tells.
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._tell(self._ray.get(reference))

    def _tell(self, event: Event | None) -> None:
        at_work = {task.video.id for _, task in self._work.values()}
        if event is None or event.video.id not in at_work:
            return
        if self._seen.get(event.video.id) != event:
            self._seen[event.video.id] = event
            self._listener(event)

    def _ended(self, reference: Any) -> None:
        """A video is done, or has failed, or its slot is lost."""
        number, task = self._work.pop(reference)
        try:
            event, said = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            log.debug("%s: %s", task.video.id, error)
            self._lose(task)
            self._greet(number)
            return
        for line in said:
            log.warning("%s", line)
        if isinstance(event, Exception):
            raise event
        if event.kind == "busy":
            self._queue.put_off(task)
        else:
            self._conclude(event)
        self._next(number)

    def _lose(self, task: Task) -> None:
        """A worker was lost amid a video: once more, or never again."""
        video = task.video
        self._lost[video.id] += 1
        if self._lost[video.id] < ATTEMPTS:
            log.warning("%s: its worker was lost; once more", video.path)
            self._queue.put_first(task)
            return
        event = Event("failed", video, message=f"{video.path}: {LOST}")
        give_up(self._plan, event)
        self._conclude(event)

    def _conclude(self, event: Event) -> None:
        failed = {event.video.id: event.message} if event.kind == "failed" else {}
        name = self._plan.failures or FAILURES
        change_failures(self._plan.folder, [event.video.id], failed, name)
        note(event, self._summary)
        self._listener(event)

    def _end(self) -> None:
        """Stop what is still at work: by a word, then by force; nothing half is left."""
        for slot in self._actors.values():
            slot.stop.remote()
        if self._work:
            self._ray.wait(list(self._work), num_returns=len(self._work), timeout=STOP_SECONDS)
        for slot in self._actors.values():
            self._ray.kill(slot, no_restart=True)
        deadline = time.monotonic() + STOP_SECONDS
        for _, task in self._work.values():
            leave(self._plan, task.video, max(0.0, deadline - time.monotonic()))


@contextlib.contextmanager
def _token(plan: Plan) -> Iterator[tuple[Path, ...]]:
    """Files that every machine must see: one in the output folder, and the first video."""
    files = [video.path for video in plan.todo if isinstance(video.path, Path)]
    files = [path for path in files if path.exists()][:1]
    if isinstance(plan.folder, Url):
        yield tuple(files)
        return
    root = plan.folder / UNFINISHED
    token = root / f"seen-{uuid.uuid4().hex}"
    root.mkdir(parents=True, exist_ok=True)
    token.touch()
    try:
        yield (token, *files)
    finally:
        token.unlink(missing_ok=True)
        remove_empty(root, root)


def _check(found: Greeting, plan: Plan) -> None:
    """Refuse a machine whose features would be other ones, or whose files are others.

    Raises:
        ExtractError: it names the machine.
    """
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
    """The plan with paths that mean the same in any working folder."""

    def full(path: Path | Url) -> Path | Url:
        return path.absolute() if isinstance(path, Path) else path

    def named(videos: tuple[VideoInput, ...]) -> tuple[VideoInput, ...]:
        return tuple(replace(video, path=full(video.path)) for video in videos)

    return replace(
        plan, folder=full(plan.folder), todo=named(plan.todo), present=named(plan.present)
    )
