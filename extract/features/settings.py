"""The settings that a feature file records: how they are compared and narrowed to streams."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from extract.streams import STREAMS

UNSTATED: dict[str, Any] = {"flow.warm_start": False, "precision": "float32"}
"""Values of settings that a file does not name, because it is older than the setting or newer than
its removal (TV-L1 no longer starts a pair from the flow of the previous one)."""

# What a user chose comes before what follows from it; the rest is in alphabetical order.
ORDER = (
    "format",
    "backbone",
    "streams",
    "fps",
    "stride",
    "flow",
    "method",
    "quantize",
    "precision",
)
HASH_DIGITS = 64
SHOWN_DIGITS = 8


def settings_difference(
    expected: Mapping[str, Any],
    found: Mapping[str, Any],
    prefix: str = "",
    *,
    unknown: Collection[str] = (),
) -> str | None:
    """First setting in which two feature files differ, as ``name: a against b``, or None.

    Nested settings are named with dots (``weights.rgb``). If several differ, the one that a user
    chose is named: other streams imply other weights. A setting that only one file names is
    compared with its value in ``UNSTATED``.

    Args:
        expected: settings.
        found: settings to compare with them.
        prefix: of the names.
        unknown: names of settings that are not compared.
    """
    for key in sorted(expected.keys() | found.keys(), key=_rank):
        name = f"{prefix}{key}"
        assumed = UNSTATED.get(name)
        left, right = expected.get(key, assumed), found.get(key, assumed)
        if left == right or name in unknown:
            continue
        if isinstance(left, Mapping) and isinstance(right, Mapping):
            inner = settings_difference(left, right, f"{name}.", unknown=unknown)
            if inner is not None:
                return inner
        else:
            return f"{name.removesuffix('.method')}: {_brief(left)} against {_brief(right)}"
    return None


def essential(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings without those that have the value of ``UNSTATED``.

    They are equal for files made in the same way, whichever version wrote them: a key of a cache.
    """
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            kept[key] = essential(value, f"{name}.")
        elif name not in UNSTATED or value != UNSTATED[name]:
            kept[key] = value
    return kept


def _rank(key: str) -> tuple[int, str]:
    return (ORDER.index(key) if key in ORDER else len(ORDER), key)


def _brief(value: Any) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value[:SHOWN_DIGITS] if len(value) == HASH_DIGITS else value
    if isinstance(value, list | tuple):
        return ",".join(map(_brief, value))
    if isinstance(value, Mapping):
        return _brief(value["method"]) if "method" in value else "others"
    return json.dumps(value)


def settings_for_streams(settings: Mapping[str, Any], streams: Sequence[str]) -> dict[str, Any]:
    """Settings that matter to some streams: a head trained on rgb does not depend on flow."""
    if "backbone" not in settings:
        return dict(settings)
    narrowed = dict(settings) | {"streams": [name for name in STREAMS if name in streams]}
    narrowed["weights"] = {
        name: settings.get("weights", {}).get(name) for name in narrowed["streams"]
    }
    if "flow" not in streams:
        narrowed |= {"flow": None, "quantize": None}
    return narrowed
