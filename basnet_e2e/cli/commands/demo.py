"""`basnet demo`: the whole way on generated videos."""

import sys
from pathlib import Path

import click

from basnet_e2e.cli.help import SectionedCommand
from basnet_e2e.cli.options import message_options


@click.command(cls=SectionedCommand, epilog="Example: basnet demo basnet-demo --compare")
@click.argument(
    "folder",
    metavar="[DIR]",
    default="basnet-demo",
    type=click.Path(path_type=Path, file_okay=False),
)
@click.option(
    "--compare",
    is_flag=True,
    help="More videos, and each stream alone beside both. 5 minutes.",
)
@click.option("--ablation", is_flag=True, help="Compare the paper's four recipes instead.")
@message_options
def demo(folder: Path, compare: bool, ablation: bool) -> None:
    """Generate videos and run every stage on them, printing each command. Under 2 minutes.

    Everything is written to DIR (default: basnet-demo); a second run continues the first. Nothing
    is downloaded.
    """
    from basnet_e2e.demo.steps import Demo

    def echo(line: str) -> None:
        click.echo(line)
        # The commands write to the same terminal or log: keep the lines in order.
        sys.stdout.flush()

    Demo(folder, echo).run(compare=compare, ablation=ablation)
