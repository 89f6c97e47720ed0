"""Ctrl-C and SIGTERM: they reach the main thread wherever it is, and children only where wanted."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

PAUSE = 0.05  # seconds after which a stop that was swallowed is raised again


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that whatever cleans up after that does so here."""


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Inside the block SIGTERM raises ``Terminated``, once; a process that ignores it still does.

    Python swallows what a signal raises within a destructor or a callback of C code, such as LLVM's
    while it compiles. Inside the block such a stop, Ctrl-C too, is raised again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    report = sys.unraisablehook

    def on_swallowed(found: Any) -> None:
        if isinstance(found.exc_value, KeyboardInterrupt):
            stopped = isinstance(found.exc_value, Terminated)
            _repeat(signal.SIGTERM if stopped else signal.SIGINT)
        else:
            report(found)

    before = {}
    if signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, None):
        before[signal.SIGTERM] = signal.signal(signal.SIGTERM, _raise)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _raise)
    sys.unraisablehook = on_swallowed
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = report


def _raise(number: int, frame: FrameType | None) -> None:
    torch = sys.modules.get("torch.distributed")
    if getattr(getattr(torch, "__spec__", None), "_initializing", False):
        _repeat(number)  # C++ code there turns an exception into an abort of the process
        return
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    # A second one would cut the cleaning short, and who means it sends SIGKILL.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated


def _repeat(number: int) -> None:
    """Let this process receive a signal again after a pause."""
    signal.signal(number, _raise)
    threading.Timer(PAUSE, os.kill, (os.getpid(), number)).start()


@contextlib.contextmanager
def stops_blocked() -> Iterator[None]:
    """Processes started in the block never see Ctrl-C or SIGTERM; this one sees them afterwards.

    A terminal or a scheduler sends them to all processes of a job, and a child that ends before its
    parent would look like a failure. `unblock_sigterm` lets a child see SIGTERM. Another thread of
    this process may receive a signal within the block.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_sigterm() -> None:
    """Let this process see SIGTERM, also one that was sent while it was blocked."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
