"""Items that a thread makes before they are asked for, a bounded number at a time."""

import threading
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from extract.pipeline.task_pool import WAIT_SECONDS

T = TypeVar("T")

# Time in which a thread that shall stop reaches its next item, before its wait is ended.
STOP_SECONDS = 2.0


class Prefetch(Generic[T]):
    """What a generator yields, made in advance by a thread; used as a context and an iterator.

    What the generator raises is raised to the user after the items before it. At the context's end
    the thread has ended and the generator is closed, wherever it was.

    Args:
        items: the generator.
        count: items that are ready at most; one more is being made.
        end_wait: called where the generator waits for something when it has to stop, from another
            thread: makes that wait end.
    """

    def __init__(
        self,
        items: Generator[T],
        count: int,
        end_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self._items = items
        self._count = count
        self._end_wait = end_wait
        self._made: deque[T] = deque()
        self._ended = False
        self._stopped = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        # A daemon: where nothing can end its wait, at least the program ends.
        self._thread = threading.Thread(target=self._make, name="basnet-prefetch", daemon=True)

    def __enter__(self) -> "Prefetch[T]":
        self._thread.start()
        return self

    def __iter__(self) -> "Prefetch[T]":
        return self

    def __next__(self) -> T:
        with self._changed:
            while not self._made and not self._ended:
                self._changed.wait(WAIT_SECONDS)
            if self._made:
                self._changed.notify_all()
                return self._made.popleft()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def _make(self) -> None:
        """Body of the thread."""
        try:
            for item in self._items:
                with self._changed:
                    while len(self._made) >= self._count and not self._stopped:
                        self._changed.wait()
                    if self._stopped:
                        return
                    self._made.append(item)
                    self._changed.notify_all()
                del item  # it would live until the next one is made
        except BaseException as error:
            self._error = error
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self._items.close()
        except BaseException as error:
            self._error = self._error or error
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            self._end_wait()
            self._thread.join()
