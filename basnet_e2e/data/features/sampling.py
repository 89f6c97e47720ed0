"""Videos of any length as rows for the network: sampling, padding and the times of the rows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.intervals import Floats

# Bounds of T where it follows the training videos; 750 is the T of THUMOS'14.
FEWEST_SEGMENTS, MOST_SEGMENTS = 64, 750
SEGMENT_PERCENTILE, SEGMENT_MULTIPLE = 90, 8


@dataclass(frozen=True)
class Rows:
    """What the network reads of one video, and when.

    Attributes:
        x: ``[n, F] float32``.
        edges: ``[n + 1]`` seconds; row i covers the time from ``edges[i]`` to ``edges[i + 1]``.
        centres: ``[n]`` seconds at which the rows' values are placed.
    """

    x: NDArray[np.float32]
    edges: Floats
    centres: Floats


def segments_for(lengths: Sequence[int], wanted: int | None) -> int:
    """T, the rows of a training sample: as wanted, or enough for 90 % of the videos.

    Args:
        lengths: rows of each training video.
        wanted: T, or None for the 90th percentile rounded up to a multiple of 8, within [64, 750].
    """
    if wanted is not None:
        return wanted
    longest = float(np.percentile(lengths, SEGMENT_PERCENTILE))
    rounded = SEGMENT_MULTIPLE * math.ceil(longest / SEGMENT_MULTIPLE)
    return min(max(rounded, FEWEST_SEGMENTS), MOST_SEGMENTS)


def stratified_rows(length: int, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """One random row from each of ``count`` equal parts of a video (released code, training).

    Neighbouring parts share their boundary row. A shorter video repeats rows; one of exactly
    ``count`` rows is unchanged.
    """
    if length == count:
        return np.arange(count)
    bounds = np.arange(count + 1) * length // count
    low = np.minimum(bounds[:-1], length - 1)
    high = np.minimum(bounds[1:], length - 1)
    return rng.integers(low, high, endpoint=True)


def uniform_rows(length: int, count: int) -> NDArray[np.intp]:
    """First row of each of ``count`` equal parts of a video (released code, reading)."""
    return np.arange(count) * length // count


def interpolated_rows(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The whole video as ``count`` rows, interpolated linearly at the centres of equal parts.

    Args:
        x: ``[T, F]``.
        count: rows wanted.
    """
    at = np.clip((np.arange(count) + 0.5) * len(x) / count - 0.5, 0, len(x) - 1)
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, len(x) - 1)
    share = (at - low)[:, None].astype(np.float32)
    return np.asarray(x[low] * (1 - share) + x[high] * share)


def training_rows(
    x: NDArray[np.float32], count: int, length: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """One video as a training sample of at most ``count`` rows.

    Args:
        x: ``[T, F]``.
        count: rows of a full sample.
        length: ``repeat``, ``pad`` or ``rescale``: what happens to shorter and longer videos.
        rng: for the rows of longer (or, with ``repeat``, of all) videos.
    """
    if length == "rescale":
        return interpolated_rows(x, count)
    if length == "pad" and len(x) <= count:
        return x
    return x[stratified_rows(len(x), count, rng)]


def reading_rows(
    video: VideoFeatures, centre: str, length: str = "pad", count: int | None = None
) -> Rows:
    """One video as the network reads it at inference.

    Args:
        video: its rows and their times.
        centre: where a row's value is placed, see :func:`row_edges`.
        length: ``pad`` reads all rows; ``repeat`` and ``rescale`` make them ``count`` rows.
        count: T of training.
    """
    if length == "pad" or count is None:
        count = len(video.x)
    edges = row_edges(video, centre)
    if count == len(video.x):
        centres = (video.start + video.end) / 2
        return Rows(video.x, edges, centres)
    if length == "rescale":
        x = interpolated_rows(video.x, count)
    else:
        x = video.x[uniform_rows(len(video.x), count)]
    parts = np.arange(count + 1) * (len(video.x) / count)
    edges = np.interp(parts, np.arange(len(edges)), edges)
    return Rows(x, edges, (edges[:-1] + edges[1:]) / 2)


def row_edges(video: VideoFeatures, centre: str) -> Floats:
    """Borders between rows ``[T + 1]``, in seconds.

    With ``start``, as in the released code, row i begins at i strides and the last row may end
    after the video. With ``centre`` the first row begins with its snippet and the last ends with
    its snippet; the border between two rows is the mean of the end of the first and the start of
    the second snippet, which differ where snippets overlap or leave gaps.
    """
    if centre == "start":
        if len(video.start) > 1:
            stride = (video.start[-1] - video.start[0]) / (len(video.start) - 1)
        else:
            stride = video.end[0] - video.start[0]
        return np.asarray(video.start[0] + stride * np.arange(len(video.start) + 1))
    between = (video.end[:-1] + video.start[1:]) / 2
    return np.concatenate([video.start[:1], between, video.end[-1:]])


def padded(samples: Sequence[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Samples of one batch, shorter ones padded with zeros at the end.

    Returns:
        ``[B, longest, F] float32`` and the number of real rows ``[B]``.
    """
    counts = np.array([len(sample) for sample in samples], np.int64)
    batch = np.zeros((len(samples), counts.max(), samples[0].shape[1]), np.float32)
    for row, sample in zip(batch, samples, strict=True):
        row[: len(sample)] = sample
    return batch, counts
