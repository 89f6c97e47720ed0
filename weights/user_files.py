"""Weights from the user: recognised by their hash, or trusted by a hash that the user gives."""

import os
from pathlib import Path

from weights.errors import WeightsError
from weights.files import git_blob_id, sha256_of
from weights.formats.tensor_files import read_tensors, refuse_checkpoint
from weights.manifest import Network, Origin, network, networks
from weights.registry import lock
from weights.sources.huggingface import CONFIG, import_model
from weights.weights_file import WeightsFile, convert, local_file, store


def import_file(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    stream: str | None = None,
    sha256: str | None = None,
) -> WeightsFile:
    """Import a user's weights: recognise, verify, convert and record their hash.

    A file whose hash is in the manifest needs no other argument. Any other needs its network,
    stream and the sha256 that the user trusts.

    Args:
        path: torch checkpoint, safetensors, or the folder of a model of transformers.
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        sha256: the hash that the file must have.

    Raises:
        WeightsError: the file is not the expected one; nothing is kept.
    """
    given = Path(path)
    refuse_checkpoint(given)
    if (given / CONFIG).is_file():
        return _import_folder(given, name)
    if not given.is_file():
        raise WeightsError(f"{given}: no such file")
    found = sha256_of(given)
    if sha256 is not None and found != sha256.strip().lower():
        raise WeightsError(f"{given}: its sha256 is {found}, expected {sha256}")
    item, source = _recognise(given, found, name, stream, trusted=sha256 is not None)
    tensors = convert(item, read_tensors(given), str(path))
    origin = {"source": source.origin if source else "import", "file": given.name, "sha256": found}
    with lock(local_file(item)):
        return store(item, tensors, origin)


def _import_folder(path: Path, name: str | None) -> WeightsFile:
    """Import the folder of a model of transformers."""
    models = {item.name: item for item in networks() if item.model}
    if name not in models:
        raise WeightsError(
            f"{path}: a folder is a model of transformers; name it with --name "
            f"({', '.join(models)}), or use it without importing it: --backbone {path}"
        )
    target = local_file(models[name])
    with lock(target):
        return import_model(path, target)


def _recognise(
    path: Path, sha256: str, name: str | None, stream: str | None, trusted: bool
) -> tuple[Network, Origin | None]:
    """The network of a file, by its hash, else by what the user says and trusts."""
    blob = git_blob_id(path)
    asked = [item for item in networks() if name in (None, item.name)]
    asked = [item for item in asked if stream in (None, item.stream) and not item.bundled]
    if not asked:
        network(name or "", stream or "")  # raises, and names the known ones
    for item in asked:
        for source in item.sources:
            content = source.content
            if content.git_blob == blob or (
                content.sha256 is not None and sha256.startswith(content.sha256)
            ):
                return item, source
    named = [(item, s) for item in asked for s in item.sources if s.file == path.name]
    if len({(item.name, item.stream) for item, _ in named}) == 1:
        item, source = named[0]
        if source.content.known and not trusted:
            raise WeightsError(
                f"{path}: not the known file of {item.name} {item.stream}, "
                f"{source.content.difference(path)}; if you trust it, add --sha256 {sha256}"
            )
        asked = [item]
    if trusted and len(asked) == 1:
        return asked[0], None
    if trusted:
        raise WeightsError(f"{path}: name its network with --name and --stream")
    raise WeightsError(
        f"{path}: unknown file, its sha256 is {sha256}; if you trust it, add --name NETWORK "
        f"--stream STREAM --sha256 {sha256}"
    )
