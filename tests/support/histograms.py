"""Plain colour histograms as snippet features: what looks alone, without a network, can tell.

``python tests/support/histograms.py VIDEOS -o FEATURES`` writes feature files that the commands
read like any other. A head trained on those of the demo's videos shows that the footage cannot be
told apart by colour: its average mAP is below 1 %.
"""

import sys
from fractions import Fraction
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from extract.features.feature_file import Features, feature_path
from extract.features.metadata import FORMAT_VERSION
from extract.pipeline.snippets import SnippetGrid, frame_rows, snippet_count, snippet_times
from extract.video.clip import open_video

LEVELS = 6
"""Bins per colour channel: 6 * 6 * 6 = 216 joint bins, about the size of one i3d-mini stream."""

GRID = SnippetGrid()


def joint_histogram(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Share of the pixels of ``[H, W, 3] uint8`` in each joint colour bin, ``[LEVELS**3]``."""
    bins = frame.reshape(-1, 3).astype(np.intp) * LEVELS // 256
    index = (bins[:, 0] * LEVELS + bins[:, 1]) * LEVELS + bins[:, 2]
    counts = np.bincount(index, minlength=LEVELS**3)
    return (counts / len(index)).astype(np.float32)


def histogram_features(path: Path) -> Features:
    """Mean colour histogram of each snippet, as features with an rgb stream alone.

    The square root (Hellinger's map) keeps rare colours from drowning beside the background, and
    rows of unit mean square are of the size that the head's settings expect.
    """
    with open_video(path) as clip:
        histograms = [joint_histogram(frame) for _, frame in clip.frames(GRID.fps)]
        duration = clip.duration
    count = snippet_count(len(histograms), GRID.length, GRID.stride)
    start, end = snippet_times(count, GRID, duration)
    rows = np.stack(
        [
            np.mean([histograms[n] for n in frame_rows(row, len(histograms), GRID)], axis=0)
            for row in range(count)
        ]
    )
    settings = {
        "format": FORMAT_VERSION,
        "fps": str(Fraction(GRID.fps)),
        "length": GRID.length,
        "stride": GRID.stride,
        "backbone": "colour-histogram",
        "streams": ["rgb"],
        "weights": {"rgb": None},
        "flow": None,
        "quantize": None,
        "bins": LEVELS,
        "dtype": "float32",
    }
    return Features(
        rgb=(np.sqrt(rows) * LEVELS**1.5).astype(np.float32),
        flow=None,
        start=start,
        end=end,
        meta={"settings": settings, "facts": {"file": path.name, "duration": duration}},
    )


@click.command()
@click.argument("videos", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False))
def main(videos: Path, output: Path) -> None:
    """Write colour histograms of all mp4 files in the folder VIDEOS; what is there is kept."""
    paths = sorted(videos.glob("*.mp4"))
    with click.progressbar(paths, label="histograms", file=sys.stderr) as bar:
        for path in bar:
            target = feature_path(output, path.stem)
            if not target.exists():
                histogram_features(path).save(target)


if __name__ == "__main__":
    main()
