"""Clips of a video in which hardly anything changes, as CMCS takes them for background.

The released code finds them by the flow's log magnitude: below its 25th percentile, after a median
filter of 2 fps - 1 frames, at least 2 fps frames long, and 5 to 30 % of the video. Cached features
have no magnitude; here the change from row to row replaces it, and rows replace frames. UNVERIFIED:
that the percentile is the video's own, and that the share is that of each clip.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from basnet_e2e.data.features.dataset import VideoFeatures
from basnet_e2e.heads.common.decoding_rules import runs_of

PERCENTILE = 25
SHARE = (0.05, 0.30)
SECONDS = 2.0


def static_clips(video: VideoFeatures) -> Iterator[VideoFeatures]:
    """Static clips of a video as videos of their own."""
    rows = len(video.x)
    if rows < 2:
        return
    rate = (rows - 1) / max(float(video.start[-1] - video.start[0]), 1e-9)
    shortest = max(2, round(SECONDS * rate))
    for index, (first, stop) in enumerate(static_runs(np.asarray(video.x), shortest)):
        if SHARE[0] * rows <= stop - first <= SHARE[1] * rows:
            yield replace(
                video,
                id=f"{video.id}#static{index}",
                x=video.x[first:stop],
                start=video.start[first:stop],
                end=video.end[first:stop],
                duration=float(video.end[stop - 1] - video.start[first]),
            )


def static_runs(x: NDArray[np.float32], shortest: int) -> list[tuple[int, int]]:
    """First and one past last row of each static run.

    Args:
        x: ``[T, F]``, T at least 2.
        shortest: rows of the shortest run; the median filter has an odd number of about as many.
    """
    change = np.linalg.norm(np.diff(np.asarray(x, np.float64), axis=0), axis=1)
    change = np.append(change, change[-1])
    size = np.log(change + 1e-8)
    low = size < np.percentile(size, PERCENTILE)
    reach = max(0, (shortest - 1) // 2)
    windows = sliding_window_view(np.pad(low, reach, mode="edge"), 2 * reach + 1)
    runs = zip(*(each.tolist() for each in runs_of(np.median(windows, axis=1) > 0)), strict=True)
    return [(first, stop) for first, stop in runs if stop - first >= shortest]
