"""Ctrl-C and a scheduler's SIGTERM end every command alike: clean up, one line, an exit code."""

from extract.machine.stop_signals import Terminated

INTERRUPTED = 130
TERMINATED = 143


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
