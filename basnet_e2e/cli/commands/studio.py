"""`basnet studio`: label, train, look and correct in one local page."""

import ipaddress
import logging
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import StreamList, message_options

log = logging.getLogger(__name__)
LOOPBACK = "127.0.0.1"


@click.command(cls=SectionedCommand, epilog="Example: basnet studio videos/")
@click.argument("videos", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "-o",
    "--output",
    "project",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="PROJECT",
    show_default="VIDEOS-studio beside the videos",
    help="Folder of labels, features, model and results.",
)
@click.option("--backbone", show_default="i3d", help="Network that makes features.")
@click.option(
    "--streams",
    type=StreamList(),
    show_default="rgb",
    help="rgb, flow or both; both find more and take about five times as long.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    show_default="16",
    help="Frames between snippets; fewer place borders finer and take longer.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="any that is free",
    help="Port of the page.",
)
@click.option("--no-browser", is_flag=True, help="Only print the address of the page.")
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    help="Address to listen on; another than this machine's own needs --i-know.",
)
@click.option(
    "--i-know",
    is_flag=True,
    help="With --host: whoever has the address can see the videos and change the labels, and all "
    "of it travels unencrypted.",
)
@message_options
def studio(
    videos: Path,
    project: Path | None,
    port: int,
    no_browser: bool,
    host: str,
    i_know: bool,
    **how: Any,
) -> None:
    """Label the VIDEOS of a folder, train on what is labelled, correct what the model finds.

    All in one page of your browser, which talks to this machine only. Everything is kept as plain
    files that the other commands read (labels.csv, intervals.csv, features/, model.safetensors,
    results/); the same command continues where you stopped. Ctrl-C ends it.
    """
    if not _is_loopback(host) and not i_know:
        raise click.UsageError(
            f"--host {host} lets other machines in: whoever has the address can see the videos and "
            "change the labels, unencrypted; add --i-know if that is what you want"
        )
    # The options must be right before what they need is loaded.
    from basnet_e2e.studio.project.project import settings_of
    from basnet_e2e.studio.server import serve
    from extract.backbones.registry import backbone_spec

    folder = project or videos.resolve().with_name(f"{videos.resolve().name}-studio")
    if folder.resolve().is_relative_to(videos.resolve()):
        raise click.UsageError(f"{folder} lies among the videos; name another folder with -o")
    settings = settings_of(folder, **how)
    backbone_spec(settings["backbone"])
    serve(
        videos,
        folder,
        settings,
        host=host,
        port=port,
        browser=not no_browser,
        on_start=lambda address: _announce(address, folder),
    )


def _announce(address: str, project: Path) -> None:
    click.echo(f"studio: {address}")
    log.info("project: %s (Ctrl-C ends; the same command continues)", project)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
