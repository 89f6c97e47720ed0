"""`basnet export`: features and intervals in the formats of other programs."""

import logging
from pathlib import Path

import click

from basnet_e2e.cli.common import force_option, message_options

log = logging.getLogger(__name__)


@click.group()
def export() -> None:
    """Write features or intervals in formats that other programs read."""


@export.command(epilog="Example: basnet export features FEATURES -o arrays --layout basnet")
@click.argument("features", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write into.",
)
@click.option(
    "--layout",
    type=click.Choice(["basnet", "actionformer", "npz"]),
    default="basnet",
    show_default=True,
    help="{rgb,flow}/<video>.npy, <video>.npy with both side by side, or <video>.npz.",
)
@force_option
@message_options
def features(features: Path, output: Path, layout: str, force: bool) -> None:
    """Write a folder of FEATURES as plain arrays."""
    from basnet_e2e.data.naming import counted
    from basnet_e2e.export.features import export_features

    count = export_features(features, output, layout, force=force)
    log.info("features of %s written to %s", counted(count, "video"), output)


@export.command(epilog="Example: basnet export intervals result.json --format srt -o video.srt")
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else stdout."
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["json", "activitynet", "csv", "srt"]),
    default="csv",
    show_default=True,
    help="srt holds the intervals of one video as subtitles.",
)
@force_option
@message_options
def intervals(result: Path, output: Path | None, layout: str, force: bool) -> None:
    """Write a RESULT (of 'basnet localize' or ActivityNet-style) in another format."""
    from basnet_e2e.data.kinds import Kind
    from basnet_e2e.data.outputs import check_output
    from basnet_e2e.data.predictions import read_results
    from basnet_e2e.export.table import format_results
    from weights.files import write_text

    if output is not None:
        kinds = {"csv": Kind.TABLE, "srt": Kind.SUBTITLES}
        check_output(output, kinds.get(layout, Kind.RESULT), [result], force=force)
    found, failed = read_results(result)
    if layout == "json" and not all(one.file for one in found):
        log.warning(
            "%s does not say how long its videos are: the last interval's end is written", result
        )
    text = format_results(found, failed, layout)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
        log.info("%s written", output)
