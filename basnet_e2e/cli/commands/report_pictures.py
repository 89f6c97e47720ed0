"""Pictures for papers, a part of `basnet report`: its options, and drawing one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from basnet_e2e.cli.options import OneOf

SUFFIXES = (".png", ".svg", ".pdf")


def _names() -> list[str]:
    from basnet_e2e.report.figures.registry import PICTURES

    return list(PICTURES)


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --picture and what only pictures need: --model, --video, --at and --flow."""
    options = (
        click.option(
            "--picture",
            type=OneOf("name", _names),
            help="Draw one picture instead: video or cas (of a result with its evidence, or of "
            "features with --model), snippet (of a video), training (of a log), "
            "ethogram (of results or annotations), map (of 'evaluate --json').",
        ),
        click.option(
            "-m",
            "--model",
            type=click.Path(path_type=Path),
            help="Model whose view of features is drawn.",
        ),
        click.option("--video", metavar="ID", help="Video to draw, if there are several."),
        click.option(
            "--at",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Moment of the snippet. Default: the middle of the video.",
        ),
        click.option("--flow", metavar="METHOD", help="Flow of the snippet. Default: tvl1."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def draw_picture(
    name: str, inputs: Sequence[Path], output: Path, *, force: bool = False, **options: Any
) -> None:
    """Draw a picture into a file.

    Args:
        name: of the table of pictures.
        inputs: the files it is drawn from.
        output: .png, .svg or .pdf.
        force: replace a file of another kind.
        options: further fields of ``report.pictures.Request``.

    Raises:
        BasnetError: something is missing, cannot be read, or would be overwritten.
    """
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_output
    from basnet_e2e.report.figures.canvas import save_picture
    from basnet_e2e.report.figures.registry import Request, find_picture

    if output.suffix.lower() not in SUFFIXES:
        raise click.BadParameter(f"{output} is not a picture; name a .png, .svg or .pdf file")
    request = Request(tuple(inputs), **options)
    read = [*inputs, request.model, request.ground_truth]
    check_output(output, Kind.PICTURE, read, force=force)
    save_picture(find_picture(name).draw(request), output)
