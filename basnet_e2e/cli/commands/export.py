"""`basnet export`: features and intervals in the formats of other programs."""

import difflib
import logging
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import click

from basnet_e2e.cli.command import Group
from basnet_e2e.cli.options import (
    FILE,
    FOLDER,
    PATH,
    force_option,
    frame_rate_option,
    results_argument,
)
from basnet_e2e.cli.terminal.progress import StepProgress
from basnet_e2e.data.annotations.result_files import read_all_results, result_files
from basnet_e2e.data.annotations.video_names import counted
from basnet_e2e.data.features.layout_writer import export_features
from basnet_e2e.data.files.file_kinds import Kind
from basnet_e2e.data.files.overwrite_checks import check_outputs
from basnet_e2e.interchange.clips.burn import burn as burn_labels
from basnet_e2e.interchange.clips.cut import cut as cut_clips
from basnet_e2e.interchange.formats import chapters
from basnet_e2e.interchange.media import Media, find_media, nominal_rate
from basnet_e2e.interchange.registry import FORMATS, OWN, WRITERS
from basnet_e2e.interchange.writers import (
    format_results,
    planned,
    safe_name,
    write_into,
    write_results,
)
from basnet_e2e.intervals import Failure, Localization
from basnet_e2e.report.gather import video_beside
from extract.sources.find import VIDEO_SUFFIXES

log = logging.getLogger(__name__)


def _format(name: str) -> str:
    if name in FORMATS:
        return name
    near = difflib.get_close_matches(name, FORMATS, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise click.BadParameter(f"no format {name!r}; {hint}formats are {', '.join(FORMATS)}")


@click.group(cls=Group)
def export() -> None:
    """Write features or intervals in formats that other programs read."""


@export.command(epilog="Example: basnet export features FEATURES -o arrays --layout basnet")
@click.argument("features", type=PATH)
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder to write into.")
@click.option(
    "--layout",
    type=click.Choice(["basnet", "actionformer", "npz"]),
    default="basnet",
    show_default=True,
    help="{rgb,flow}/<video>.npy, <video>.npy with both side by side, or <video>.npz.",
)
@force_option
def features(features: Path, output: Path, layout: str, force: bool) -> None:
    """Write a folder of FEATURES as plain arrays."""
    count = export_features(features, output, layout, force=force)
    log.info("features of %s written to %s", counted(count, "video"), output)


@export.command(epilog="Example: basnet export intervals result.json --format srt -o video.srt")
@results_argument()
@click.option(
    "-o", "--output", type=PATH, help="File, or folder with one file per video. Default: stdout."
)
@click.option(
    "--format",
    "layout",
    metavar="NAME",
    type=_format,
    help="json, activitynet, csv, srt, vtt, tsv, elan, labelstudio, fiftyone, boris, "
    "deepethogram, textgrid, otio, edl, losslesscut, chapters or via. Default: by the suffix of "
    "-o, else csv.",
)
@click.option(
    "--videos", type=PATH, help="The videos, or a folder of them. Default: beside the RESULT."
)
@frame_rate_option("Frames per second to count in. Default: the video's (labelstudio: 25).")
@click.option(
    "--link-prefix",
    default="",
    metavar="URL",
    help="Put before each video's name in links, as Label Studio's server wants. Default: links "
    "are paths from the output to the video.",
)
@click.option(
    "--into",
    type=FILE,
    metavar="PROJECT.boris",
    help="Write a copy of this BORIS project with an observation 'basnet: VIDEO' per video.",
)
@click.option("--cut", type=FOLDER, metavar="DIR", help="Write a clip for each interval.")
@click.option(
    "--exact",
    is_flag=True,
    help="Re-encode the clips, exact to the frame and slower. Default: copy them, from the key "
    "frame before.",
)
@click.option(
    "--burn",
    type=PATH,
    metavar="OUT.mp4",
    help="Write a copy of the video with the labels drawn in.",
)
@force_option
def intervals(
    results: tuple[Path, ...],
    output: Path | None,
    layout: str | None,
    videos: Path | None,
    fps: Fraction | None,
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
    if exact and cut is None:
        raise click.UsageError("--exact is how --cut writes its clips; say where with --cut DIR")
    chosen = _chosen_format(output, layout, into)
    found, failed = read_all_results(results)
    files = (
        find_media([result.video for result in found], [videos])
        if videos
        else _beside(found, results)
    )
    media = Media(files, fps=None if fps is None else nominal_rate(fps), prefix=link_prefix)
    for result in found if cut or burn else []:
        media.file(result)  # an error if it is not available
    read = [file for path in (*results, *filter(None, [into])) for file in result_files(path)]
    inputs = [*read, *files.values()]
    if output:
        _check_documents(output, found, chosen, inputs, force)
    burnt = _burnt(found, burn) if burn else {}
    check_outputs(burnt.values(), Kind.PROJECT, inputs, force=force)
    if into is not None and output is not None:
        write_into(into, output, found, media)
        log.info("%s written", output)
    elif layout or output or not (cut or burn):
        _write(found, failed, chosen, output, media)
    if cut:
        count = sum(len(cut_clips(one, media.file(one), cut, exact=exact)) for one in found)
        log.info("%d clips written to %s", count, cut)
    for result in found if burn else []:
        with StepProgress(f"burn {result.video}") as bar:
            burn_labels(result, media.file(result), burnt[result.video], bar.update)
        log.info("%s written", burnt[result.video])


def _chosen_format(output: Path | None, layout: str | None, into: Path | None) -> str:
    """The format that was asked for, or the one that the other options mean."""
    if into is not None and (layout not in (None, "boris") or output is None):
        raise click.UsageError("--into writes a project of BORIS: name the copy with -o COPY.boris")
    suffix = output.suffix.lower() if output else ""
    by_suffix = {row.suffix.lower(): name for name, row in WRITERS.items() if row.suffix}
    by_suffix[".json"] = OWN
    chosen = "boris" if into else layout or by_suffix.get(suffix, "csv")
    if chosen == "boris" and suffix == ".gz":
        raise click.UsageError("projects of BORIS are written uncompressed: name it .boris")
    return chosen


def _check_documents(
    output: Path, found: Sequence[Localization], layout: str, inputs: Sequence[Path], force: bool
) -> None:
    """Refuse to write over an input or over something of another kind."""
    chosen = WRITERS.get(layout)
    targets = list(planned(output, found, layout))
    if chosen and chosen.beside:
        targets += [path.with_suffix(chosen.beside) for path in targets]
    check_outputs(targets, chosen.kind if chosen else Kind.RESULT, inputs, force=force)


def _beside(found: Sequence[Localization], results: Sequence[Path]) -> dict[str, Path]:
    """Video files beside the results; there need not be any."""
    folders = dict.fromkeys(path if path.is_dir() else path.parent for path in results)
    return {
        result.video: video
        for result in found
        for folder in folders
        if (video := video_beside({"video": result.video, "file": result.file}, folder))
    }


def _write(
    found: Sequence[Localization],
    failed: Sequence[Failure],
    layout: str,
    output: Path | None,
    media: Media,
) -> None:
    chosen = WRITERS.get(layout)
    if layout == OWN and not all(one.file for one in found):
        log.warning(
            "a result does not say how long its videos are: the last interval's end is written"
        )
    if output is None:
        if chosen and (chosen.document or chosen.beside):
            raise click.UsageError(f"{layout} is several files: say where they go with -o")
        click.echo(format_results(found, failed, layout, media=media), nl=False)
    elif layout == "chapters" and output.suffix.lower() in VIDEO_SUFFIXES:
        if len(found) != 1:
            raise click.UsageError(
                f"{output} holds one video, here are {len(found)}: name a folder"
            )
        chapters.write_video(media.file(found[0]), output, found[0])
        log.info("%s written, with chapters", output)
    else:
        for path in write_results(output, found, failed, layout, media=media):
            log.info("%s written", path)
            if chosen and chosen.beside:
                log.info("%s written", path.with_suffix(chosen.beside))


def _burnt(found: Sequence[Localization], output: Path) -> dict[str, Path]:
    """Id -> labelled copy: the file named, or of several videos files in that folder."""
    if len(found) == 1:
        return {found[0].video: output}
    return {one.video: output / f"{safe_name(one.video)}.mp4" for one in found}
