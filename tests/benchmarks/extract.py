"""Extraction against the obvious pipeline: `_extract.py` says what it measures and how.

The file is called like the package that it measures. Python looks into a program's own folder
first, so that benchmarks beside it which import the package would find this file.
"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    runpy.run_path(str(HERE / "_extract.py"), run_name="__main__")
else:
    before = sys.path[:]
    sys.path[:] = [folder for folder in before if Path(folder).resolve() != HERE]
    del sys.modules[__name__]
    __import__(__name__)  # the package takes this file's place
    sys.path[:] = before
