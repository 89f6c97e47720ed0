"""`basnet demo`: all stages on generated videos."""

import functools
from pathlib import Path

import click

from basnet_e2e.cli.command import command
from basnet_e2e.cli.options import FOLDER
from basnet_e2e.demo.steps import Demo


@command("basnet demo basnet-demo --compare")
@click.argument("folder", metavar="[DIR]", default="basnet-demo", type=FOLDER)
@click.option(
    "--compare",
    is_flag=True,
    help="Use more videos, and also test each stream alone; takes 5 minutes.",
)
@click.option(
    "--ablation",
    is_flag=True,
    help="Compare the paper's four recipes on the same features instead.",
)
def demo(folder: Path, compare: bool, ablation: bool) -> None:
    """Generate videos and run every stage on them, printing each command. Under 2 minutes.

    Everything is written to DIR (default: basnet-demo); a second run continues the first. Nothing
    is downloaded.
    """
    # Flushed, because the commands write to the same terminal or log.
    Demo(folder, functools.partial(print, flush=True)).run(compare=compare, ablation=ablation)
