"""Ctrl-C and a scheduler's SIGTERM end every command alike: clean up, one line, an exit code."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

INTERRUPTED = 130
TERMINATED = 143


class Terminated(KeyboardInterrupt):
    """SIGTERM, raised where Ctrl-C would be, so that whatever cleans up after that does so here."""


class Stopped(Exception):
    """A command was stopped and has cleaned up.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, cause: KeyboardInterrupt) -> None:
        told = isinstance(cause, Terminated)
        self.exit_code = TERMINATED if told else INTERRUPTED
        # A command says by ``add_note`` what of its work is done.
        words = ["stopped by SIGTERM" if told else "interrupted", *getattr(cause, "__notes__", ())]
        super().__init__(": ".join(words))


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Inside the block SIGTERM raises ``Terminated``, once; a process told to ignore it does so."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    # A second one would cut the cleaning short, and who means it sends SIGKILL.
    signal.signal(number, signal.SIG_IGN)
    raise Terminated
