"""`basnet export`: features and intervals in the formats of other programs."""

import contextlib
import difflib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import click

from basnet_e2e.cli.help import SectionedGroup
from basnet_e2e.cli.options import force_option, frame_rate_option, message_options
from basnet_e2e.cli.terminal.progress import ProgressBar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from basnet_e2e.interchange.media import Media
    from basnet_e2e.intervals import Failure, Localization

log = logging.getLogger(__name__)
_FORMAT_HELP = (
    "json, activitynet, csv, srt, vtt, tsv, elan, labelstudio, fiftyone, boris, deepethogram, "
    "textgrid, otio, edl, losslesscut, chapters or via. Default: by the suffix of -o, else csv."
)


def _check_format(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    from basnet_e2e.interchange.registry import FORMATS

    if value is None or value in FORMATS:
        return value
    near = difflib.get_close_matches(value, FORMATS, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise click.BadParameter(f"no format {value!r}; {hint}formats are {', '.join(FORMATS)}")


@click.group(cls=SectionedGroup)
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
    from basnet_e2e.data.annotations.video_names import counted
    from basnet_e2e.data.features.layout_writer import export_features

    count = export_features(features, output, layout, force=force)
    log.info("features of %s written to %s", counted(count, "video"), output)


@export.command(epilog="Example: basnet export intervals result.json --format srt -o video.srt")
@click.argument(
    "documents", nargs=-1, required=True, metavar="RESULT...", type=click.Path(path_type=Path)
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File, or folder with one file per video. Default: stdout.",
)
@click.option("--format", "layout", metavar="NAME", callback=_check_format, help=_FORMAT_HELP)
@click.option(
    "--videos",
    type=click.Path(path_type=Path),
    help="The videos, or a folder of them. Default: beside the RESULT.",
)
@frame_rate_option("Frames per second to count in. Default: the video's (labelstudio: 25).")
@click.option(
    "--link-prefix",
    default="",
    metavar="URL",
    help="Put before each video's name in links, as Label Studio's server wants.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PROJECT.boris",
    help="Write a copy of this BORIS project with an observation 'basnet: VIDEO' per video.",
)
@click.option(
    "--cut",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a clip for each interval.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Re-encode clips, exact to the frame; default: copied, from the key frame before.",
)
@click.option(
    "--burn",
    type=click.Path(path_type=Path),
    metavar="OUT.mp4",
    help="Write a copy of the video with the labels drawn in.",
)
@force_option
@message_options
def intervals(
    documents: tuple[Path, ...],
    output: Path | None,
    layout: str | None,
    videos: Path | None,
    fps: "Fraction | None",
    link_prefix: str,
    into: Path | None,
    cut: Path | None,
    exact: bool,
    burn: Path | None,
    force: bool,
) -> None:
    """Write RESULTs (files, or folders of 'basnet localize -o FOLDER/') for another tool.

    With --cut and --burn the videos themselves are cut and labelled.
    """
    from basnet_e2e.data.annotations.result_files import read_all_results, result_files
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_outputs
    from basnet_e2e.interchange.media import Media, nominal_rate
    from basnet_e2e.interchange.writers import write_into

    if exact and cut is None:
        raise click.UsageError("--exact is how --cut writes its clips; say where with --cut DIR")
    chosen = _chosen_format(output, layout, into)
    found, failed = read_all_results(documents)
    beside = dict.fromkeys(path if path.is_dir() else path.parent for path in documents)
    places = [videos] if videos else list(beside)
    rate = None if fps is None else nominal_rate(fps)
    media = Media(_available(found, places, given=videos is not None), fps=rate, prefix=link_prefix)
    for result in found if cut or burn else []:
        media.file(result)
    read = [file for path in (*documents, *filter(None, [into])) for file in result_files(path)]
    inputs = [*read, *media.files.values()]
    if output:
        _check_document(output, found, chosen, inputs, force)
    if burn:
        check_outputs(_burnt(found, burn).values(), Kind.PROJECT, inputs, force=force)
    if into is not None and output is not None:
        write_into(into, output, found, media)
        log.info("%s written", output)
    elif layout or output or not (cut or burn):
        _write(found, failed, chosen, output, media)
    if cut:
        _cut(found, media, cut, exact)
    if burn:
        _burn(found, media, burn)


def _chosen_format(output: Path | None, layout: str | None, into: Path | None) -> str:
    """The format that was asked for, or the one that the other options mean."""
    if into is not None and (layout not in (None, "boris") or output is None):
        raise click.UsageError("--into writes a project of BORIS: name the copy with -o COPY.boris")
    chosen = "boris" if into else layout or _format_of(output)
    if chosen == "boris" and output is not None and output.suffix == ".gz":
        raise click.UsageError("projects of BORIS are written uncompressed: name it .boris")
    return chosen


def _check_document(
    output: Path,
    found: "Sequence[Localization]",
    layout: str,
    inputs: "Sequence[Path]",
    force: bool,
) -> None:
    """Refuse to write over an input or over something of another kind."""
    from basnet_e2e.data.files.file_kinds import Kind
    from basnet_e2e.data.files.overwrite_checks import check_outputs
    from basnet_e2e.interchange.registry import WRITERS
    from basnet_e2e.interchange.writers import planned

    chosen = WRITERS.get(layout)
    targets = list(planned(output, found, layout))
    kind = chosen.kind if chosen else Kind.RESULT
    check_outputs(targets, kind, inputs, force=force)
    if chosen and chosen.beside:
        beside = [path.with_suffix(chosen.beside) for path in targets]
        check_outputs(beside, kind, inputs, force=force)


def _available(
    found: "Sequence[Localization]", places: "Sequence[Path]", *, given: bool
) -> dict[str, Path]:
    """Video files of the results; a folder that was not named may as well have none."""
    from basnet_e2e.interchange.media import find_media
    from extract.errors import ExtractError

    ids = [result.video for result in found]
    if given:
        return find_media(ids, places)
    files: dict[str, Path] = {}
    for place in places:
        names = {result.file for result in found} | {result.video for result in found}
        candidates = [place / name for name in sorted(names) if (place / name).is_file()]
        with contextlib.suppress(ExtractError):
            files |= find_media(ids, candidates)
    return files


def _write(
    found: "Sequence[Localization]",
    failed: "Sequence[Failure]",
    layout: str,
    output: Path | None,
    media: "Media",
) -> None:
    from basnet_e2e.interchange.registry import WRITERS
    from basnet_e2e.interchange.writers import format_results, write_results
    from extract.sources.find import VIDEO_SUFFIXES

    chosen = WRITERS.get(layout)
    if layout == "json" and not all(one.file for one in found):
        log.warning(
            "a result does not say how long its videos are: the last interval's end is written"
        )
    if output is None:
        if chosen and (chosen.document or chosen.beside):
            raise click.UsageError(f"{layout} is several files: say where they go with -o")
        click.echo(format_results(found, failed, layout, media=media), nl=False)
        return
    if layout == "chapters" and output.suffix.lower() in VIDEO_SUFFIXES:
        from basnet_e2e.interchange.formats.chapters import write_video

        result = _only(found, output)
        write_video(media.file(result), output, result)
        log.info("%s written, with chapters", output)
        return
    for path in write_results(output, found, failed, layout, media=media):
        log.info("%s written", path)
        if chosen and chosen.beside:
            log.info("%s written", path.with_suffix(chosen.beside))


def _format_of(output: Path | None) -> str:
    """The format that the suffix of a file means; csv by default."""
    from basnet_e2e.interchange.registry import WRITERS

    suffix = output.suffix.lower() if output else ""
    own = {".json": "json"}
    by_suffix = {row.suffix.lower(): name for name, row in WRITERS.items() if row.suffix} | own
    return by_suffix.get(suffix, "csv")


def _only(found: "Sequence[Localization]", output: Path) -> "Localization":
    if len(found) != 1:
        raise click.UsageError(f"{output} holds one video, here are {len(found)}: name a folder")
    return found[0]


def _cut(found: "Sequence[Localization]", media: "Media", folder: Path, exact: bool) -> None:
    from basnet_e2e.interchange.clips.cut import cut

    count = sum(len(cut(one, media.file(one), folder, exact=exact)) for one in found)
    log.info("%d clips written to %s", count, folder)


def _burnt(found: "Sequence[Localization]", output: Path) -> dict[str, Path]:
    """Id -> labelled copy: the file named, or of several videos files in that folder."""
    from basnet_e2e.interchange.writers import safe_name

    if len(found) == 1:
        return {found[0].video: output}
    return {one.video: output / f"{safe_name(one.video)}.mp4" for one in found}


def _burn(found: "Sequence[Localization]", media: "Media", output: Path) -> None:
    from basnet_e2e.interchange.clips.burn import burn

    targets = _burnt(found, output)
    for result in found:
        target = targets[result.video]
        with ProgressBar(
            f"burn {result.video}", quiet=log.getEffectiveLevel() > logging.INFO
        ) as bar:
            burn(result, media.file(result), target, bar.update)
        log.info("%s written", target)
