"""Results, evidence and videos made up for tests and benchmarks of the pages."""

import json
import math
from pathlib import Path

import numpy as np

from basnet_e2e.report.evidence import Evidence, evidence_path

ROW = 0.64  # seconds of a row of features


def made_result(video="game", duration=60.0, count=6, labels=("dive", "jump"), seed=0, file=None):
    """A result document with intervals all over the video."""
    chance = np.random.default_rng(seed)
    intervals = []
    for n in range(count):
        length = float(chance.uniform(0.5, 0.8)) * duration / max(count, 1)
        start = n * duration / max(count, 1)
        intervals.append(
            {
                "label": labels[n % len(labels)],
                "start": round(start, 3),
                "end": round(min(start + length, duration), 3),
                "score": round(float(chance.uniform(0.2, 1.0)), 6),
            }
        )
    return {
        "video": video,
        "file": file or f"{video}.mp4",
        "duration": duration,
        "model": "made",
        "classes": {label: round(0.9 - 0.1 * n, 3) for n, label in enumerate(labels)},
        "intervals": sorted(intervals, key=lambda each: -each["score"]),
    }


def made_evidence(result, thumbnails=()):
    """Curves that rise where the intervals are."""
    rows = math.ceil(result["duration"] / ROW)
    centres = (np.arange(rows) + 0.5) * ROW
    curves = {label: np.full(rows, 0.05) for label in result["classes"]}
    for each in result["intervals"]:
        middle = (each["start"] + each["end"]) / 2
        width = (each["end"] - each["start"]) / 2
        bump = each["score"] * np.exp(-(((centres - middle) / width) ** 2))
        if each["label"] in curves:
            curves[each["label"]] = np.maximum(curves[each["label"]], bump)
    waves = np.random.default_rng(1).normal(0, 0.02, (len(curves), rows))
    curves = {
        label: curve + wave for (label, curve), wave in zip(curves.items(), waves, strict=True)
    }
    foreground = np.max(list(curves.values()), axis=0) ** 0.7 if curves else None
    return Evidence.of(result["video"], result["duration"], centres, curves, foreground, thumbnails)


def write_result(folder: Path, result, evidence=None) -> Path:
    """The result as a file, its evidence beside it."""
    path = folder / f"{result['video']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, ensure_ascii=False), encoding="utf-8")
    if evidence is not None:
        evidence.save(evidence_path(path, result["video"], many=False))
    return path


def write_clip(path: Path, seconds=20, rate=5, size=(96, 64)) -> Path:
    """A video whose brightness grows with time, in a codec that every Chromium plays."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libvpx", rate=rate, options={"deadline": "realtime"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = rate
        for n in range(seconds * rate):
            level = 20 + 200 * n // (seconds * rate)
            picture = np.full((size[1], size[0], 3), level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode(None))
    return path
