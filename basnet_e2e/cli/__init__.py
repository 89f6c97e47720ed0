"""The command line: one module per command, each imported only when its command runs."""

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from basnet_e2e.cli.command import CONTEXT
from basnet_e2e.display import on_one_line
from basnet_e2e.errors import BasnetError
from basnet_e2e.version import __version__
from extract.errors import ExtractError
from extract.machine.stop_signals import Terminated, sigterm_as_ctrl_c
from weights.errors import WeightsError

# Section -> command -> line of help. The lines are here so that `basnet --help` need not import the
# commands, some of which import torch.
SECTIONS = {
    "Commands": {
        "localize": "Find action intervals in videos (JSON).",
        "extract": "Turn videos into snippet features.",
        "train": "Learn actions from features and labels.",
        "studio": "Label, train, look and correct in one local page.",
    },
    "First steps": {
        "try": "Look for 400 known actions in one video.",
        "demo": "Run every stage on generated videos, offline.",
        "doctor": "Check this installation and this machine.",
    },
    "Labels": {
        "labels": "Write a label file to fill in, or check one.",
        "import": "Read labels that people made in other tools.",
        "agreement": "Compare two annotations: Cohen's kappa.",
    },
    "Results": {
        "report": "Make pages to look at and correct results.",
        "export": "Write features or intervals in other formats.",
        "budget": "Say how often and how long each class happens.",
        "evaluate": "Score intervals against ground truth.",
        "classify": "Name the actions of whole videos.",
        "reproduce": "Compute the tables of the paper.",
    },
    "Files": {
        "inspect": "Say what a model, feature file or result is.",
        "weights": "List, fetch and check network weights.",
    },
}
COMMANDS = {name: line for commands in SECTIONS.values() for name, line in commands.items()}
DISK_FAILED, INTERRUPTED, TERMINATED = 1, 130, 143  # exit codes
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class Stopped(Exception):
    """A command was stopped by Ctrl-C or SIGTERM and has cleaned up.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, cause: KeyboardInterrupt) -> None:
        terminated = isinstance(cause, Terminated)
        self.exit_code = TERMINATED if terminated else INTERRUPTED
        text = "stopped by SIGTERM" if terminated else "interrupted"
        # A command adds by ``add_note`` what part of its work is done.
        super().__init__(": ".join([text, *getattr(cause, "__notes__", ())]))


class Basnet(click.Group):
    """Group that imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `basnet --help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        attribute = f"{cmd_name}_" if cmd_name in ("try", "import") else cmd_name  # keywords
        module = importlib.import_module(f"basnet_e2e.cli.commands.{attribute}")
        command = getattr(module, attribute)
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; Ctrl-C and SIGTERM leave it as one exception."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Stopped(error) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a mistyped name is answered with the nearest valid one."""
        if args and args[0] not in COMMANDS:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"commands: {', '.join(COMMANDS)}"
            raise click.UsageError(f"no command '{args[0]}'; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(f"{name:<9}", line) for name, line in commands.items()])


def _usage_message(error: click.ClickException, arguments: Sequence[str]) -> str:
    """A mistake in the arguments, and where to look up the answer."""
    message = error.format_message().rstrip(".")
    for argument in arguments:
        # Click took the name of a file for options.
        if argument.startswith("-") and os.path.lexists(argument):
            return f"{message}; for the file of that name write ./{argument}"
    context = getattr(error, "ctx", None)
    return f"{message} (see '{context.command_path} --help')" if context else message


def _disk_message(error: OSError) -> str:
    """What is wrong with which file or folder, and what a command added by ``add_note``."""
    # Of all that is written, only standard output has no name.
    path = error.filename or ("standard output" if error.errno in DISK_FULL else None)
    text = f"{path}: {error.strerror}" if path and error.strerror else str(error)
    return ": ".join([text, *getattr(error, "__notes__", ())])


HELP = """Raw video in, action intervals out.

\b
basnet localize video.mp4               400 known actions, no training needed
basnet studio VIDEOS                    label, train and correct in one page
basnet extract VIDEOS -o FEATURES       the same by commands: features,
basnet train FEATURES --labels labels.csv -o model.safetensors
basnet localize video.mp4 -m model.safetensors
"""


@click.command(
    cls=Basnet,
    help=HELP,
    context_settings=CONTEXT,
    epilog="'basnet COMMAND --help' shows each command's options and an example.",
)
@click.version_option(__version__, prog_name="basnet")
def basnet() -> None:
    """Root of the commands; its help is the text above."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code: 0, 1, 2, 130 (Ctrl-C) or 143 (SIGTERM).

    Args:
        arguments: default: those of the process.
    """
    with sigterm_as_ctrl_c():
        code = _run(arguments)
    sys.exit(code if isinstance(code, int) else 0)


def _run(arguments: Sequence[str] | None) -> object:
    try:
        return basnet.main(args=arguments, prog_name="basnet", standalone_mode=False)
    except Stopped as stop:
        click.echo(str(stop), err=True)
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):  # before a command began
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        given = sys.argv[1:] if arguments is None else arguments
        text, code = _usage_message(error, given), error.exit_code
    except OSError as error:
        text, code = _disk_message(error), DISK_FAILED
    except (BasnetError, ExtractError, WeightsError) as error:
        text, code = on_one_line(str(error)), error.exit_code
    click.echo(f"error: {text}", err=True)
    return code
