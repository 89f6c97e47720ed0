"""Extraction of a folder with networks that cost little, as a process to be killed at any moment.

Usage: soak_program.py VIDEOS FEATURES
"""

import functools
import sys
import time
from pathlib import Path

from standins import TinyBackbone, TinyFlow

import extract
import extract.flow.registry
import extract.jobs.store
from extract.features.checkpoints import Checkpoints
from extract.jobs.plan import Summary, make_plan
from extract.jobs.run import run_here
from extract.sources.find import find_videos


class SlowBackbone(TinyBackbone):
    """Takes a moment, so that there is something to interrupt."""

    def rgb(self, clips):
        time.sleep(0.02)
        return super().rgb(clips)


def on_event(event):
    """Say that work is under way."""
    summary.add(event)
    if event.kind == "progress":
        print("working", flush=True)


if __name__ == "__main__":
    extract.flow.registry.flow_method = lambda *args, **options: TinyFlow()
    extract.jobs.store.Checkpoints = functools.partial(Checkpoints, snippets=16)
    extractor = extract.Extractor(extract.ExtractSettings(), backbone=SlowBackbone())
    videos, output = find_videos([sys.argv[1]]), Path(sys.argv[2])
    summary = Summary()
    run_here(make_plan(videos, output, extractor.file_settings), extractor, on_event)
    sys.exit(1 if summary.failed else 0)
