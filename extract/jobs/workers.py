"""Several videos at a time: worker processes that may die without taking the others along."""

import contextlib
import multiprocessing
import pickle
import signal
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from extract.jobs.plan import Event, Job, JobQueue, Plan
from extract.jobs.resources import Division, threads_each
from extract.jobs.video_job import ExtractorOptions, clean_up, record_lost, work_on
from extract.machine.stop_signals import (
    Terminated,
    sigterm_as_ctrl_c,
    stops_blocked,
    unblock_sigterm,
)

STOP = None
STOPPED_CODE = 128 + 15  # exit code of a worker that SIGTERM stopped within a video
# A scheduler that stops the workers stops this process too, within these seconds.
GROUP_STOP_SECONDS = 1.0
# Seconds that a worker has to remove what it was writing, before it is killed.
STOP_SECONDS = 10.0


def events_of_workers(
    plan: Plan, options: ExtractorOptions, division: Division
) -> Generator[Event, None, None]:
    """What happens while worker processes extract the videos of a plan.

    The workers that have a video share the processor's cores evenly. A worker that dies (a
    decoder's crash, the system short of memory) costs the one video it was working on: that is
    recorded as failed, and another worker takes its place. The processes end with the generator.

    Args:
        plan: what is to be done.
        options: what each worker is made from.
        division: how many workers, and what they compute on.

    Raises:
        Exception: whatever else than a broken video stops a worker (weights, a full disk).
    """
    plan.check_shared()
    queue = JobQueue(plan)
    plan.prepare()
    workers: list[_Worker] = []
    try:
        for number in range(min(division.workers, len(queue))):
            several = len(division.devices) > 1
            own = replace(options, device=division.device(number)) if several else options
            workers.append(_Worker(plan, own))
        for worker in workers:
            _next(worker, workers, queue)
        # By pipe: Windows has another class of pipes.
        while busy := {worker.pipe: worker for worker in workers if worker.job}:
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


def _next(free: "_Worker", workers: "list[_Worker]", queue: JobQueue) -> None:
    """Give a worker its next video; if none is left, its cores go to the other workers."""
    job = queue.next()
    if job is not None:
        free.use_threads(threads_each(len(workers)))
        free.job = job
        free.send(job)
        return
    busy = [worker for worker in workers if worker.job]
    for worker in busy:
        worker.use_threads(threads_each(len(busy)))


class _Worker:
    """One process, its pipe and the video that it is working on."""

    pipe: Any
    process: BaseProcess

    def __init__(self, plan: Plan, options: ExtractorOptions) -> None:
        self.plan, self._options = plan, options
        self.job: Job | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        # A worker's jobs come one by one.
        arguments = theirs, replace(self.plan, todo=(), present=()), self._options
        process = context.Process(target=_work, args=arguments, daemon=True)
        if hasattr(signal, "pthread_sigmask"):
            resource_tracker.ensure_running()  # its start would unblock the signals
        with stops_blocked():
            process.start()
            self.process = process
        theirs.close()
        self._threads = 0

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
        try:
            event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            event = self._replace(self.job)
        if isinstance(event, BaseException):
            raise event
        assert isinstance(event, Event)
        if event.kind not in ("start", "progress"):
            self.job = None
        return event

    def _replace(self, job: Job) -> Event:
        """Start another process in the place of one that died; the video has failed."""
        self.process.join()
        code = self.process.exitcode
        if code in (STOPPED_CODE, -signal.SIGTERM):
            time.sleep(GROUP_STOP_SECONDS)
        cause = "a decoder's crash, or too little memory"
        text = f"{job.video.path}: its worker process ended with exit code {code} ({cause})"
        event = Event("failed", job.video, message=text)
        self.pipe.close()
        self._start()
        record_lost(self.plan, event)
        return event


def _stop(workers: list[_Worker]) -> None:
    """End all processes: idle ones by a message, others by a signal, at last by force.

    What they left unfinished is removed here, since a signal may come at any point.
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
            worker.process.kill()
            worker.process.join()
    for worker in workers:
        if worker.job is not None:
            with contextlib.suppress(OSError):  # a folder that disappeared is what stopped the run
                clean_up(worker.plan, worker.job.video, patience=0)


def _work(pipe: Any, plan: Plan, options: ExtractorOptions) -> None:
    """Body of a worker process: one extractor, any number of videos.

    Only within a video is there anything to clean up. Elsewhere SIGTERM ends the process at once:
    an exception during torch's import would abort it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    unblock_sigterm()
    try:
        extractor = options.make_extractor()

        def on_event(event: Event) -> None:
            _send(pipe, event)
            while pipe.poll():  # only threads: the next video comes after the end of this one
                extractor.use_threads(_receive(pipe))

        while (message := _receive(pipe)) is not STOP:
            if isinstance(message, Job):
                extractor.load()
                with sigterm_as_ctrl_c():
                    event = work_on(message, plan, extractor, on_event)
                _send(pipe, event)
            else:
                extractor.use_threads(message)
    except Terminated:
        sys.exit(STOPPED_CODE)
    except Exception as error:
        _send(pipe, portable(error))


def _receive(pipe: Any) -> Any:
    """The parent's next message; exit if the parent has ended."""
    try:
        return pipe.recv()
    except (EOFError, OSError):
        sys.exit(1)


def _send(pipe: Any, message: object) -> None:
    """Send to the parent; exit if it has ended."""
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
