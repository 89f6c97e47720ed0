"""Arguments and options that several commands share, and the types of their values."""

import dataclasses
import functools
import os
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import InputPath, check_folder, check_outputs
from basnet_e2e.interchange.annotated import Hints
from extract.features.feature_file import feature_path
from extract.inference.precision import PRECISIONS
from extract.jobs.store import FeatureStore, choose_store
from extract.pipeline.settings import DecodeOptions
from extract.sources.find import VideoInput
from extract.streams import STREAMS
from extract.video.clock import frame_rate

Decorator = Callable[[Any], Any]  # of a command

PATH = click.Path(path_type=Path)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
MOST_FRAMES_PER_SECOND = 1000


# Types of values ----------------------------------------------------------------------------------


class Number(click.IntRange):
    """A whole number."""

    name = "n"  # N in help


class Seconds(click.FloatRange):
    """A length of time."""

    name = "seconds"


COUNT = Number(min=1)


@dataclasses.dataclass(frozen=True)
class Destination:
    """Where results go.

    Attributes:
        path: a file, or a folder with one file per video.
        is_folder: which of the two.
    """

    path: Path
    is_folder: bool

    def file_of(self, video_id: str) -> Path:
        """The file that holds the result of a video."""
        return self.path / f"{video_id}.json" if self.is_folder else self.path


def file_or_folder(text: str) -> Destination:
    """A file, or a folder: one that exists, or a name that ends in a slash."""
    path = Path(text)
    has_slash = text.endswith(tuple(filter(None, (os.sep, os.altsep))))  # Path drops it
    if path.is_file() and has_slash:
        raise click.BadParameter(f"{path} is a file, not a folder")
    return Destination(path, path.is_dir() or has_slash)


def streams(text: str) -> tuple[str, ...]:
    """Comma-separated streams, in the fixed order rgb, flow."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in STREAMS:
            raise click.BadParameter(
                f"{name!r} is not a stream; streams are rgb, flow or both: rgb,flow"
            )
    return tuple(name for name in STREAMS if name in names)


def _job_count(text: str) -> int | None:
    """A number of videos; None for ``auto``."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise click.BadParameter(f"{text!r} is not auto or a number from 1 on")
    return int(text)


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise click.BadParameter(f"{text!r} is not a device; choose auto, cpu, cuda or cuda:N")
    return text


def _rate(text: str) -> Fraction:
    rate = frame_rate(text)
    if rate > MOST_FRAMES_PER_SECOND:
        raise click.BadParameter(f"{text} is more than {MOST_FRAMES_PER_SECOND} frames per second")
    return rate


# Options ------------------------------------------------------------------------------------------


def results_argument(metavar: str = "RESULT...") -> Decorator:
    """One or more files or folders, as the argument ``results``."""
    return click.argument("results", nargs=-1, required=True, metavar=metavar, type=PATH)


def streams_option(
    help: str = "rgb, flow or both; both find more and take about five times as long as rgb.",
    **settings: Any,
) -> Decorator:
    """Add --streams."""
    return click.option("--streams", type=streams, help=help, **settings)


def backbone_option(kind: str, **settings: Any) -> Decorator:
    """Add --backbone, a network of some kind."""
    help = f"{kind}; see 'basnet weights list'."
    return click.option("--backbone", metavar="NAME", help=help, **settings)


def stride_option(**settings: Any) -> Decorator:
    """Add --stride."""
    help = "Frames from one snippet to the next; fewer place borders finer and take longer."
    return click.option("--stride", type=COUNT, help=help, **settings)


def frame_rate_option(help: str) -> Decorator:
    """Add --fps, an exact number of frames per second or None."""
    return click.option("--fps", metavar="RATE", type=_rate, help=help)


def precision_option(default: str | None, shown: str | bool = True) -> Decorator:
    """Add --precision.

    Args:
        default: the default.
        shown: what the help says about the default.
    """
    return click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default=default,
        show_default=shown,
        metavar="PRECISION",
        help=f"Network precision on a GPU: {', '.join(PRECISIONS)}. Lower is faster and rounds "
        "features.",
    )


grid_option = click.option(
    "--grid",
    metavar="FPS,LENGTH,STRIDE",
    help="Time grid of .npy features, which do not record it. Default: 25,16,16.",
)
subset_option = click.option(
    "--subset",
    metavar="NAME",
    help="Subset of the ground truth. Default: test or validation, whichever it has.",
)
jobs_option = click.option(
    "--jobs",
    type=_job_count,
    metavar="N|auto",
    default="auto",
    show_default=True,
    help="Videos at a time; each worker needs its own memory. auto: enough to fill the cores, or "
    "one per GPU.",
)
device_option = click.option(
    "--device",
    type=_device,
    default="auto",
    show_default=True,
    metavar="auto|cpu|cuda[:N]",
    help="Where networks run; auto takes a GPU if there is one.",
)
force_option = click.option(
    "--force", is_flag=True, help="Replace a file of another kind (never an input)."
)


def _set_offline(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["BASNET_OFFLINE"] = "1"


offline_option = click.option(
    "--offline",
    is_flag=True,
    expose_value=False,
    callback=_set_offline,
    help="Never download; missing weights are an error.",
)

# Sets of options ----------------------------------------------------------------------------------


def options(*added: Decorator) -> Decorator:
    """Add options, listed in this order."""
    return lambda command: functools.reduce(lambda made, add: add(made), reversed(added), command)


def _settings(argument: str, kind: type[Any], *fields: Decorator) -> Decorator:
    """Add options whose values the command gets as one object.

    Args:
        argument: name of the command's parameter.
        kind: dataclass whose fields are the options.
        fields: the options.
    """
    names = {field.name for field in dataclasses.fields(kind)}

    def add(command: Callable[..., Any]) -> Any:
        @functools.wraps(command)
        def wrapper(**values: Any) -> Any:
            made = kind(**{name: values.pop(name) for name in names & values.keys()})
            return command(**values, **{argument: made})

        return options(*fields)(wrapper)

    return add


score_options = options(
    click.option(
        "--bootstrap",
        "draws",
        type=Number(min=0),
        default=1000,
        show_default=True,
        help="Draws of videos for the 95 % confidence intervals: more are steadier and slower, 0 "
        "leaves the intervals out.",
    ),
    click.option("--json", "as_json", is_flag=True, help="JSON on stdout instead of tables."),
)

decoding_options = _settings(
    "decoding",
    DecodeOptions,
    click.option(
        "--decoder",
        type=click.Choice(["auto", "decord", "pyav"]),
        default="auto",
        show_default=True,
        help="Library that decodes. auto: decord if it is exact and faster, else PyAV.",
    ),
    click.option(
        "--keep-partial",
        is_flag=True,
        help="Use a damaged video up to the damage. Default: refuse it.",
    ),
    click.option(
        "--stall",
        type=Seconds(min=0, min_open=True),
        default=DecodeOptions.stall,
        show_default=True,
        help="Kill the decoder after SECONDS without a frame; raise it for slow disks.",
    ),
)

annotation_options = _settings(
    "hints",
    Hints,
    click.option(
        "--videos",
        type=PATH,
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
        help="Make 'CODE [modifier]' a class of its own: modifiers of BORIS, choices on a region "
        "of Label Studio. Default: CODE alone.",
    ),
)

feature_store_options = options(
    click.option(
        "--features",
        "features_folder",
        type=FOLDER,
        metavar="DIR",
        help="Keep features in this folder, as extract does. Default: in the cache.",
    ),
    click.option(
        "--no-cache",
        is_flag=True,
        help="Keep no features; the next run on these videos computes them again.",
    ),
)


def open_store(
    features_folder: Path | None,
    no_cache: bool,
    videos: Sequence[VideoInput],
    given: Sequence[InputPath],
    *,
    force: bool = False,
) -> FeatureStore:
    """The store that --features and --no-cache ask for.

    Args:
        features_folder: value of --features.
        no_cache: value of --no-cache.
        videos: whose features are kept.
        given: inputs of the command, never overwritten.
        force: replace files of another kind.

    Raises:
        BasnetError: a file of another kind, or an input, is where features would be written.
        ExtractError: both options are given.
    """
    if features_folder is not None:
        read = [*given, *(video.path for video in videos)]
        check_feature_files(features_folder, videos, read, force=force)
    return choose_store(features_folder, no_cache)


def check_feature_files(
    folder: Path, videos: Sequence[VideoInput], read: Sequence[InputPath], *, force: bool
) -> None:
    """Refuse to write features over an input or over a file of another kind.

    Raises:
        BasnetError: names the file.
    """
    check_folder(folder)
    targets = [feature_path(folder, video.id) for video in videos]
    check_outputs(targets, Kind.FEATURES, read, force=force)
