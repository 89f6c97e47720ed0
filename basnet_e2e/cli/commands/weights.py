"""`basnet weights`: which networks are here, and how to get the others."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import click

from basnet_e2e.cli.command import Group
from basnet_e2e.cli.options import PATH, offline_option
from extract.backbones.registry import backbone_names, backbone_spec
from weights import registry
from weights.errors import WeightsError
from weights.files import cache_folder
from weights.manifest import network
from weights.registry import Entry, check, entries
from weights.user_files import import_file
from weights.weights_file import WeightsFile

STATES = {"present": "verified"}  # a listed file was checked
COLUMNS = "{:<13} {:<6} {:<8} {:>6}  {}"
DETAIL = "  {:<11} {}"

stream_argument = click.argument("stream", required=False, type=click.Choice(["rgb", "flow"]))


@click.group(cls=Group)
def weights() -> None:
    """List, download, import and check network weights."""


@weights.command("list", epilog="Example: basnet weights list")
@click.argument("name", required=False)
def list_weights(name: str | None) -> None:
    """Show which weights are here and verified, and where the others come from.

    With NAME, show all about that network: training, input, licence, files and hashes.
    """
    if name is not None:
        for entry in _chosen(name, None):
            click.echo("\n".join(_details(entry)))
        return
    click.echo(COLUMNS.format("network", "stream", "state", "MB", "source"))
    states = set()
    for entry in entries():
        state = entry.state
        states.add(state)
        shown = STATES.get(state, state)
        click.echo(COLUMNS.format(entry.name, entry.stream, shown, _megabytes(entry), _from(entry)))
    click.echo(f"cache folder: {cache_folder()}")
    if "missing" in states:
        click.echo(
            "missing weights are downloaded at first use, or by: basnet weights download NAME\n"
            "weights marked 'import' are for you to get: basnet weights import FILE\n"
            "licence, input, accuracy and hashes of a network: basnet weights list NAME"
        )
    if "damaged" in states:
        click.echo("to replace damaged weights: basnet weights download NAME --replace")


def _details(entry: Entry) -> Iterator[str]:
    """All that the manifest says about one stream, line by line."""
    about, state = entry.network, entry.state
    yield f"{about.name} {about.stream}: {about.title}"
    names = about.labels()
    lines = {
        "state": STATES.get(state, state) + ("" if state == "missing" else f", {entry.path}"),
        "trained on": about.trained_on,
        "input": about.preprocessing,
        **_input(about.name),
        "accuracy": about.accuracy,
        "licence": about.licence,
        **({"classes": f"{len(names)}: {', '.join(names[:3])}, ..."} if names else {}),
    }
    yield from (DETAIL.format(topic, text) for topic, text in lines.items())
    for source in about.sources:
        note = "" if source.fetchable else " (import only)"
        yield DETAIL.format("from", f"{source.origin}{note}: {source.file}")
        yield DETAIL.format("", f"  {source.address}")
        hashes = {"sha256": source.content.sha256, "git blob": source.content.git_blob}
        known = [f"{kind} {value}" for kind, value in hashes.items() if value]
        if not known and source.kind != "hub":
            known = ["no known hash: import it with --sha256"]
        yield from (DETAIL.format("", f"  {line}") for line in known)


def _input(name: str) -> dict[str, str]:
    """What a backbone expects of a clip, by topic; nothing if the network is not a backbone."""
    if name not in backbone_names():
        return {}
    spec = backbone_spec(name)
    resize = f"short side {spec.frame_side}"
    if spec.resize is not None and not isinstance(spec.resize.size, int):
        resize = "{} x {} pixels".format(*spec.resize.size)
    mean, deviation = (
        " ".join(f"{value:.4g}" for value in values) for values in (spec.mean, spec.deviation)
    )
    return {
        "snippet": f"{len(spec.seen)} of {spec.length} frames at {float(spec.fps):g} per second",
        "frames": f"{resize}, centre {spec.crop}",
        "colours": f"mean {mean}, deviation {deviation}",
        "feature": f"{spec.dimension} numbers per stream",
    }


def _megabytes(entry: Entry) -> str:
    """Size on this disk, or of the download if it is known."""
    if entry.path.exists():
        files = [entry.path] if entry.path.is_file() else list(entry.path.iterdir())
        return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"
    sources = entry.network.sources
    size = sources[0].size if sources else None
    return f"{size / 1e6:.1f}" if size else "?"


def _from(entry: Entry) -> str:
    """Source of the weights in a few words."""
    if entry.network.bundled:
        return "part of this package"
    if entry.state == "present" and entry.file is not None:
        return f"from {entry.file.source}"
    source = entry.network.sources[0]
    if source.kind == "package":
        return f"package index, {source.file}"
    if source.kind == "torchvision":
        return "the address in torchvision"
    if source.kind == "hub":
        return str(source.url)
    parts = urlsplit(source.url or "")
    owner = "/".join(parts.path.split("/")[:3]) if parts.netloc == "github.com" else ""
    return ("" if source.fetchable else "import, ") + parts.netloc + owner


@weights.command(epilog="Example: basnet weights download i3d rgb")
@click.argument("name")
@stream_argument
@click.option(
    "--from",
    "origin",
    metavar="ORIGIN",
    help="Source to use, e.g. pytorch-i3d. Default: the first that works.",
)
@click.option(
    "--replace", is_flag=True, help="Download again even if the file is here. Default: keep it."
)
@offline_option
def download(name: str, stream: str | None, origin: str | None, replace: bool) -> None:
    """Download, verify and convert the weights of NAME, one stream or all."""
    for entry in _chosen(name, stream):
        found = registry.download(entry.name, entry.stream, origin=origin, replace=replace)
        click.echo(_line(entry, found))


@weights.command("import", epilog="Example: basnet weights import flow_imagenet.pt")
@click.argument("file", type=PATH)
@click.option("--name", metavar="NAME", help="Network of the file, if its hash is unknown.")
@click.option(
    "--stream",
    type=click.Choice(["rgb", "flow"]),
    help="Stream of the file, if its hash is unknown.",
)
@click.option(
    "--sha256", metavar="HASH", help="Hash that the file must have, if none is known for it."
)
def import_weights(file: Path, name: str | None, stream: str | None, sha256: str | None) -> None:
    """Import a weights FILE that you have: torch, safetensors, or a model's folder.

    A file with a known hash needs no option, a folder needs --name.
    """
    found = import_file(file, name=name, stream=stream, sha256=sha256)
    # A folder has no metadata of ours; it is named by the option.
    network = f"{found.meta['name']} {found.meta['stream']}" if "name" in found.meta else name
    click.echo(f"{network}: {found.path}")


@weights.command(epilog="Example: basnet weights verify")
@click.argument("name", required=False)
@stream_argument
def verify(name: str | None, stream: str | None) -> None:
    """Check that weights are unchanged since they were verified. Default: all of them."""
    bad = []
    for entry in _chosen(name, stream):
        if not entry.path.exists():
            if name is not None:
                bad.append(f"{entry.name} {entry.stream} is not here")
            continue
        try:
            click.echo(_line(entry, check(entry.path)))
        except WeightsError as error:
            bad.append(str(error))
    if bad:
        raise WeightsError("; ".join(bad))


@weights.command(epilog="Example: basnet weights path i3d rgb")
@click.argument("name", required=False)
@stream_argument
def path(name: str | None, stream: str | None) -> None:
    """Print the path of the weights of NAME. Default: the cache folder."""
    if name is None:
        click.echo(str(cache_folder()))
        return
    for entry in _chosen(name, stream):
        click.echo(str(registry.resolve(entry.name, entry.stream, offline=True).path))


def _chosen(name: str | None, stream: str | None) -> list[Entry]:
    """Entries of a network, or all; an unknown name is an error that lists the known ones."""
    found = [e for e in entries() if name in (None, e.name) and stream in (None, e.stream)]
    if not found:
        network(name or "", stream or "rgb")
    return found


def _line(entry: Entry, file: WeightsFile) -> str:
    return f"{entry.name} {entry.stream}: {file.path} (content {file.sha256[:16]})"
