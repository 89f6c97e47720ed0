"""An extractor without networks, so that what is around it is tested alone."""

import numpy as np

from extract import DecodeOptions
from extract.features.feature_file import Features
from extract.features.fingerprint import fingerprint
from extract.jobs.plan import Summary
from extract.jobs.run import run_here
from extract.pipeline.snippets import SnippetGrid

FILE_SETTINGS = {"format": 1, "backbone": "test", "weights": {"rgb": "aa"}}


class FakeExtractor:
    """Its subclasses say what ``extract`` does besides giving one row."""

    file_settings = FILE_SETTINGS
    decoding = DecodeOptions()
    grid = SnippetGrid()

    def load(self):
        pass

    def use_threads(self, threads):
        pass

    def features(self, path, rows=None, **facts):
        rows = np.ones((1, 4), np.float32) if rows is None else rows
        facts = {"file": path.name, "fingerprint": fingerprint(path), "decoder": "test"} | facts
        meta = {"settings": self.file_settings, "facts": facts}
        return Features(rows, None, np.zeros(len(rows)), np.ones(len(rows)), meta)


def run(plan, extractor, on_event=lambda event: None):
    """Do what a plan says in this process; gives what came of it."""
    summary = Summary()

    def told(event):
        summary.add(event)
        on_event(event)

    run_here(plan, extractor, told)
    return summary
