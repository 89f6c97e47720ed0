"""A weights file that a user brought: recognised by its hash, or trusted by what the user says."""

import os
from pathlib import Path

from weights.errors import WeightsError
from weights.files import git_blob_id, sha256_of
from weights.formats import read_tensors, refuse_checkpoint
from weights.huggingface import CONFIG, import_model
from weights.manifest import Network, Origin, network, networks
from weights.registry import WeightsFile, check, convert, local_file, lock, store


def import_file(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    stream: str | None = None,
    sha256: str | None = None,
) -> WeightsFile:
    """Take a weights file that a user brought: recognise, verify, convert, record its hash.

    A file that the manifest knows by its hash needs no other argument. One it does not know needs
    its network, stream and the sha256 that the user trusts.

    Args:
        path: torch checkpoint, safetensors, or the folder of a model of transformers.
        name: network, e.g. ``i3d``.
        stream: ``rgb`` or ``flow``.
        sha256: hash that the file must have.

    Raises:
        WeightsError: the file is not what it should be; nothing is kept of it.
    """
    given = Path(path)
    refuse_checkpoint(given)
    if (given / CONFIG).is_file():
        return _import_folder(given, name)
    if not given.is_file():
        raise WeightsError(f"{given}: no such file")
    found = sha256_of(given)
    if sha256 is not None and found != sha256.strip().lower():
        raise WeightsError(f"{given}: refused, its sha256 is {found}, expected {sha256}")
    item, source = _recognise(given, found, name, stream, trusted=sha256 is not None)
    tensors = convert(item, read_tensors(given), str(path))
    origin = {"source": source.origin if source else "import", "file": given.name, "sha256": found}
    target = local_file(item)
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target):
        return store(item, tensors, origin)


def _import_folder(path: Path, name: str | None) -> WeightsFile:
    """Take a model of transformers, which is a folder."""
    models = {item.name: item for item in networks() if item.model}
    if name not in models:
        raise WeightsError(
            f"{path}: a folder is imported as a model of transformers, say which with --name "
            f"({', '.join(models)}); any other is used in its place: --backbone {path}"
        )
    target = local_file(models[name])
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target):
        import_model(path, target)
    return check(target)


def _recognise(
    path: Path, sha256: str, name: str | None, stream: str | None, trusted: bool
) -> tuple[Network, Origin | None]:
    """The network that a file belongs to, by hash, else by what the user says and trusts."""
    blob = git_blob_id(path)
    asked = [item for item in networks() if name in (None, item.name)]
    asked = [item for item in asked if stream in (None, item.stream) and not item.bundled]
    if not asked:
        network(name or "", stream or "")  # says which there are
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
                f"{path}: refused as {item.name} {item.stream}, {source.content.difference(path)}; "
                f"if you trust this file, add --sha256 {sha256}"
            )
        asked = [item]
    if trusted and len(asked) == 1:
        return asked[0], None
    if trusted:
        raise WeightsError(f"{path}: say which network it is, with --name and --stream")
    raise WeightsError(
        f"{path}: the manifest knows no file with sha256 {sha256}; if you trust this file, say "
        f"--name NETWORK --stream STREAM --sha256 {sha256}"
    )
