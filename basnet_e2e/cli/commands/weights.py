"""`basnet weights`: which networks are here, and how to get those that are not."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedGroup
from basnet_e2e.cli.options import message_options, offline_option

if TYPE_CHECKING:
    from weights.manifest import Origin
    from weights.registry import Entry
    from weights.weights_file import WeightsFile

WORDS = {"present": "verified"}  # a file that is here was checked before it is listed
COLUMNS = "{:<13} {:<6} {:<8} {:>6}  {}"


@click.group(cls=SectionedGroup)
def weights() -> None:
    """List, fetch, import and check network weights."""


@weights.command("list", epilog="Example: basnet weights list")
@click.argument("name", required=False)
@message_options
def list_weights(name: str | None) -> None:
    """Show which weights are here and verified, and where the others would come from.

    With NAME, all that is known of that network: training, input, licence, files and hashes.
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
        click.echo("missing weights are fetched at first use, or by: basnet weights download NAME")
        click.echo("those marked 'import' are brought by you: basnet weights import FILE")
        click.echo("licence, input, accuracy and hashes of one: basnet weights list NAME")
    if "damaged" in states:
        click.echo("damaged weights are fetched again by: basnet weights download NAME --replace")


def _describe(entry: "Entry") -> None:
    """All that the manifest says of one stream, a line each."""
    network, state = entry.network, entry.state
    click.echo(f"{network.name} {network.stream}: {network.title}")
    here = WORDS.get(state, state) + ("" if state == "missing" else f", {entry.path}")
    lines = {
        "state": here,
        "trained on": network.trained_on,
        "input": network.preprocessing,
        **_record(network.name),
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
        unknown = ["no hash is known: import it with --sha256"]
        for line in known or ([] if source.kind == "hub" else unknown):
            click.echo(f"  {'':<11}   {line}")


def _record(name: str) -> dict[str, str]:
    """What a backbone's record holds, by topic; nothing of a network that is no backbone."""
    from extract.backbones.registry import backbone_names, backbone_record

    if name not in backbone_names():
        return {}
    record = backbone_record(name)
    seen = record.frames or record.length // record.step
    resize = f"short side {record.frame_side}"
    if record.resize is not None and not isinstance(record.resize.size, int):
        resize = "{} x {} pixels".format(*record.resize.size)
    colours = (" ".join(f"{x:.4g}" for x in three) for three in (record.mean, record.deviation))
    return {
        "snippet": f"{seen} of {record.length} frames at {float(record.fps):g} a second",
        "frames": f"{resize}, centre {record.crop}",
        "colours": "mean {}, deviation {}".format(*colours),
        "feature": f"{record.dimension} numbers a stream",
    }


def _megabytes(entry: "Entry") -> str:
    """Size on this disk, or else of the download where it is known."""
    if entry.path.exists():
        files = [entry.path] if entry.path.is_file() else list(entry.path.iterdir())
        return f"{sum(file.stat().st_size for file in files) / 1e6:.1f}"
    sources = entry.network.sources
    size = sources[0].given_content.size if sources else None
    return f"{size / 1e6:.1f}" if size else "?"


def _from(entry: "Entry") -> str:
    """Where the weights came from, or would come from, in a few words."""
    if entry.network.bundled:
        return "part of this package"
    if entry.state == "present" and entry.file is not None:
        return f"from {entry.file.source}"
    return _place(entry.network.sources[0])


def _place(source: "Origin") -> str:
    from urllib.parse import urlsplit

    if source.package is not None:
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
@click.option("--from", "origin", metavar="ORIGIN", help="A certain source, e.g. pytorch-i3d.")
@click.option("--replace", is_flag=True, help="Fetch again even if the file is here.")
@offline_option
@message_options
def download(name: str, stream: str | None, origin: str | None, replace: bool) -> None:
    """Fetch, verify and convert the weights of NAME, of one stream or of all."""
    from weights import registry

    for entry in _chosen(name, stream):
        found = registry.download(entry.name, entry.stream, origin=origin, replace=replace)
        click.echo(_line(entry, found))


@weights.command("import", epilog="Example: basnet weights import flow_imagenet.pt")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Network, where the file is not known by its hash.")
@click.option("--stream", type=click.Choice(["rgb", "flow"]), help="Its stream.")
@click.option("--sha256", help="Hash that the file must have, where the manifest knows none.")
@message_options
def import_weights(file: Path, name: str | None, stream: str | None, sha256: str | None) -> None:
    """Take a weights FILE that you have: a torch or safetensors file, or a model's folder.

    A file that the manifest knows by its hash needs no option, a folder needs --name.
    """
    from weights.user_files import import_file

    found = import_file(file, name=name, stream=stream, sha256=sha256)
    click.echo(f"{found.meta['name']} {found.meta['stream']}: {found.path}")


@weights.command(epilog="Example: basnet weights verify")
@click.argument("name", required=False)
@click.argument("stream", required=False, type=click.Choice(["rgb", "flow"]))
@message_options
def verify(name: str | None, stream: str | None) -> None:
    """Check that the weights here hold what was once verified; all of them without NAME."""
    from weights.errors import WeightsError
    from weights.weights_file import check

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
    """Print the file of the weights of NAME, or the cache folder."""
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
