"""Errors about weights that are missing: which file, from where, and what works without it."""

from weights.errors import WeightsError
from weights.manifest import Network, Origin, networks


def unavailable(item: Network, reason: str, source: Origin | None = None) -> WeightsError:
    """The error for weights that could not be fetched.

    Args:
        item: the network.
        reason: why not.
        source: the source to name; default: the first that a person can use.
    """
    missing = f"the {item.stream} weights of {item.name} are not here"
    files = [s for s in item.sources if s.kind != "package"]
    if not files:
        return WeightsError(f"{missing}: {reason}")
    file = source or files[0]
    return WeightsError(
        f"{missing}: {file.file} could not be fetched ({reason}). Get it {_by_hand(item, file)}"
    )


def forbidden(item: Network) -> WeightsError:
    """The error for weights that a download would fetch if it were allowed."""
    if not any(source.fetchable for source in item.sources):
        return unavailable(item, "it is not in the cache, and no hash is known to check it by")
    files = [s for s in item.sources if s.kind != "package"]
    hand = f", or get {files[0].file} {_by_hand(item, files[0])}" if files else ""
    return WeightsError(
        f"the {item.stream} weights of {item.name} are not here and --offline forbids a download. "
        f"Run `basnet weights download {item.name} {item.stream}` on a network{hand}"
    )


def _by_hand(item: Network, file: Origin) -> str:
    others = [other.stream for other in networks() if other.name == item.name and other is not item]
    without = f"; `--streams {others[0]}` works without it" if others else ""
    options = _import_options(item, file)
    return f"from {file.address} and run `basnet weights import {file.file}{options}`{without}"


def _import_options(item: Network, file: Origin) -> str:
    """Options that `basnet weights import` needs for a file that no known hash identifies."""
    if item.model:
        return f" --name {item.name}"
    if file.content.known:
        return ""
    same = [s for other in networks() for s in other.sources if s.file == file.file]
    which = f" --name {item.name} --stream {item.stream}" if len(same) > 1 else ""
    return f"{which} --sha256 HASH"
