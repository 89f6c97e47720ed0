"""What the commands share: options, messages on stderr, progress."""

import functools
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from basnet_e2e.display import on_one_line
from extract.streams import STREAMS

if TYPE_CHECKING:
    from extract.sources.find import VideoInput
    from extract.sources.urls import Url

Command = TypeVar("Command", bound=Callable[..., Any])
MOST_FRAMES_PER_SECOND = 1000


class _Lines(logging.Formatter):
    """Log records as one line each; warnings and errors say that they are."""

    def format(self, record: logging.LogRecord) -> str:
        text = on_one_line(record.getMessage())
        return text if record.levelno <= logging.INFO else f"{record.levelname.lower()}: {text}"


class _Stderr(logging.Handler):
    """Write to whatever stderr is now, above a running progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        # Not by click.echo, which finds its way around the bar's stand-in for stderr and would
        # write into the bar.
        print(self.format(record), file=sys.stderr, flush=True)


def set_up_messages(verbose: int, quiet: bool) -> None:
    """Send the messages of the three packages to stderr; -v adds details, -q keeps warnings."""
    level = logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO
    handler = _Stderr()
    handler.setFormatter(_Lines())
    for name in ("basnet_e2e", "extract", "weights"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def message_options(command: Command) -> Command:
    """Add -v and -q; the command itself does not see them."""

    @click.option("-v", "--verbose", count=True, help="Say more on stderr.")
    @click.option("-q", "--quiet", is_flag=True, help="Only warnings and errors on stderr.")
    @functools.wraps(command)
    def wrapper(*args: Any, verbose: int, quiet: bool, **kwargs: Any) -> Any:
        set_up_messages(verbose, quiet)
        return command(*args, **kwargs)

    return wrapper  # type: ignore[return-value]  # functools.wraps keeps the signature for click


def device_option(command: Command) -> Command:
    """Add --device."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="auto|cpu|cuda[:N]",
        callback=_check_device,
        help="Where networks run; auto takes a GPU if there is one.",
    )(command)


def precision_option(default: str | None, shown: str | bool = True) -> Callable[[Command], Command]:
    """Add --precision.

    Args:
        default: the default.
        shown: what the help says of that.
    """
    return click.option(
        "--precision",
        type=OneOf("precision", _precisions),
        default=default,
        show_default=shown,
        help="Network precision on a GPU: float32, tf32, bfloat16 or float16. Lower is faster "
        "and rounds features.",
    )


def _precisions() -> Sequence[str]:
    from extract.inference.precision import PRECISIONS

    return PRECISIONS


def _check_device(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    head, _, index = value.partition(":")
    valid = value in ("auto", "cpu") or (head == "cuda" and (not index or index.isdigit()))
    if not valid or value.endswith(":"):
        raise click.BadParameter(f"{value!r} is not a device; choose auto, cpu, cuda or cuda:N")
    return value


def offline_option(command: Command) -> Command:
    """Add --offline, which holds for everything the command does."""

    def set_offline(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
        if value:
            os.environ["BASNET_OFFLINE"] = "1"
        return value

    return click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=set_offline,
        help="Never download; missing weights are an error.",
    )(command)


def frame_rate_option(help: str) -> Callable[[Command], Command]:
    """Add --fps, an exact number of frames per second or None."""
    return click.option("--fps", metavar="RATE", callback=_check_rate, help=help)


def _check_rate(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from extract.video.clock import frame_rate

    if value is None:
        return None
    rate = frame_rate(value)
    if rate > MOST_FRAMES_PER_SECOND:
        raise click.BadParameter(f"{value} is more than {MOST_FRAMES_PER_SECOND} frames per second")
    return rate


def jobs_option(command: Command) -> Command:
    """Add --jobs, which is None where the machine decides."""
    return click.option(
        "--jobs",
        type=JobCount(),
        default="auto",
        show_default=True,
        help="Videos at a time; each worker takes memory of its own. auto: as many as fill the "
        "cores, or one per GPU.",
    )(command)


def score_options(command: Command) -> Command:
    """Add --bootstrap and --json, which commands that score intervals share."""
    command = click.option(
        "--json", "as_json", is_flag=True, help="JSON on stdout instead of tables."
    )(command)
    return click.option(
        "--bootstrap",
        "draws",
        type=click.IntRange(min=0),
        default=1000,
        show_default=True,
        help="Draws of videos for the 95 % confidence intervals; 0 leaves them out.",
    )(command)


def force_option(command: Command) -> Command:
    """Add --force, which lets an output replace a file of another kind."""
    return click.option(
        "--force", is_flag=True, help="Replace a file of another kind (never an input)."
    )(command)


def decoding_options(command: Command) -> Command:
    """Add --decoder, --stall and --keep-partial, which errors about damaged videos advise."""
    command = click.option(
        "--stall",
        type=click.FloatRange(min=0, min_open=True),
        default=60.0,
        show_default=True,
        metavar="SECONDS",
        help="Kill the decoder after SECONDS without a frame; raise it for slow disks.",
    )(command)
    command = click.option(
        "--keep-partial",
        is_flag=True,
        help="Keep what comes before the damage of a broken video, instead of refusing it.",
    )(command)
    return click.option(
        "--decoder",
        type=click.Choice(["auto", "decord", "pyav"]),
        default="auto",
        show_default=True,
        help="Library that decodes. auto: decord where it is exact and faster, else PyAV.",
    )(command)


def feature_store_options(command: Command) -> Command:
    """Add --features and --no-cache, which say where the features of videos are kept."""
    command = click.option(
        "--no-cache",
        is_flag=True,
        help="Keep no features; the next run on these videos computes them again.",
    )(command)
    return click.option(
        "--features",
        "features_folder",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Keep features in this folder, as extract would, instead of the cache.",
    )(command)


def check_kept_features(
    folder: Path, videos: "Sequence[VideoInput]", given: "Sequence[Path | Url]", force: bool
) -> None:
    """Refuse a folder for features in which a file of another kind, or an input, is in the way.

    Raises:
        BasnetError: it names the file.
    """
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_folder, check_outputs
    from extract.features.feature_file import feature_path

    check_folder(folder)
    targets = [feature_path(folder, video.id) for video in videos]
    read = [*given, *(video.path for video in videos)]
    check_outputs(targets, Kind.FEATURES, read, force=force)


@dataclass(frozen=True)
class Destination:
    """Where results go.

    Attributes:
        path: a file, or a folder with one file per video.
        is_folder: which of both.
    """

    path: Path
    is_folder: bool


class FileOrFolder(click.ParamType):
    """A file, or a folder: one that exists, or a name that ends in a slash."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Destination:
        """Tell a folder from a file by its last character, which a path forgets."""
        if isinstance(value, Destination):
            return value
        text, path = str(value), Path(value)
        ends = tuple(mark for mark in (os.sep, os.altsep) if mark)
        if path.is_file() and text.endswith(ends):
            self.fail(f"{path} is a file, not a folder")
        return Destination(path, path.is_dir() or text.endswith(ends))


class JobCount(click.ParamType):
    """How many videos at a time: a number, or ``auto``, which is None."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Parse ``auto`` or a number above 0."""
        if value == "auto":
            return None
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"{value!r} is not auto or a number from 1 on")
        return number


class PathOrUrl(click.ParamType):
    """A path of this machine, or a URL, whose two slashes a path would lose."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "Path | Url":
        """Tell one from the other by ``scheme://``."""
        from extract.sources.urls import path_or_url

        return path_or_url(value)


class OneOf(click.ParamType):
    """A name out of a table that is looked into only when a name is given."""

    def __init__(self, name: str, table: Callable[[], Sequence[str]]) -> None:
        self.name = name
        self._table = table

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Accept the names of the table; another is answered with all of them."""
        names = self._table()
        if value not in names:
            self.fail(f"{value!r} is none of {', '.join(names)}")
        return str(value)


class StreamList(click.ParamType):
    """Comma-separated streams in the fixed order rgb, flow."""

    name = "streams"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Parse ``rgb,flow``; an unknown name is answered with the valid ones."""
        if isinstance(value, tuple):
            return value
        names = [name.strip() for name in str(value).split(",")]
        for name in names:
            if name not in STREAMS:
                self.fail(f"{name!r} is not a stream; streams are rgb, flow or both: rgb,flow")
        return tuple(name for name in STREAMS if name in names)


def is_terminal() -> bool:
    """Whether stderr is a terminal that can show a moving bar."""
    return sys.stderr.isatty()
