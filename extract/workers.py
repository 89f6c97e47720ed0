"""Several videos at a time: worker processes that may die without taking the others along."""

import logging
import multiprocessing
import sys
from collections import deque
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from extract.folder import (
    Event,
    Listener,
    Plan,
    Summary,
    WorkerOptions,
    extract_one,
    failure_record,
    note,
)
from extract.inputs import VideoInput

log = logging.getLogger(__name__)
STOP = None


def run_plan_with_workers(
    plan: Plan, options: WorkerOptions, jobs: int, listener: Listener
) -> Summary:
    """Extract the videos of a plan in ``jobs`` processes.

    A worker that dies (a decoder's crash, the system short of memory) costs the one video it was
    working on: that is recorded as failed and another worker takes the dead one's place.

    Raises:
        Exception: whatever else than a broken video stops a worker (weights, a full disk).
    """
    summary = Summary()
    queue = deque(plan.todo)
    context = multiprocessing.get_context("spawn")
    with failure_record(plan, summary):
        workers = [_Worker(context, plan.folder, options) for _ in range(min(jobs, len(queue)))]
        try:
            for worker in workers:
                worker.give(queue.popleft())
            while busy := {worker.pipe: worker for worker in workers if worker.video}:
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    event = busy[pipe].receive()
                    note(event, summary)
                    listener(event)
                    if event.kind in ("done", "failed") and queue:
                        busy[pipe].give(queue.popleft())
        finally:
            for worker in workers:
                worker.stop()
    return summary


class _Worker:
    """One process, its pipe and the video it has in hand."""

    def __init__(self, context: Any, folder: Path, options: WorkerOptions) -> None:
        self._start = lambda: self._spawn(context, folder, options)
        self.video: VideoInput | None = None
        self.pipe: Connection
        self.process: BaseProcess
        self._start()

    def _spawn(self, context: Any, folder: Path, options: WorkerOptions) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, folder, options), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, video: VideoInput) -> None:
        self.video = video
        self.pipe.send(video)

    def receive(self) -> Event:
        """Next event of the video in hand; a dead process is a failed video."""
        assert self.video is not None
        video = self.video
        try:
            event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            event = Event(
                "failed",
                video,
                message=f"{video.path}: its worker process ended with exit code "
                f"{self.process.exitcode} (a decoder's crash, or too little memory)",
            )
            self.pipe.close()
            self._start()
        if isinstance(event, BaseException):
            raise event
        if event.kind in ("done", "failed"):
            self.video = None
        assert isinstance(event, Event)
        return event

    def stop(self) -> None:
        if self.video is None:
            try:
                self.pipe.send(STOP)
            except OSError:
                log.debug("a worker had ended before it was told to")
            self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


def _work(pipe: Connection, folder: Path, options: WorkerOptions) -> None:
    """Body of a worker process: one extractor, any number of videos."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that half-written files are removed
    import torch

    from extract.pipeline import Extractor

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        extractor = Extractor(options.settings, device=options.device, threads=options.threads)
        while (video := pipe.recv()) is not STOP:
            pipe.send(
                extract_one(
                    video, folder, extractor, options.keep_partial, options.decoder, pipe.send
                )
            )
    except EOFError:
        return
    except Exception as error:
        pipe.send(error)
