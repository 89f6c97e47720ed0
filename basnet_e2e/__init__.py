"""Snippet features to action intervals: BaS-Net, its training, proposals, evaluation, the CLI."""

from typing import TYPE_CHECKING

from basnet_e2e.errors import BasnetError
from basnet_e2e.package_conflicts import check_neighbours
from basnet_e2e.version import __version__

if TYPE_CHECKING:
    from basnet_e2e.evaluation.evaluate import evaluate
    from basnet_e2e.heads.basnet.network import BaSNet
    from basnet_e2e.intervals import Interval, Localization
    from basnet_e2e.localization.localizer import Localizer
    from basnet_e2e.localization.one_video import localize
    from basnet_e2e.training.train import train

__all__ = [
    "BaSNet",
    "BasnetError",
    "Interval",
    "Localization",
    "Localizer",
    "__version__",
    "evaluate",
    "localize",
    "train",
]

check_neighbours()

_HOMES = {
    "BaSNet": "basnet_e2e.heads.basnet.network",
    "Interval": "basnet_e2e.intervals",
    "Localization": "basnet_e2e.intervals",
    "Localizer": "basnet_e2e.localization.localizer",
    "evaluate": "basnet_e2e.evaluation.evaluate",
    "localize": "basnet_e2e.localization.one_video",
    "train": "basnet_e2e.training.train",
}


def __getattr__(name: str) -> object:
    """Import a public name at first use, so that importing the package stays cheap (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'basnet_e2e' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
