"""The reference of all commands: ``python -m basnet_e2e.cli.reference`` prints it."""

from collections.abc import Iterator

import click

from basnet_e2e.cli import basnet


def reference(root: click.Group) -> str:
    """All commands, their arguments and options as one Markdown text.

    Args:
        root: `basnet` itself.
    """
    texts = [
        "# Commands\n\nGenerated from the code by `python -m basnet_e2e.cli.reference`; every text "
        "is that of `basnet COMMAND --help`.\n"
    ]
    # As in a terminal of 80 columns.
    context = click.Context(root, info_name="basnet", max_content_width=80, **root.context_settings)
    for command in _commands(context):
        texts.append(f"## {command.command_path}\n\n```\n{command.get_help()}\n```\n")
    return "\n".join(texts)


def _commands(parent: click.Context) -> Iterator[click.Context]:
    """Contexts of all commands below a group, groups themselves left out."""
    group = parent.command
    if not isinstance(group, click.Group):
        yield parent
        return
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        yield from _commands(click.Context(command, parent, name, max_content_width=80))


if __name__ == "__main__":
    click.echo(reference(basnet), nl=False)
