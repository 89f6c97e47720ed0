"""The packages, found before what lies beside a benchmark: imported first where both are needed.

`extract.py` here is called like the package that it measures, and gives way to it when it is
imported; the packages' own check for names that are hidden would not wait for that.
"""

import extract  # noqa: F401
