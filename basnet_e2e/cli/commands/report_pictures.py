"""Pictures for papers, a part of `basnet report`: its options, and drawing one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.options import PATH, options
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_output
from basnet_e2e.report.figures.canvas import save_picture
from basnet_e2e.report.figures.registry import PICTURES, Request, find_picture

SUFFIXES = (".png", ".svg", ".pdf")

picture_options = options(
    click.option(
        "--picture",
        type=click.Choice(list(PICTURES)),
        metavar="NAME",
        help="Draw one picture instead: video or cas (of a result with its evidence, or of "
        "features with --model), snippet (of a video), training (of a log), ethogram (of results "
        "or annotations), map (of 'evaluate --json').",
    ),
    click.option(
        "-m", "--model", type=PATH, help="With --picture: model whose view of features is drawn."
    ),
    click.option(
        "--video", metavar="ID", help="With --picture: video to draw, if there are several."
    ),
    click.option(
        "--at",
        type=click.FloatRange(min=0),
        metavar="SECONDS",
        help="With --picture snippet: its time. Default: the middle of the video.",
    ),
    click.option(
        "--flow",
        metavar="METHOD",
        help="With --picture snippet: optical flow to draw. Default: tvl1.",
    ),
)


def draw_picture(
    name: str, inputs: Sequence[Path], output: Path, *, force: bool = False, **fields: Any
) -> None:
    """Draw a picture into a file.

    Args:
        name: one of ``PICTURES``.
        inputs: the files it is drawn from.
        output: .png, .svg or .pdf.
        force: replace a file of another kind.
        fields: further fields of ``Request``.

    Raises:
        BasnetError: something is missing, cannot be read, or would be overwritten.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{output} is not a picture; name a .png, .svg or .pdf file")
    request = Request(tuple(inputs), **fields)
    read = [*inputs, request.model, request.ground_truth]
    check_output(output, Kind.PICTURE, read, force=force)
    save_picture(find_picture(name).draw(request), output)
