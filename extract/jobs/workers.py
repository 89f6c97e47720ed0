"""Several videos at a time: worker processes that may die without taking the others along."""

import contextlib
import logging
import multiprocessing
import pickle
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from extract.jobs.cleanup import give_up, refuse_memory
from extract.jobs.plan import Event, Listener, Plan, Summary, Task, note
from extract.jobs.run import Queue, WorkerOptions, extract_one, settle
from extract.machine.devices import cores

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


def run_plan_with_workers(
    plan: Plan,
    options: WorkerOptions,
    jobs: int,
    listener: Listener,
    devices: Sequence[str] = (),
) -> Summary:
    """Extract the videos of a plan in ``jobs`` processes.

    Args:
        plan: what is to be done.
        options: what each worker is made from.
        jobs: how many workers.
        listener: hears the events of all of them.
        devices: what they compute on, in turn; without it all on the options' one.

    Raises:
        Exception: whatever else than a broken video stops a worker (weights, a full disk).
    """
    summary = Summary()
    with contextlib.closing(events_of_workers(plan, options, jobs, devices)) as events:
        for event in events:
            note(event, summary)
            listener(event)
    return summary


def events_of_workers(
    plan: Plan, options: WorkerOptions, jobs: int, devices: Sequence[str] = ()
) -> Generator[Event, None, None]:
    """What happens while ``jobs`` processes extract the videos of a plan; see above.

    The processor's cores are shared evenly among the workers that have a video. A worker that dies
    (a decoder's crash, the system short of memory) costs the one video it was working on: that is
    recorded as failed and another worker takes the dead one's place. The processes end with the
    generator.
    """
    refuse_memory(plan)
    queue = Queue(plan)
    context = multiprocessing.get_context("spawn")
    settle(plan)
    workers: list[_Worker] = []
    try:
        for number in range(min(jobs, len(queue))):
            own = replace(options, device=devices[number % len(devices)]) if devices else options
            workers.append(_Worker(context, plan, own))
        for worker in workers:
            _next(worker, workers, queue)
        while busy := _by_pipe(workers):
            for pipe in wait(list(busy)):
                worker, task = busy[pipe], busy[pipe].task
                event = worker.receive()
                if worker.task is None:
                    if event.kind == "busy" and task is not None:
                        queue.put_off(task)
                    _next(worker, workers, queue)
                if event.kind != "busy":
                    yield event
    finally:
        _stop(workers)


def _by_pipe(workers: "list[_Worker]") -> "dict[Any, _Worker]":
    """Workers that have a video, by their pipe; its class is another one on Windows."""
    return {worker.pipe: worker for worker in workers if worker.task}


def _next(free: "_Worker", workers: "list[_Worker]", queue: Queue) -> None:
    """Give a worker its next video; where none is left, its cores go to those still at work."""
    task = queue.next()
    if task is not None:
        free.give(task, threads_each(len(workers)))
        return
    at_work = [worker for worker in workers if worker.task]
    for worker in at_work:
        worker.use_threads(threads_each(len(at_work)))


class _Worker:
    """One process, its pipe and the video it has in hand."""

    def __init__(self, context: Any, plan: Plan, options: WorkerOptions) -> None:
        self._plan = plan
        self._start = lambda: self._spawn(context, options)
        self.task: Task | None = None
        self._threads = 0
        self.pipe: Any
        self.process: BaseProcess
        self._start()

    def _spawn(self, context: Any, options: WorkerOptions) -> None:
        self.pipe, theirs = context.Pipe()
        # A worker's tasks come one by one.
        empty = replace(self._plan, todo=(), present=(), stamps={}, failed={})
        self.process = context.Process(target=_work, args=(theirs, empty, options), daemon=True)
        with _interrupts_held_back():
            self.process.start()
        theirs.close()
        self._threads = 0

    def give(self, task: Task, threads: int) -> None:
        """Put a video into the hands of an idle worker."""
        self.use_threads(threads)
        self.task = task
        self.send(task)

    def use_threads(self, threads: int) -> None:
        """Change the threads; a worker amid a video takes note after its current snippets."""
        if threads != self._threads:
            self._threads = threads
            self.send(threads)

    def send(self, message: object) -> None:
        # Of a process that is gone the next `receive` tells.
        with contextlib.suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> Event:
        """Next event of the video in hand; a dead process is a failed video."""
        assert self.task is not None
        video = self.task.video
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
            give_up(self._plan, event)
        if isinstance(event, BaseException):
            raise event
        assert isinstance(event, Event)
        if event.kind not in ("start", "progress"):
            self.task = None
        return event


def _stop(workers: list[_Worker]) -> None:
    """End all processes: idle ones by a word, others by a signal, at last by force."""
    for worker in workers:
        if worker.task is None:
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


@contextlib.contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started in the block never see Ctrl-C; this one sees it afterwards.

    A terminal sends it to all of them, and one that is still importing would print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Any, plan: Plan, options: WorkerOptions) -> None:
    """Body of a worker process: one extractor, any number of videos."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    signal.signal(signal.SIGTERM, _stop_cleanly)
    try:
        extractor = options.make_extractor()

        def tell(event: Event) -> None:
            _send(pipe, event)
            while pipe.poll():  # nothing but threads: the next video waits for this one's end
                extractor.use_threads(_receive(pipe))

        while (message := _receive(pipe)) is not STOP:
            if isinstance(message, Task):
                extractor.load()
                how = (options.keep_partial, options.decoder)
                _send(pipe, extract_one(message, plan, extractor, *how, tell))
            else:
                extractor.use_threads(message)
    except Exception as error:
        # The parent ends all of us now; a signal amid this one's own ending would be an error.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _send(pipe, portable(error))


def _stop_cleanly(number: int, frame: object) -> NoReturn:
    """End by an exception, so that half-written files are removed."""
    signal.signal(number, signal.SIG_IGN)  # a second one would cut the cleaning short
    sys.exit(STOPPED_CODE)


def _receive(pipe: Any) -> Any:
    """The parent's next word; without a parent there is nothing left to do."""
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
    """An error itself if it can pass to another process, else its words."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its class does there
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
