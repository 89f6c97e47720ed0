"""`basnet weights`: which networks are here, and how to get the others."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedGroup
from basnet_e2e.cli.options import message_options, offline_option

if TYPE_CHECKING:
    from weights.manifest import Origin
    from weights.registry import Entry
    from weights.weights_file import WeightsFile

WORDS = {"present": "verified"}  # a listed file was checked
COLUMNS = "{:<13} {:<6} {:<8} {:>6}  {}"


@click.group(cls=SectionedGroup)
def weights() -> None:
    """List, download, import and check network weights."""


@weights.command("list", epilog="Example: basnet weights list")
@click.argument("name", required=False)
@message_options
def list_weights(name: str | None) -> None:
    """Show which weights are here and verified, and where the others come from.

    With NAME, show all about that network: training, input, licence, files and hashes.
    """
    from weights.files import cache_folder
    from weights.registry import entries

    if name is not None:
        for entry in _chosen(name, None):
            _describe(entry)
        return
    click.echo(COLUMNS.format("network", "stream", "state", "MB", "source"))
    states = set()
    for entry in entries():
        state = entry.state
        states.add(state)
        click.echo(
            COLUMNS.format(
                entry.name, entry.stream, WORDS.get(state, state), _megabytes(entry), _from(entry)
            )
        )
    click.echo(f"cache folder: {cache_folder()}")
    if "missing" in states:
        click.echo(
            "missing weights are downloaded at first use, or by: basnet weights download NAME"
        )
        click.echo("weights marked 'import' are for you to get: basnet weights import FILE")
        click.echo("licence, input, accuracy and hashes of a network: basnet weights list NAME")
    if "damaged" in states:
        click.echo("to replace damaged weights: basnet weights download NAME --replace")


def _describe(entry: "Entry") -> None:
    """Print all that the manifest says about one stream."""
    network, state = entry.network, entry.state
    click.echo(f"{network.name} {network.stream}: {network.title}")
    here = WORDS.get(state, state) + ("" if state == "missing" else f", {entry.path}")
    lines = {
        "state": here,
        "trained on": network.trained_on,
        "input": network.preprocessing,
        **_input(network.name),
        "accuracy": network.accuracy,
        "licence": network.licence,
    }
    names = network.labels()
    if names:
        lines["classes"] = f"{len(names)}: {', '.join(names[:3])}, ..."
    for topic, text in lines.items():
        click.echo(f"  {topic:<11} {text}")
    for source in network.sources:
        way = "" if source.fetchable else " (import only)"
        click.echo(f"  {'from':<11} {source.origin}{way}: {source.file}")
        click.echo(f"  {'':<11}   {source.address}")
        content = source.content
        hashes = {"sha256": content.sha256, "git blob": content.git_blob}
        known = [f"{kind} {value}" for kind, value in hashes.items() if value]
        unknown = ["no known hash: import it with --sha256"]
        for line in known or ([] if source.kind == "hub" else unknown):
            click.echo(f"  {'':<11}   {line}")


def _input(name: str) -> dict[str, str]:
    """What a backbone expects of a clip, by topic; nothing if the network is not a backbone."""
    from extract.backbones.registry import backbone_names, backbone_spec

    if name not in backbone_names():
        return {}
    spec = backbone_spec(name)
    resize = f"short side {spec.frame_side}"
    if spec.resize is not None and not isinstance(spec.resize.size, int):
        resize = "{} x {} pixels".format(*spec.resize.size)
    colours = (" ".join(f"{x:.4g}" for x in three) for three in (spec.mean, spec.deviation))
    return {
        "snippet": f"{len(spec.seen)} of {spec.length} frames at {float(spec.fps):g} per second",
        "frames": f"{resize}, centre {spec.crop}",
        "colours": "mean {}, deviation {}".format(*colours),
        "feature": f"{spec.dimension} numbers per stream",
    }


def _megabytes(entry: "Entry") -> str:
    """Size on this disk, or of the download if it is known."""
    if entry.path.exists():
        files = [entry.path] if entry.path.is_file() else list(entry.path.iterdir())
        return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"
    sources = entry.network.sources
    size = sources[0].size if sources else None
    return f"{size / 1e6:.1f}" if size else "?"


def _from(entry: "Entry") -> str:
    """Source of the weights in a few words."""
    if entry.network.bundled:
        return "part of this package"
    if entry.state == "present" and entry.file is not None:
        return f"from {entry.file.source}"
    return _place(entry.network.sources[0])


def _place(source: "Origin") -> str:
    from urllib.parse import urlsplit

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
@click.argument("stream", required=False, type=click.Choice(["rgb", "flow"]))
@click.option(
    "--from",
    "origin",
    metavar="ORIGIN",
    help="Source to use, e.g. pytorch-i3d. Default: the first that works.",
)
@click.option("--replace", is_flag=True, help="Download again even if the file is here.")
@offline_option
@message_options
def download(name: str, stream: str | None, origin: str | None, replace: bool) -> None:
    """Download, verify and convert the weights of NAME, one stream or all."""
    from weights import registry

    for entry in _chosen(name, stream):
        found = registry.download(entry.name, entry.stream, origin=origin, replace=replace)
        click.echo(_line(entry, found))


@weights.command("import", epilog="Example: basnet weights import flow_imagenet.pt")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Network of the file, if its hash is unknown.")
@click.option(
    "--stream",
    type=click.Choice(["rgb", "flow"]),
    help="Stream of the file, if its hash is unknown.",
)
@click.option("--sha256", help="Hash that the file must have, if none is known.")
@message_options
def import_weights(file: Path, name: str | None, stream: str | None, sha256: str | None) -> None:
    """Import a weights FILE that you have: torch, safetensors, or a model's folder.

    A file with a known hash needs no option, a folder needs --name.
    """
    from weights.user_files import import_file

    found = import_file(file, name=name, stream=stream, sha256=sha256)
    # A folder has no metadata of ours; it is named by the option.
    network = f"{found.meta['name']} {found.meta['stream']}" if "name" in found.meta else name
    click.echo(f"{network}: {found.path}")


@weights.command(epilog="Example: basnet weights verify")
@click.argument("name", required=False)
@click.argument("stream", required=False, type=click.Choice(["rgb", "flow"]))
@message_options
def verify(name: str | None, stream: str | None) -> None:
    """Check that weights are unchanged since they were verified. Default: all of them."""
    from weights.errors import WeightsError
    from weights.registry import check

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
@click.argument("stream", required=False, type=click.Choice(["rgb", "flow"]))
@message_options
def path(name: str | None, stream: str | None) -> None:
    """Print the path of the weights of NAME. Default: the cache folder."""
    from weights.files import cache_folder
    from weights.registry import resolve

    if name is None:
        click.echo(str(cache_folder()))
        return
    for entry in _chosen(name, stream):
        click.echo(str(resolve(entry.name, entry.stream, offline=True).path))


def _chosen(name: str | None, stream: str | None) -> "list[Entry]":
    """Entries of a network, or all; an unknown name is an error that lists the known ones."""
    from weights.manifest import network
    from weights.registry import entries

    found = [e for e in entries() if name in (None, e.name) and stream in (None, e.stream)]
    if not found:
        network(name or "", stream or "rgb")
    return found


def _line(entry: "Entry", file: "WeightsFile") -> str:
    return f"{entry.name} {entry.stream}: {file.path} (content {file.sha256[:16]})"
