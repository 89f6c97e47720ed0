"""Print the reference of all commands: ``python -m basnet_e2e.cli.reference``."""

import click

from basnet_e2e.cli import basnet
from basnet_e2e.cli.help import reference

if __name__ == "__main__":
    click.echo(reference(basnet), nl=False)
