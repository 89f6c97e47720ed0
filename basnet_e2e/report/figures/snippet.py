"""Frames and optical flow of one snippet side by side, as the backbone is given them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from basnet_e2e.errors import BasnetError
from basnet_e2e.report.figures.canvas import GREY, new_figure
from extract.flow.picture import flow_picture
from extract.flow.registry import FlowMethod
from extract.pipeline.snippets import SnippetGrid, frame_rows, snippet_count, snippet_times
from extract.preprocessing.torch_ops import grey, resize_short_side
from extract.video.isolation.isolated_clip import open_isolated

COLUMNS = 4
FULL = 99.5  # percentile of speed that is shown in full colour
SIDE = 256  # pixels of the short side, as the published networks are given


@dataclass(frozen=True)
class Snippet:
    """Some frames of a snippet, evenly spaced, and the motion from each to the next of the video.

    Attributes:
        title: of the video.
        start: seconds.
        end: seconds.
        times: ``[k]`` seconds of the frames.
        frames: ``[k, H, W, 3] uint8``.
        flow: ``[k, 2, H, W]`` pixels per frame.
    """

    title: str
    start: float
    end: float
    times: list[float]
    frames: NDArray[np.uint8]
    flow: NDArray[np.float32]


def take_snippet(
    path: str | os.PathLike[str],
    at: float | None,
    method: FlowMethod,
    *,
    decoder: str = "auto",
    side: int = SIDE,
) -> Snippet:
    """Decode the snippet that holds a time, and compute the flow of its frames.

    Args:
        path: the video.
        at: seconds; default: the middle of the video.
        method: flow method.
        decoder: see ``extract.video.clip.open_video``.
        side: pixels of the frames' short side.

    Raises:
        BasnetError: the time is not within the video.
        VideoError: the video cannot be decoded.
    """
    grid = SnippetGrid()
    with open_isolated(path, decoder) as clip:
        if at is not None and not 0 <= at < clip.duration:
            raise BasnetError(f"{path}: lasts {clip.duration:.2f} s, there is nothing at {at:g} s")
        frames = clip.frame_count(grid.fps)
        count = snippet_count(frames, grid.length, grid.stride)
        wanted = int((clip.duration / 2 if at is None else at) * grid.fps) // grid.stride
        index = min(wanted, count - 1)
        rows = frame_rows(index, frames, grid)
        chosen = sorted({rows[round(k * (grid.length - 1) / COLUMNS)] for k in range(COLUMNS)})
        # The last frame of a video moves nowhere: its field is that of the frame before.
        pairs = [(row, row + 1) if row + 1 < frames else (max(row - 1, 0), row) for row in chosen]
        needed = {row for pair in pairs for row in pair}
        pictures = dict(_taken(clip.frames(grid.fps), needed, side))
        start, end = snippet_times(count, grid, clip.duration)
    fields = [method.compute(*_both(pictures[first], pictures[then]))[0] for first, then in pairs]
    return Snippet(
        Path(path).stem,
        float(start[index]),
        float(end[index]),
        [float(row / grid.fps) for row in chosen],
        np.stack([pictures[row] for row in chosen]),
        np.stack(fields),
    )


def draw_snippet(snippet: Snippet) -> Figure:
    """Frames above, their flow below, all fields in one scale."""
    columns = len(snippet.frames)
    height, width = snippet.frames.shape[1:3]
    tile = 2.4
    figure = new_figure(tile * columns + 0.3, 2 * tile * height / width + 0.9)
    axes = figure.subplots(2, columns, squeeze=False)
    # Not the fastest pixel, which is often a mistake of the flow and would pale all others.
    speed = float(np.percentile(np.hypot(snippet.flow[:, 0], snippet.flow[:, 1]), FULL))
    for column in range(columns):
        axes[0, column].imshow(snippet.frames[column])
        axes[1, column].imshow(flow_picture(snippet.flow[column], speed or None))
        axes[0, column].set_title(f"{snippet.times[column]:.2f} s", fontsize=8, color=GREY)
    for each in axes.flat:
        each.set(xticks=[], yticks=[])
        each.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("frame", fontsize=8, color=GREY)
    axes[1, 0].set_ylabel("flow to the next", fontsize=8, color=GREY)
    title = f"{snippet.title}, snippet of {snippet.start:.2f} to {snippet.end:.2f} s"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False)
    note = f"colour: direction; full: {speed:.1f} pixels per frame, darker: faster"
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


def _taken(
    frames: Iterator[tuple[float, NDArray[np.uint8]]], wanted: set[int], side: int
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """The frames of some rows, resized; decoding stops after the last one."""
    last = max(wanted)
    for row, (_, frame) in enumerate(frames):
        if row in wanted:
            yield row, resize_short_side(torch.from_numpy(frame.copy())[None], side)[0].numpy()
        if row == last:
            return


def _both(
    first: NDArray[np.uint8], then: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two frames as a flow method takes them: grey, and in colour."""
    rgb = np.stack([first, then])
    return grey(torch.from_numpy(rgb)).numpy(), rgb
