"""Short labelled clips for training ``i3d-mini``, through the same h264, resize and flow as videos.

One clip shows one actor before one background. Its label is the look and the motion together, with
``idle`` for the motions that belong to no class, or ``empty`` where there is no actor.
"""

import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from basnet_e2e.demo.footage.encode import write_video
from basnet_e2e.demo.footage.scene import FADE, frames, random_actor, random_scene
from basnet_e2e.demo.footage.worlds import DRIFT, LOOKS, MOTIONS, MOTTLED, PRETRAINING_WORLD, REST

IDLE = "idle"
EMPTY = "empty"
LABELS = (
    *(f"{look} {motion}" for look in (*LOOKS, MOTTLED) for motion in (*MOTIONS, IDLE)),
    EMPTY,
)
"""The 26 labels in logit order."""

KEPT = 28
"""Frames kept of a clip; training takes 16 in a row from anywhere among them."""

MARGIN = 12
"""Columns kept beyond the crop, for cropping at random places."""


@dataclass(frozen=True)
class ClipFormat:
    """What the network's spec asks of a clip: lengths in pixels, and the flow schedule."""

    side: int
    crop: int
    length: int
    flow: dict[str, Any]


@dataclass(frozen=True)
class Clips:
    """Labelled clips of equal size.

    Attributes:
        rgb: ``[N, KEPT, H, W, 3] uint8``.
        flow: ``[N, KEPT - 1, H, W, 2] uint8``, the 256 levels of the flow quantiser.
        labels: ``[N] int64``, indices into ``LABELS``.
    """

    rgb: NDArray[np.uint8]
    flow: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def save(self, folder: Path) -> None:
        """Write the three arrays into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("rgb", "flow", "labels"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> "Clips":
        """Map what ``save`` wrote into memory; it is read as it is needed."""
        names = ("rgb", "flow", "labels")
        return cls(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in names))


def make_clips(count: int, seed: int, form: ClipFormat, jobs: int) -> Clips:
    """Generate ``count`` clips with every label equally often.

    Clip n depends on ``seed`` and n alone, so neither ``count`` nor ``jobs`` changes it.
    """
    with ProcessPoolExecutor(jobs) as pool:
        work = partial(make_clip, seed=seed, form=form)
        rgb, flow = zip(*pool.map(work, range(count), chunksize=8), strict=True)
    return Clips(np.stack(rgb), np.stack(flow), np.arange(count) % len(LABELS))


def make_clip(
    number: int, seed: int, form: ClipFormat
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures ``[KEPT, H, W, 3]`` and flow levels ``[KEPT - 1, H, W, 2]`` of clip ``number``."""
    from picture_reference import grey, quantize_flow, resize_short_side

    from extract.flow.tvl1.solver import tvl1
    from extract.video.clip import open_video

    rng = np.random.default_rng([seed, number])
    world = PRETRAINING_WORLD
    begin = float(rng.uniform(FADE, 1.3))
    duration = begin + KEPT / world.fps
    scene = random_scene(rng, world, _actors(rng, LABELS[number % len(LABELS)], duration))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        # Only the end is wanted; what precedes it is where the motion and the encoder get going.
        write_video(path, frames(scene, duration), world.fps, (world.width, world.height))
        with open_video(path) as clip:
            decoded = [frame for _, frame in clip.frames(world.fps)][-KEPT:]
    pictures = np.stack([resize_short_side(frame, form.side) for frame in decoded])
    fields = tvl1(
        np.stack([grey(picture) for picture in pictures]), device="cpu", threads=1, **form.flow
    )
    left = (pictures.shape[2] - form.crop - MARGIN) // 2
    columns = slice(left, left + form.crop + MARGIN)
    levels = np.rint((quantize_flow(fields) + 1) * 127.5).astype(np.uint8)
    return pictures[:, :, columns], levels.transpose(0, 2, 3, 1)[:, :, columns]


def _actors(rng: Generator, label: str, duration: float) -> Sequence[Any]:
    """The one actor that a label asks for, on stage until after the clip's end; or none."""
    if label == EMPTY:
        return ()
    look, motion = label.split()
    if motion == IDLE:
        motion = str(rng.choice([REST, DRIFT]))
    return (random_actor(rng, PRETRAINING_WORLD, look, [(motion, 0.0, duration + FADE)]),)
