"""Work that can wait for other work: generators that yield where nothing else is left to do."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Patient = Generator[Callable[[], bool], None, T]
"""Yields a function that says whether what it waits for has come. To go on before is allowed, and
makes it come; what is waited for costs less where others need it too."""


def at_once(work: Patient[T]) -> T:
    """What comes of work where there is no other to wait for."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            value: T = end.value
            return value


class Waiting(Generic[T]):
    """Work that waits while other work is done; used as a context, at whose end nothing is left."""

    def __init__(self) -> None:
        self._work: list[tuple[Callable[[], bool], Patient[T], Callable[[T], None]]] = []

    def begin(self, work: Patient[T], ended: Callable[[T], None]) -> None:
        """Do work until it waits or has ended; ``ended`` is told what came of it, now or later."""
        try:
            ready = next(work)
        except StopIteration as end:
            ended(end.value)
        else:
            self._work.append((ready, work, ended))

    def look(self) -> None:
        """Go on with the work whose wait is over."""
        for entry in [entry for entry in self._work if entry[0]()]:
            # What it tells on its way may lead here again.
            if entry in self._work:
                self._work.remove(entry)
                self.begin(*entry[1:])

    def finish(self) -> None:
        """Go on with all of it."""
        while self._work:
            self.begin(*self._work.pop(0)[1:])

    def __enter__(self) -> "Waiting[T]":
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            for _, work, _ in self._work:
                work.close()
