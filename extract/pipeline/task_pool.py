"""A thread pool for tasks with dependencies: a thread takes the most urgent task that is ready."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

# Without a limit, Ctrl-C could not interrupt a wait on Windows.
WAIT_SECONDS = 0.5


class TaskPool:
    """A thread pool of changeable width, used as a context.

    At its end, tasks that have not begun are cancelled, and running ones are waited for. If a
    signal prevents that, the threads end with the thread that made the pool.

    Args:
        width: tasks that run at a time.
        before: called before each task, on its thread.
    """

    def __init__(self, width: int, before: Callable[[], None] = lambda: None) -> None:
        self._before = before
        self._width = 0
        self._order = itertools.count()
        self._ready: list[tuple[tuple[int, ...], int, Future[Any], Callable[[], Any]]] = []
        self._not_begun: set[Future[Any]] = set()
        self._closed = False
        self._changed = threading.Condition()
        self._owner = threading.current_thread()
        self._threads: list[threading.Thread] = []
        self.resize(width)

    def resize(self, width: int) -> None:
        """Run that many tasks at a time from now on; running ones finish."""
        with self._changed:
            self._width = width
            while len(self._threads) < width and not self._closed:
                number = len(self._threads)
                name = f"basnet-worker-{number}"
                thread = threading.Thread(target=self._work, args=(number,), name=name)
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def submit(
        self, urgency: tuple[int, ...], work: Callable[[], T], after: Iterable[Future[Any]] = ()
    ) -> Future[T]:
        """Run ``work`` on a thread of the pool.

        Args:
            urgency: of the tasks that are ready, the lowest runs first.
            work: the task.
            after: tasks that must have ended, successfully or not.
        """
        future: Future[T] = Future()
        left = {*after}

        def ended(other: Future[Any]) -> None:
            with self._changed:
                left.discard(other)
                if not left and not self._closed:
                    heapq.heappush(self._ready, (urgency, next(self._order), future, work))
                    # To all: of two threads that sleep, one may be beyond the width.
                    self._changed.notify_all()

        with self._changed:
            if self._closed:
                future.cancel()
                return future
            self._not_begun.add(future)
            if not left:
                ended(future)
        for other in list(left):
            other.add_done_callback(ended)  # called at once if it has ended
        return future

    def _work(self, number: int) -> None:
        while task := self._next(number):
            future, work = task
            try:
                self._before()
                value = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(value)
                del value
            del task, future, work  # they would live until the next task comes

    def _next(self, number: int) -> tuple[Future[Any], Callable[[], Any]] | None:
        """The next task, None at the end."""
        with self._changed:
            while not self._closed and self._owner.is_alive():
                if self._ready and number < self._width:
                    _, _, future, work = heapq.heappop(self._ready)
                    self._not_begun.discard(future)
                    future.set_running_or_notify_cancel()
                    return future, work
                self._changed.wait(WAIT_SECONDS)
        return None

    def cancel(self) -> None:
        """Cancel all tasks that have not begun, and take no others."""
        with self._changed:
            self._closed = True
            dropped = list(self._not_begun)
            self._not_begun.clear()
            self._ready.clear()
            self._changed.notify_all()
        for future in dropped:
            future.cancel()

    def __enter__(self) -> "TaskPool":
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()
        for thread in self._threads:
            thread.join()


def result_of(future: Future[T]) -> T:
    """Wait for a task's result.

    Raises:
        BaseException: raised by the task.
        CancelledError: it was cancelled.
    """
    while True:
        try:
            return future.result(WAIT_SECONDS)
        except TimeoutError:
            if future.done():  # raised by the task, or just done
                return future.result()
