"""Options of the commands that read annotation files of any tool."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from basnet_e2e.cli.options import frame_rate_option

Command = TypeVar("Command", bound=Callable[..., Any])


def annotation_options(command: Command) -> Command:
    """Add --videos, --fps, --observation and --with-modifiers; the command gets one ``hints``."""

    @functools.wraps(command)
    def wrapper(
        *args: Any,
        videos: Path | None,
        fps: Any,
        observations: tuple[str, ...],
        with_modifiers: bool,
        **kwargs: Any,
    ) -> Any:
        from basnet_e2e.interchange.annotated import Hints

        return command(*args, hints=Hints(fps, videos, with_modifiers, observations), **kwargs)

    options = (
        click.option(
            "--videos",
            type=click.Path(path_type=Path),
            help="The videos, for FiftyOne and DeepEthogram, which count their frames. Default for "
            "DeepEthogram: beside its tables.",
        ),
        frame_rate_option("Frames per second that Label Studio or DeepEthogram counted."),
        click.option(
            "--observation",
            "observations",
            multiple=True,
            metavar="NAME",
            help="Read only this observation of a BORIS project; may be repeated. Default: all.",
        ),
        click.option(
            "--with-modifiers",
            is_flag=True,
            help="Make 'CODE [modifier]' a class of its own: modifiers of BORIS, choices on a "
            "region of Label Studio. Default: CODE alone.",
        ),
    )
    wrapped: Any = wrapper
    for option in reversed(options):
        wrapped = option(wrapped)
    result: Command = wrapped
    return result
