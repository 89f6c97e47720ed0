"""Tasks that several threads work on: each thread takes the most urgent one that is ready."""

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

# A wait without a limit cannot be interrupted by Ctrl-C on Windows.
LOOK_SECONDS = 0.5


class Task(Generic[T]):
    """Work that a lane does once the tasks before it have ended, and then its result."""

    def __init__(self, urgency: tuple[int, ...], work: Callable[[], T]) -> None:
        self.urgency = urgency
        self.waits_for = 0
        self.followers: list[Task[Any]] = []
        self.ended = threading.Event()
        self._work: Callable[[], T] | None = work
        self._value: T
        self._error: BaseException | None = None

    def run(self, before: Callable[[], None]) -> None:
        """Do the work; what it raises is kept for whoever asks for the result."""
        assert self._work is not None
        try:
            before()
            self._value = self._work()
        except BaseException as error:
            self._error = error
        # What it worked on may be large, and its result may be kept for long.
        self._work = None

    def drop(self) -> None:
        """End it without its work being done."""
        self._work, self._error = None, RuntimeError("the work was given up")
        self.ended.set()

    def result(self) -> T:
        """What the work gave, as soon as it is done.

        Raises:
            BaseException: what the work raised.
        """
        while not self.ended.wait(LOOK_SECONDS):
            pass
        if self._error is not None:
            raise self._error
        return self._value


class Lanes:
    """Threads that work on tasks, as many at a time as there are lanes.

    Used as a context: at its end tasks that were not begun are dropped, and those at work are
    waited for.

    Args:
        width: number of lanes.
        before: called on a lane's thread before each task.
    """

    def __init__(self, width: int, before: Callable[[], None] = lambda: None) -> None:
        self._before = before
        self._width = 0
        self._order = itertools.count()
        self._ready: list[tuple[tuple[int, ...], int, Task[Any]]] = []
        self._waiting: set[Task[Any]] = set()
        self._closed = False
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self.resize(width)

    def resize(self, width: int) -> None:
        """Work on that many tasks at a time from now on; those at work go on."""
        with self._changed:
            self._width = width
            while len(self._threads) < width and not self._closed:
                number = len(self._threads)
                thread = threading.Thread(
                    target=self._lane, args=(number,), name=f"basnet-lane-{number}"
                )
                self._threads.append(thread)
                thread.start()
            self._changed.notify_all()

    def submit(
        self, urgency: tuple[int, ...], work: Callable[[], T], after: Iterable[Task[Any]] = ()
    ) -> Task[T]:
        """Have work done once the tasks ``after`` have ended, well or not.

        Args:
            urgency: of the tasks that are ready, the one with the lowest is taken.
            work: called on one of the lanes.
            after: tasks that must have ended.
        """
        task = Task(urgency, work)
        with self._changed:
            if self._closed:
                task.drop()
                return task
            for other in set(after):
                if not other.ended.is_set():
                    other.followers.append(task)
                    task.waits_for += 1
            if task.waits_for:
                self._waiting.add(task)
            else:
                self._make_ready(task)
        return task

    def _make_ready(self, task: Task[Any]) -> None:
        heapq.heappush(self._ready, (task.urgency, next(self._order), task))
        # To all: of two threads that sleep, one may be beyond the width.
        self._changed.notify_all()

    def _lane(self, number: int) -> None:
        """Body of a thread."""
        while (task := self._next(number)) is not None:
            task.run(self._before)
            self._end(task)
            del task  # its result would live until the next task comes

    def _next(self, number: int) -> Task[Any] | None:
        """The next task, None at the end."""
        with self._changed:
            while not self._closed:
                if self._ready and number < self._width:
                    return heapq.heappop(self._ready)[-1]
                self._changed.wait()
        return None

    def _end(self, task: Task[Any]) -> None:
        with self._changed:
            task.ended.set()
            for follower in task.followers:
                follower.waits_for -= 1
                if not follower.waits_for and follower in self._waiting:
                    self._waiting.remove(follower)
                    self._make_ready(follower)
            task.followers.clear()

    def give_up(self) -> None:
        """Drop all tasks that were not begun, and take no others."""
        with self._changed:
            self._closed = True
            for task in [*self._waiting, *(entry[-1] for entry in self._ready)]:
                task.drop()
            self._waiting.clear()
            self._ready.clear()
            self._changed.notify_all()

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *error: object) -> None:
        self.give_up()
        for thread in self._threads:
            thread.join()
