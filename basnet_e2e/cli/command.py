"""What all commands have in common: help in sections with an example, -v and -q."""

from collections.abc import Callable
from typing import Any

import click

from basnet_e2e.cli.messages import set_up_messages

# Each option's parameter name, in the section in which `--help` lists it.
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
LAST = "Machine"  # --help is here too; click names its parameter
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}
SECTION_OF = {name: section for section, names in SECTIONS.items() for name in names.split()}


class Command(click.Command):
    """A command whose options are listed in sections, with -v and -q."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.context_settings = CONTEXT
        self.params += [
            click.Option(["-v", "--verbose"], count=True, help="Show more on stderr."),
            click.Option(["-q", "--quiet"], is_flag=True, help="Show only warnings and errors."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its messages go to stderr."""
        set_up_messages(ctx.params.pop("verbose"), ctx.params.pop("quiet"))
        return super().invoke(ctx)

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


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def command(example: str, name: str | None = None) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command.

    Args:
        example: a call of it, shown at the end of its help.
        name: default: the function's.
    """
    return click.command(name, cls=Command, epilog=f"Example: {example}")
