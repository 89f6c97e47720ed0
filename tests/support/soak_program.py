"""Extraction of a folder with networks that cost little, as a process to be killed at any moment.

Usage: soak_program.py VIDEOS FEATURES
"""

import functools
import sys
import time

from standins import TinyBackbone, TinyFlow

import extract
import extract.flow.registry
import extract.jobs.run
from extract.features.checkpoints import Chunks
from extract.sources.find import find_videos


class SlowBackbone(TinyBackbone):
    """Takes a moment, so that there is something to interrupt."""

    def rgb(self, clips):
        time.sleep(0.02)
        return super().rgb(clips)


def hear(event):
    """Say that work is under way."""
    if event.kind == "progress":
        print("working", flush=True)


if __name__ == "__main__":
    extract.flow.registry.flow_method = lambda *args, **options: TinyFlow()
    extract.jobs.run.Chunks = functools.partial(Chunks, snippets=16)
    extractor = extract.Extractor(extract.ExtractSettings(), backbone=SlowBackbone())
    plan = extract.jobs.run.make_plan(find_videos([sys.argv[1]]), sys.argv[2], extractor.settings)
    summary = extract.jobs.run.run_plan(plan, extractor, listener=hear)
    sys.exit(1 if summary.failed else 0)
