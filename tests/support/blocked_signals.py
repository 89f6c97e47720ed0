"""Print which signals the first worker process of a program blocks.

Usage: blocked_signals.py FEATURES
"""

import contextlib
import signal
import sys
from pathlib import Path

from fake_extractor import FILE_SETTINGS

from extract.errors import ExtractError
from extract.jobs.plan import make_plan
from extract.jobs.resources import Division
from extract.jobs.workers import events_of_workers
from extract.sources.find import VideoInput


class Options:
    """In place of an extractor's options."""

    def make_extractor(self):
        print(*sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), flush=True)
        raise ExtractError("that was all")


if __name__ == "__main__":
    plan = make_plan([VideoInput("a", Path(__file__))], Path(sys.argv[1]), FILE_SETTINGS)
    with contextlib.suppress(ExtractError):
        list(events_of_workers(plan, Options(), Division(1, 1)))
