"""What the three packages log, as lines on stderr."""

import logging
import sys

from basnet_e2e.display import on_one_line

PACKAGES = ("basnet_e2e", "extract", "weights")


class _Stderr(logging.Handler):
    """Writes each record as a line; warnings and errors say that they are."""

    def emit(self, record: logging.LogRecord) -> None:
        text = on_one_line(record.getMessage())
        if record.levelno > logging.INFO:
            text = f"{record.levelname.lower()}: {text}"
        # Not by click.echo: it bypasses the progress bar's replacement of stderr and would write
        # into the bar.
        print(text, file=sys.stderr, flush=True)


def set_up_messages(verbose: int, quiet: bool) -> None:
    """Send the messages of the three packages to stderr; -v adds details, -q keeps warnings."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [_Stderr()]
        logger.setLevel(level)
        logger.propagate = False


def is_quiet() -> bool:
    """Whether only warnings and errors are shown."""
    return not logging.getLogger(PACKAGES[0]).isEnabledFor(logging.INFO)
