"""Help in sections, and the reference of all commands that is generated from it."""

from collections.abc import Iterator

import click

# Every option by its parameter name, in the section that `--help` shows it in. What a command does
# not have is skipped; a test holds that each option is in one section.
SECTIONS = {
    "Input": """labels intervals classes videos video fps grid observations with_modifiers subset
        ground_truth root dedupe allow_trained at shard decoder stall keep_partial""",
    "Features": "backbone streams flow stride quantize precision features_folder no_cache",
    "Model": """model name stream origin replace sha256 prompts head preset recipe recipes heads
        seed seeds steps segments ensemble holdout validate stop_early balanced fix each_fix
        select""",
    "Intervals": "keep min_score min_length refine tiou step draws",
    "Output": """output folder layout top page project into cut exact burn embed picture link_prefix
        as_json json_log log_to compare ablation dry_run overwrite resume force""",
    "Machine": "jobs ray device port no_browser host i_know offline verbose quiet",
}
LAST = "Machine"  # --help too, whose parameter click names
SECTION_OF = {name: section for section, names in SECTIONS.items() for name in names.split()}


class SectionedCommand(click.Command):
    """A command whose options are listed in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options of each section, in the order in which they are declared."""
        found: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
        for parameter in self.get_params(ctx):
            if not isinstance(parameter, click.Option):
                continue  # arguments are in the usage line
            record = parameter.get_help_record(ctx)
            if record is not None:
                found[SECTION_OF.get(parameter.name or "", LAST)].append(record)
        for section, records in found.items():
            if records:
                with formatter.section(section):
                    formatter.write_dl(records)


class SectionedGroup(click.Group):
    """A group of such commands."""

    command_class = SectionedCommand


def reference(root: click.Group) -> str:
    """All commands, their arguments and options as one Markdown text.

    Args:
        root: `basnet` itself.
    """
    texts = [
        "# Commands\n\nGenerated from the code by `python -m basnet_e2e.cli.reference`; every text "
        "is that of `basnet COMMAND --help`.\n"
    ]
    for context in _commands(_context(root, "basnet")):
        texts.append(f"## {context.command_path}\n\n```\n{context.get_help()}\n```\n")
    return "\n".join(texts)


def _commands(parent: click.Context) -> Iterator[click.Context]:
    """Contexts of all commands below a group, groups themselves left out."""
    group = parent.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = _context(command, name, parent)
        if isinstance(command, click.Group):
            yield from _commands(context)
        else:
            yield context


def _context(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """As when the command runs in a terminal of 80 columns."""
    settings = {} if parent else command.context_settings
    return click.Context(command, parent, name, max_content_width=80, **settings)
