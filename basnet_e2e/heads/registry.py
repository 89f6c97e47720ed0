"""All heads by name; each is imported when it is first used."""

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from basnet_e2e.heads.common.settings import check_names

if TYPE_CHECKING:
    from basnet_e2e.heads.common.head import Head


class Entry(NamedTuple):
    """The module that holds a head as ``HEAD``, and a summary to follow its name."""

    module: str
    summary: str


HEADS: "dict[str, Entry | Head[Any]]" = {
    "basnet": Entry(
        "basnet_e2e.heads.basnet.head",
        "suppresses background by a filter that two branches train (AAAI 2020)",
    ),
    "plus": Entry(
        "basnet_e2e.heads.plus.head",
        "is the one to use: basnet's idea on single rows, with what the field has learnt since",
    ),
    "untrimmednet": Entry(
        "basnet_e2e.heads.baselines.untrimmednet", "weighs shots by attention (CVPR 2017)"
    ),
    "hide-and-seek": Entry(
        "basnet_e2e.heads.baselines.hide_and_seek", "hides random parts in training (ICCV 2017)"
    ),
    "stpn": Entry(
        "basnet_e2e.heads.baselines.stpn", "learns sparse attention of each stream (CVPR 2018)"
    ),
    "autoloc": Entry(
        "basnet_e2e.heads.baselines.autoloc", "regresses borders on a frozen classifier (ECCV 2018)"
    ),
    "wtalc": Entry(
        "basnet_e2e.heads.baselines.wtalc", "compares videos that share a class (ECCV 2018)"
    ),
    "cmcs": Entry(
        "basnet_e2e.heads.baselines.cmcs",
        "has branches that must differ, and static clips as background (CVPR 2019)",
    ),
    "maan": Entry(
        "basnet_e2e.heads.baselines.maan", "averages attention over random subsets (ICLR 2019)"
    ),
}
# The head of settings that name none, and of files written before heads had names.
DEFAULT_HEAD = "basnet"
TRAINED_HEAD = "plus"  # what `train` takes by default


def describe_heads() -> str:
    """Every head with its summary, for the command line."""
    return "; ".join(
        f"{name} {entry.summary}" for name, entry in HEADS.items() if isinstance(entry, Entry)
    )


def find_head(name: str) -> "Head[Any]":
    """A head by its name.

    Raises:
        BasnetError: there is none of this name.
    """
    check_names([name], HEADS, "head")
    entry = HEADS[name]
    if isinstance(entry, Entry):
        entry = importlib.import_module(entry.module).HEAD
    return entry
