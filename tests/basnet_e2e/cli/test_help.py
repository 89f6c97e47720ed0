"""Help in sections, and the reference that is generated from it."""

from pathlib import Path

import click
import pytest

from basnet_e2e.cli import COMMANDS, basnet
from basnet_e2e.cli.command import SECTION_OF, SECTIONS
from basnet_e2e.cli.reference import reference

REFERENCE = Path(__file__).resolve().parents[3] / ".github" / "docs" / "commands.md"


def commands(group=basnet, name="basnet"):
    context = click.Context(group, info_name=name)
    for inner in group.list_commands(context):
        command = group.get_command(context, inner)
        if isinstance(command, click.Group):
            yield from commands(command, inner)
        else:
            yield command


def test_every_option_is_in_one_section():
    names = " ".join(SECTIONS.values()).split()
    assert len(names) == len(set(names))
    used = {
        option.name
        for command in commands()
        for option in command.params
        if isinstance(option, click.Option)
    }
    assert used == set(names) == set(SECTION_OF)


def test_every_option_of_a_command_is_in_its_help():
    for command in commands():
        context = click.Context(command, info_name=command.name, **basnet.context_settings)
        text = command.get_help(context)
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in text, (command.name, option.name)


def test_the_main_commands_come_first():
    assert list(COMMANDS)[:4] == ["localize", "extract", "train", "studio"]
    text = basnet.get_help(click.Context(basnet, info_name="basnet", **basnet.context_settings))
    assert text.index("Commands:") < text.index("First steps:") < text.index("Labels:")
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.skipif(not REFERENCE.is_file(), reason="not in a checkout")
def test_the_reference_is_that_of_the_code():
    made = reference(basnet)
    assert REFERENCE.read_text("utf-8") == made, "python -m basnet_e2e.cli.reference writes it"
    assert max(map(len, made.splitlines())) <= 120
