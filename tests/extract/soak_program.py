"""Extraction of a folder with networks that cost little, as a process to be killed at any moment.

Usage: soak_program.py VIDEOS FEATURES
"""

import functools
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # tests are not a package
from standins import TinyBackbone, TinyFlow

import extract
import extract.flow.methods
import extract.folder
from extract.chunks import Chunks
from extract.inputs import find_videos


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
    extract.flow.methods.flow_method = lambda *args, **options: TinyFlow()
    extract.folder.Chunks = functools.partial(Chunks, snippets=16)
    extractor = extract.Extractor(extract.ExtractSettings(), backbone=SlowBackbone())
    plan = extract.folder.make_plan(find_videos([sys.argv[1]]), sys.argv[2], extractor.settings)
    summary = extract.folder.run_plan(plan, extractor, listener=hear)
    sys.exit(1 if summary.failed else 0)
