"""`basnet studio`: label, train, look and correct in one local page."""

import ipaddress
import logging
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import FOLDER, Number, backbone_option, streams_option, stride_option
from basnet_e2e.studio.project.project import settings_of
from basnet_e2e.studio.server import LOOPBACK, serve
from extract.backbones.registry import backbone_spec

log = logging.getLogger(__name__)


@command("basnet studio videos/")
@click.argument("videos", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option(
    "-o",
    "--output",
    "project",
    type=FOLDER,
    metavar="PROJECT",
    show_default="VIDEOS-studio beside the videos",
    help="Folder of labels, features, model and results.",
)
@backbone_option("Network that makes features", show_default="i3d")
@streams_option(show_default="rgb")
@stride_option(show_default="16")
@click.option(
    "--port",
    type=Number(0, 65535),
    default=0,
    show_default="any that is free",
    help="Port of the page.",
)
@click.option(
    "--no-browser", is_flag=True, help="Only print the address of the page. Default: open it."
)
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on; one that other machines reach needs --i-know.",
)
@click.option(
    "--i-know",
    is_flag=True,
    help="With --host: everybody who has the address can see the videos and change the labels, and "
    "all data travels unencrypted.",
)
def studio(
    videos: Path,
    project: Path | None,
    port: int,
    no_browser: bool,
    host: str,
    i_know: bool,
    **chosen: Any,
) -> None:
    """Label the VIDEOS of a folder, train on the labels, correct what the model finds.

    All in one page of your browser, which talks to this machine only. Everything is kept as plain
    files that the other commands read (labels.csv, intervals.csv, features/, model.safetensors,
    results/). Ctrl-C ends it; run the same command to continue.
    """
    if not _is_loopback(host) and not i_know:
        raise click.UsageError(
            f"--host {host} lets other machines in: everybody who has the address can see the "
            "videos and change the labels, unencrypted; add --i-know if that is what you want"
        )
    folder = project or videos.resolve().with_name(f"{videos.resolve().name}-studio")
    if folder.resolve().is_relative_to(videos.resolve()):
        raise click.UsageError(f"{folder} is among the videos; name another folder with -o")
    settings = settings_of(folder, **chosen)
    backbone_spec(settings["backbone"])  # an unknown name is an error
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
    log.info("project: %s (Ctrl-C ends; run the same command to continue)", project)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
