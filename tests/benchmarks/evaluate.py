"""How long mAP takes on a detection result of the size of a full THUMOS'14 run.

66 000 predictions over 210 videos and 20 classes at nine thresholds, against a plain Python
transcription of the protocol on the same input.

Run: python tests/benchmarks/evaluate.py
"""

import statistics
import time

import _packages  # noqa: F401
import numpy as np
from _speed_table import keep

from basnet_e2e.data.annotations.annotations import GroundTruth
from basnet_e2e.evaluation.evaluate import TIOUS, evaluate
from basnet_e2e.intervals import Interval

PREDICTIONS, VIDEOS, CLASSES, ANNOTATED = 66_000, 210, 20, 3_311
RUNS = 5


def generated() -> tuple[dict[str, list[Interval]], GroundTruth]:
    """One class per video, actions of some seconds, predictions near and far from them."""
    generator = np.random.default_rng(0)
    truth: dict[str, list[Interval]] = {f"video{n}": [] for n in range(VIDEOS)}
    found: dict[str, list[Interval]] = {f"video{n}": [] for n in range(VIDEOS)}
    labels = generator.integers(CLASSES, size=VIDEOS)
    for n in generator.integers(VIDEOS, size=ANNOTATED):
        start = generator.uniform(0, 220)
        end = start + generator.gamma(2.0, 2.2)
        truth[f"video{n}"].append(Interval(f"class{labels[n]}", start, end))
    for n in generator.integers(VIDEOS, size=PREDICTIONS):
        name = f"video{n}"
        start, length = generator.uniform(0, 220), generator.gamma(2.0, 2.2)
        if truth[name] and generator.random() < 0.5:
            near = truth[name][generator.integers(len(truth[name]))]
            start = near.start + generator.normal(0, 1)
            length = near.length * generator.uniform(0.5, 2)
        score = float(generator.random())
        found[name].append(Interval(f"class{labels[n]}", start, start + length, score))
    return found, GroundTruth(truth)


def plain(found: dict[str, list[Interval]], truth: GroundTruth, tiou: float) -> float:
    """The protocol at one threshold, one prediction after the other."""
    aps = []
    for label in truth.classes:
        ranked = sorted(
            ((video, row) for video, rows in found.items() for row in rows if row.label == label),
            key=lambda pair: -pair[1].score,
        )
        free = {
            video: [row for row in rows if row.label == label]
            for video, rows in truth.videos.items()
        }
        positives = sum(map(len, free.values()))
        hits = np.zeros(len(ranked), bool)
        for rank, (video, row) in enumerate(ranked):
            best = max(free[video], key=lambda other: iou(row, other), default=None)
            if best is not None and iou(row, best) >= tiou:
                free[video].remove(best)
                hits[rank] = True
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        aps.append((envelope * hits).sum() / positives)
    return float(np.mean(aps))


def iou(one: Interval, other: Interval) -> float:
    """Temporal intersection over union."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared / (one.length + other.length - shared) if shared > 0 else 0.0


def main() -> None:
    """Print the time of all nine thresholds, and the ratio to the plain transcription."""
    found, truth = generated()
    times, processor = [], []
    for _ in range(RUNS):
        began, busy = time.perf_counter(), time.process_time()
        table = evaluate(found, truth)
        times.append(time.perf_counter() - began)
        processor.append(time.process_time() - busy)
    ours = statistics.median(times)
    began = time.perf_counter()
    reference = plain(found, truth, TIOUS[4])
    slow = (time.perf_counter() - began) * len(TIOUS)
    print(f"{PREDICTIONS} predictions, {VIDEOS} videos, {len(TIOUS)} thresholds")
    print(f"evaluate                {ours:7.3f} s (median of {RUNS}; goal below 1 s)")
    print(f"  processor time        {statistics.median(processor):7.3f} s")
    print(f"plain transcription     {slow:7.1f} s (one threshold measured, times {len(TIOUS)})")
    print(f"ratio                   {slow / ours:7.0f}")
    keep(
        f"mAP of {PREDICTIONS} predictions",
        f"{ours:.2f} s",
        f"plain transcription: {slow:.1f} s",
        slow / ours,
        "evaluate.py",
    )
    print(f"mAP@0.5 {100 * table.map[4]:.4f} against {100 * reference:.4f}")


if __name__ == "__main__":
    main()
