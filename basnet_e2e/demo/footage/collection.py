"""A weakly labelled data set on disk: training videos with labels, test videos with intervals."""

import json
import signal
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.demo.footage.scene import frames, random_scene
from basnet_e2e.demo.footage.timeline import CLASSES, Script, plan
from basnet_e2e.demo.footage.worlds import DEMO_WORLD
from basnet_e2e.errors import BasnetError
from extract.machine.devices import cores
from weights.files import write_text

if TYPE_CHECKING:
    from extract.pipeline.accumulator import OnProgress

VERSION = 1
"""Increased whenever equal settings no longer give equal footage."""


@dataclass(frozen=True)
class Collection:
    """A data set: its number of videos, and the seed of everything else.

    Attributes:
        training: number of training videos, with labels.
        test: number of test videos, with intervals.
        seed: video n depends on the seed, its part and n alone.
    """

    training: int = 30
    test: int = 15
    seed: int = 2020

    def timeline(self, part: str, number: int) -> Script:
        """The plan of video ``number`` of a part (``train`` or ``test``)."""
        rng = np.random.default_rng([self.seed, part == "test", number, 0])
        return plan(rng, DEMO_WORLD, CLASSES[number % len(CLASSES)])

    def write_one(self, folder: Path, part: str, number: int) -> None:
        """Render and encode one video, unless it exists."""
        path = video_path(folder, part, number)
        if path.exists():
            return
        timeline = self.timeline(part, number)
        rng = np.random.default_rng([self.seed, part == "test", number, 1])
        scene = random_scene(rng, DEMO_WORLD, timeline.actors)
        size = (DEMO_WORLD.width, DEMO_WORLD.height)
        write_video(path, frames(scene, timeline.duration), DEMO_WORLD.fps, size)

    def videos(self) -> list[tuple[str, int]]:
        """All videos as (part, number)."""
        return [("train", n) for n in range(self.training)] + [
            ("test", n) for n in range(self.test)
        ]


def video_id(part: str, number: int) -> str:
    """Name of a video without folder and suffix: ``train_01`` is the first."""
    return f"{part}_{number + 1:02}"


def video_path(folder: Path, part: str, number: int) -> Path:
    """Path of a video in the data set's folder."""
    return folder / "videos" / part / f"{video_id(part, number)}.mp4"


def labels_path(folder: Path) -> Path:
    """File of the training videos' labels (CSV)."""
    return folder / "train_labels.csv"


def ground_truth_path(folder: Path) -> Path:
    """File of the test videos' intervals (ActivityNet JSON)."""
    return folder / "test_intervals.json"


def write_collection(
    folder: Path,
    collection: Collection,
    *,
    jobs: int | None = None,
    progress: "OnProgress | None" = None,
) -> None:
    """Write a data set; finished videos are kept, and a larger data set adds to them.

    Args:
        folder: where to write.
        collection: the data set.
        jobs: number of processes. Default: one per core.
        progress: called with (videos done, videos in all).

    Raises:
        BasnetError: the folder contains footage of another seed or version.
        OSError: the folder cannot be written or the disk is full.
    """
    collection = _record_settings(folder, collection)
    todo = collection.videos()
    quiet = signal.SIGINT, signal.SIG_IGN  # Ctrl-C reaches this process, which ends the others
    with ProcessPoolExecutor(jobs or cores(), initializer=signal.signal, initargs=quiet) as pool:
        running = [pool.submit(collection.write_one, folder, *video) for video in todo]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                if progress:
                    progress(done, len(todo))
        finally:
            pool.shutdown(cancel_futures=True)
    write_text(labels_path(folder), _labels(collection))
    write_text(ground_truth_path(folder), json.dumps(_ground_truth(collection), indent=1) + "\n")


def _record_settings(folder: Path, collection: Collection) -> Collection:
    """Record the settings in the folder; a recorded data set may grow and never shrinks."""
    record = folder / "footage.json"
    if record.exists():
        earlier = _recorded(record)
        if earlier.get("version") != VERSION or earlier.get("seed") != collection.seed:
            raise BasnetError(
                f"{folder}: holds footage made with other settings ({record.name}); "
                "choose another folder or delete this one"
            )
        collection = replace(
            collection,
            training=max(collection.training, int(earlier["training"])),
            test=max(collection.test, int(earlier["test"])),
        )
    else:
        for path in (labels_path(folder), ground_truth_path(folder)):
            if path.exists():
                raise BasnetError(
                    f"{path}: is not of generated footage and is not overwritten; "
                    "choose another folder"
                )
    document = {"version": VERSION, **asdict(collection)}
    write_text(record, json.dumps(document, sort_keys=True) + "\n")
    return collection


def _recorded(record: Path) -> dict[str, Any]:
    try:
        document = json.loads(record.read_text(encoding="utf-8"))
        int(document["training"]), int(document["test"])
    except (ValueError, TypeError, KeyError) as error:
        raise BasnetError(f"{record}: damaged; delete it and the videos beside it") from error
    return dict(document)


def _labels(collection: Collection) -> str:
    lines = ["video,labels"]
    for number in range(collection.training):
        labels = collection.timeline("train", number).labels
        lines.append(f"{video_id('train', number)},{';'.join(labels)}")
    return "\n".join(lines) + "\n"


def _ground_truth(collection: Collection) -> dict[str, Any]:
    database = {}
    for number in range(collection.test):
        timeline = collection.timeline("test", number)
        database[video_id("test", number)] = {
            "subset": "test",
            "duration": timeline.duration,
            "annotations": [
                {"label": one.label, "segment": [one.start, one.end]}
                for one in timeline.occurrences
            ],
        }
    return {"version": f"basnet footage {VERSION}", "database": database}
