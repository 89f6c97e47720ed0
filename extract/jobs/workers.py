"""Several videos at a time: worker processes that may die without taking the others along."""

import contextlib
import logging
import multiprocessing
import pickle
import signal
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from extract.jobs.plan import Event, Job, JobQueue, Plan
from extract.jobs.resources import Division
from extract.jobs.video_job import ExtractorOptions, clean_up, record_lost, work_on
from extract.machine.devices import cores
from extract.machine.stop_signals import (
    Terminated,
    sigterm_as_ctrl_c,
    stops_blocked,
    unblock_sigterm,
)

log = logging.getLogger(__name__)
STOP = None
STOPPED_CODE = 128 + 15  # exit code of a worker that was told to stop by SIGTERM
# Seconds in which a scheduler that stops the workers and this process reaches this process too.
GROUP_STOP_SECONDS = 1.0
# Seconds that a worker has for removing what it was writing, before it is killed.
STOP_SECONDS = 10.0


def threads_each(workers: int) -> int:
    """Threads of one of several workers, so that together they fill the machine once."""
    return max(1, cores() // max(1, workers))


def events_of_workers(
    plan: Plan, options: ExtractorOptions, division: Division
) -> Generator[Event, None, None]:
    """What happens while worker processes extract the videos of a plan.

    The processor's cores are shared evenly among the workers that have a video. A worker that dies
    (a decoder's crash, the system short of memory) costs the one video it was working on: that is
    recorded as failed and another worker takes the dead one's place. The processes end with the
    generator.

    Args:
        plan: what is to be done.
        options: what each worker is made from.
        division: how many workers, and what they compute on.

    Raises:
        Exception: whatever else than a broken video stops a worker (weights, a full disk).
    """
    plan.check_shared()
    queue = JobQueue(plan)
    context = multiprocessing.get_context("spawn")
    plan.prepare()
    workers: list[_Worker] = []
    try:
        for number in range(min(division.workers, len(queue))):
            several = len(division.devices) > 1
            own = replace(options, device=division.device(number)) if several else options
            workers.append(_Worker(context, plan, own))
        for worker in workers:
            _next(worker, workers, queue)
        while busy := _by_pipe(workers):
            for pipe in wait(list(busy)):
                worker, job = busy[pipe], busy[pipe].job
                event = worker.receive()
                if worker.job is None:
                    if event.kind == "busy" and job is not None:
                        queue.put_off(job)
                    _next(worker, workers, queue)
                if event.kind != "busy":
                    yield event
    finally:
        _stop(workers)


def _by_pipe(workers: "list[_Worker]") -> "dict[Any, _Worker]":
    """Workers that have a video, by their pipe; Windows has another class of pipes."""
    return {worker.pipe: worker for worker in workers if worker.job}


def _next(free: "_Worker", workers: "list[_Worker]", queue: JobQueue) -> None:
    """Give a worker its next video; where none is left, its cores go to those still at work."""
    job = queue.next()
    if job is not None:
        free.give(job, threads_each(len(workers)))
        return
    at_work = [worker for worker in workers if worker.job]
    for worker in at_work:
        worker.use_threads(threads_each(len(at_work)))


class _Worker:
    """One process, its pipe and the video that it is working on."""

    def __init__(self, context: Any, plan: Plan, options: ExtractorOptions) -> None:
        self.plan = plan
        self._start = lambda: self._spawn(context, options)
        self.job: Job | None = None
        self._threads = 0
        self.pipe: Any
        self.process: BaseProcess
        self._start()

    def _spawn(self, context: Any, options: ExtractorOptions) -> None:
        self.pipe, theirs = context.Pipe()
        # A worker's jobs come one by one.
        empty = replace(self.plan, todo=(), present=())
        self.process = context.Process(target=_work, args=(theirs, empty, options), daemon=True)
        with stops_blocked():
            self.process.start()
        theirs.close()
        self._threads = 0

    def give(self, job: Job, threads: int) -> None:
        """Give a video to an idle worker."""
        self.use_threads(threads)
        self.job = job
        self.send(job)

    def use_threads(self, threads: int) -> None:
        """Change the threads; a worker within a video does so after its current snippets."""
        if threads != self._threads:
            self._threads = threads
            self.send(threads)

    def send(self, message: object) -> None:
        # If the process has died, the next `receive` notices.
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> Event:
        """Next event of the worker's video; a dead process is a failed video."""
        assert self.job is not None
        video = self.job.video
        try:
            event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            if self.process.exitcode in (STOPPED_CODE, -signal.SIGTERM):
                time.sleep(GROUP_STOP_SECONDS)
            event = Event(
                "failed",
                video,
                message=f"{video.path}: its worker process ended with exit code "
                f"{self.process.exitcode} (a decoder's crash, or too little memory)",
            )
            self.pipe.close()
            self._start()
            record_lost(self.plan, event)
        if isinstance(event, BaseException):
            raise event
        assert isinstance(event, Event)
        if event.kind not in ("start", "progress"):
            self.job = None
        return event


def _stop(workers: list[_Worker]) -> None:
    """End all processes: idle ones by a message, others by a signal, at last by force.

    What they were stopped within is cleaned up here, since a signal may come at any point.
    """
    for worker in workers:
        if worker.job is None:
            worker.send(STOP)
        else:
            worker.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for worker in workers:
        worker.process.join(timeout=max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            log.debug("a worker did not end by itself")
            worker.process.kill()
            worker.process.join()
    for worker in workers:
        if worker.job is not None:
            with contextlib.suppress(OSError):  # a folder that went away is what stopped the run
                clean_up(worker.plan, worker.job.video, patience=0)


def _work(pipe: Any, plan: Plan, options: ExtractorOptions) -> None:
    """Body of a worker process: one extractor, any number of videos."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    try:
        with sigterm_as_ctrl_c():
            unblock_sigterm()
            _extract_all(pipe, plan, options)
    except Terminated:
        sys.exit(STOPPED_CODE)


def _extract_all(pipe: Any, plan: Plan, options: ExtractorOptions) -> None:
    """Extract the parent's videos until it says stop; what stops all of them is sent to it."""
    try:
        extractor = options.make_extractor()

        def on_event(event: Event) -> None:
            _send(pipe, event)
            while pipe.poll():  # nothing but threads: the next video waits for this one's end
                extractor.use_threads(_receive(pipe))

        while (message := _receive(pipe)) is not STOP:
            if isinstance(message, Job):
                extractor.load()
                _send(pipe, work_on(message, plan, extractor, on_event))
            else:
                extractor.use_threads(message)
    except Exception as error:
        _send(pipe, portable(error))


def _receive(pipe: Any) -> Any:
    """The parent's next message; without a parent there is nothing left to do."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        sys.exit(1)


def _send(pipe: Any, message: object) -> None:
    """Tell the parent; see ``_receive``."""
    try:
        pipe.send(message)
    except OSError:
        sys.exit(1)


def portable(error: Exception) -> Exception:
    """An error itself if it can be pickled for another process, else its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does there
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
