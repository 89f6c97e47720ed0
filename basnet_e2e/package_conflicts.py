"""Whether Python finds our own packages, not other files of their names."""

import importlib.util
import sys
from pathlib import Path

NEIGHBOURS = ("extract", "weights")


def check_neighbours() -> None:
    """See that no file of the user's own hides a package of ours.

    ``extract.py`` beside a script comes before every installed package, and the errors that follow
    do not tell.

    Raises:
        ImportError: names the file that is in the way.
    """
    here = Path(__file__).resolve().parent.parent
    for name in NEIGHBOURS:
        ours = here / name / "__init__.py"
        found = _location(name)
        if found is not None and ours.is_file() and found.resolve() != ours:
            raise ImportError(
                f"{found} hides the package '{name}' that basnet_e2e needs; rename that file or "
                "folder, or start from another folder",
                name="basnet_e2e",
            )


def _location(name: str) -> Path | None:
    """File that ``import name`` reads; None where that cannot be told."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return Path(file) if file else None
    spec = importlib.util.find_spec(name)
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
