"""What the three packages log, as lines on stderr."""

import logging
import sys

from basnet_e2e.display import on_one_line

PACKAGES = ("basnet_e2e", "extract", "weights")


class _Lines(logging.Formatter):
    """Log records as one line each; warnings and errors say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        text = on_one_line(record.getMessage())
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"


class _Stderr(logging.Handler):
    """Write to whatever stderr is now, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        # Not by click.echo: it bypasses the progress bar's replacement of stderr and would write
        # into the bar.
        print(self.format(record), file=sys.stderr, flush=True)


def set_up_messages(verbose: int, quiet: bool) -> None:
    """Send the messages of the three packages to stderr; -v adds details, -q keeps warnings."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = _Stderr()
    handler.setFormatter(_Lines())
    for name in PACKAGES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def is_quiet() -> bool:
    """Whether only warnings and errors are shown."""
    return not logging.getLogger(PACKAGES[0]).isEnabledFor(logging.INFO)
