"""Train the bundled network ``i3d-mini``: ``python tests/support/train_mini.py``.

Each stream is trained as a classifier of generated clips, on its own, as the full network's streams
were. About 20 minutes on two cores. The weights file records the command, the seed, the labels and
the accuracy reached on clips that were held out.
"""

import contextlib
import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pretraining import LABELS, MARGIN, ClipFormat, Clips, make_clips

from extract.machine.devices import cores

if TYPE_CHECKING:
    from torch import Tensor

    from extract.backbones.i3d import InceptionI3D

log = logging.getLogger(__name__)

NAME = "i3d-mini"
COMMAND = "python tests/support/train_mini.py"
BATCH = 16
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2
LABEL_SMOOTHING = 0.05
SCHEDULE = {"rgb": ((4, 18), (16, 4)), "flow": ((8, 4), (16, 7))}
"""Per stream: frames of a training clip, and passes over the clips at that length. Looks are learnt
from a few frames, at a fraction of the cost; the last passes are at the length of a snippet."""

WARM_UP = 0.15
"""Part of the steps in which the learning rate rises; it then falls along half a cosine."""


Schedule = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class TrainedStream:
    """A trained stream and its accuracies, in 0..1, on training and held-out clips."""

    tensors: dict[str, NDArray[Any]]
    accuracy: dict[str, float]


def batches(
    clips: Clips, stream: str, form: ClipFormat, rng: Generator, schedule: Schedule
) -> "Iterator[tuple[Tensor, Tensor]]":
    """Shuffled training batches: windows in time, crops and mirror images at random.

    Yields ``[BATCH, C, frames, crop, crop] float32`` in [-1, 1] and labels ``[BATCH] int64``, with
    ``frames`` as scheduled.
    """
    import torch

    for frames in (frames for frames, epochs in schedule for _ in range(epochs)):
        order = rng.permutation(len(clips))
        for first in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[first : first + BATCH]
            views = [_random_view(clips, stream, form, rng, n, frames) for n in chosen]
            yield _to_tensor(np.stack(views)), torch.from_numpy(clips.labels[chosen])


def _random_view(
    clips: Clips, stream: str, form: ClipFormat, rng: Generator, number: int, frames: int
) -> NDArray[np.uint8]:
    """One window of one clip, ``[frames, crop, crop, C] uint8``."""
    source = clips.rgb if stream == "rgb" else clips.flow
    start = rng.integers(source.shape[1] - frames + 1)
    top = rng.integers(form.side - form.crop + 1)
    left = rng.integers(MARGIN + 1)
    view = source[number, start : start + frames, top : top + form.crop, left : left + form.crop]
    if rng.integers(2):
        view = view[:, :, ::-1]
        if stream == "flow":
            # Seen in a mirror, motion to the right is motion to the left.
            view = np.stack([255 - view[..., 0], view[..., 1]], axis=-1)
    if stream == "rgb":
        # Colours carry no label; exchanging channels shows the network more of them.
        view = view[..., rng.permutation(3)]
    return view


def centre_views(clips: Clips, stream: str, form: ClipFormat) -> NDArray[np.uint8]:
    """The middle window and crop of every clip, as extraction would take it: no randomness."""
    source = clips.rgb if stream == "rgb" else clips.flow
    start = (source.shape[1] - form.length) // 2
    top = (form.side - form.crop) // 2
    left = MARGIN // 2
    return source[:, start : start + form.length, top : top + form.crop, left : left + form.crop]


def _to_tensor(views: NDArray[np.uint8]) -> "Tensor":
    """``[B, T, H, W, C] uint8`` to ``[B, C, T, H, W] float32`` in [-1, 1], both streams alike."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 4, 1, 2, 3))) / 127.5 - 1


def train_stream(
    stream: str,
    training: Clips,
    held_out: Clips,
    form: ClipFormat,
    *,
    schedule: Schedule,
    seed: int,
) -> TrainedStream:
    """Train one stream from random weights; equal seeds and threads give equal weights.

    Args:
        stream: ``rgb`` or ``flow``.
        training: Clips to learn from.
        held_out: Clips to measure on; they influence nothing.
        form: Sizes of the network's input.
        schedule: Pairs of (frames of a clip, passes over the training clips at that length).
        seed: Seed of weights, order and crops.
    """
    import torch
    from torch.nn import functional

    from extract.backbones.i3d import InceptionI3D

    torch.manual_seed(seed)
    net = InceptionI3D(
        in_channels=3 if stream == "rgb" else 2, classes=len(LABELS), width=0.25, pool="whole"
    ).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = sum(epochs for _, epochs in schedule) * (len(training) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=WARM_UP
    )
    began = time.monotonic()
    net.train()
    rng = np.random.default_rng(seed)
    running = float(np.log(len(LABELS)))
    for step, (clips, labels) in enumerate(batches(training, stream, form, rng, schedule), start=1):
        scores = net(clips.contiguous(memory_format=torch.channels_last_3d))
        loss = functional.cross_entropy(scores, labels, label_smoothing=LABEL_SMOOTHING)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        running += 0.05 * (loss.item() - running)
        if step % 25 == 0 or step == steps:
            speed = step * BATCH / (time.monotonic() - began)
            log.info(
                "%s: step %d of %d, loss %.3f, %.0f clips/s", stream, step, steps, running, speed
            )
    accuracy = {
        "training": measure(net, stream, training, form)["label"],
        **{f"held_out_{k}": v for k, v in measure(net, stream, held_out, form).items()},
    }
    log.info("%s: %s", stream, ", ".join(f"{k} {v:.3f}" for k, v in accuracy.items()))
    tensors = {
        name: value.numpy()
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    return TrainedStream(tensors, accuracy)


def measure(net: "InceptionI3D", stream: str, clips: Clips, form: ClipFormat) -> dict[str, float]:
    """Accuracy on the clips' middles: of the whole label, of its look and of its motion."""
    import torch

    net.eval()
    views = centre_views(clips, stream, form)
    with torch.inference_mode():
        found = np.concatenate(
            [
                net(_to_tensor(views[first : first + BATCH])).argmax(1).numpy()
                for first in range(0, len(views), BATCH)
            ]
        )
    words = np.array([(label.split() * 2)[:2] for label in LABELS])
    same = words[found] == words[clips.labels]
    return {
        "label": float(same.all(1).mean()),
        "look": float(same[:, 0].mean()),
        "motion": float(same[:, 1].mean()),
    }


def mini_format() -> ClipFormat:
    """Input sizes and flow schedule of ``i3d-mini``, from its spec in the backbone list."""
    from extract.backbones.registry import BACKBONES

    spec = BACKBONES[NAME]
    return ClipFormat(
        side=spec.frame_side,
        crop=spec.crop,
        length=spec.length,
        flow=dict(spec.flow_overrides),
    )


@click.command()
@click.option(
    "-o",
    "--output",
    default="weights",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for i3d-mini-rgb.safetensors and i3d-mini-flow.safetensors.",
)
@click.option("--clips", default=2080, show_default=True, help="Training clips.")
@click.option(
    "--streams",
    default="rgb,flow",
    show_default=True,
    type=click.Choice(["rgb,flow", "rgb", "flow"]),
    help="Networks to train.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of clips, weights and order.")
@click.option("--jobs", default=cores(), help="Processes that generate clips.")
@click.option(
    "--scratch",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep the clips here, and use those of an earlier run. Default: a temporary folder.",
)
def main(
    output: Path, clips: int, streams: str, seed: int, jobs: int, scratch: Path | None
) -> None:
    """Train i3d-mini on generated clips and write its weights files, one per stream."""
    set_up_messages()
    form = mini_format()
    with contextlib.ExitStack() as stack:
        if scratch is None:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for part, count, first in (("training", clips, seed), ("held_out", clips // 10, seed + 1)):
            if not (scratch / part / "labels.npy").exists():
                log.info("generating %d clips (%s)", count, part)
                make_clips(count, first, form, jobs).save(scratch / part)
        # Each stream is trained by one process on one thread: two threads share the work of one
        # small network badly.
        names = streams.split(",")
        with ProcessPoolExecutor(len(names), mp_context=get_context("spawn")) as pool:
            work = partial(_train_saved, scratch=scratch, output=output, form=form, seed=seed)
            for path in pool.map(work, names):
                log.info("%s written", path)


def _train_saved(stream: str, scratch: Path, output: Path, form: ClipFormat, seed: int) -> Path:
    """``train_stream`` on clips that ``Clips.save`` wrote, in a process of its own."""
    import torch
    from bundled_weights import write_bundled

    torch.set_num_threads(1)
    set_up_messages()
    training, held_out = Clips.load(scratch / "training"), Clips.load(scratch / "held_out")
    schedule = SCHEDULE[stream]
    outcome = train_stream(stream, training, held_out, form, schedule=schedule, seed=seed)
    meta = {
        "name": NAME,
        "stream": stream,
        "classes": list(LABELS),
        "command": f"{COMMAND} --clips {len(training)} --seed {seed}",
        "seed": seed,
        "clips": len(training),
        "schedule": schedule,
        "accuracy": {key: round(value, 4) for key, value in outcome.accuracy.items()},
    }
    path = output / f"{NAME}-{stream}.safetensors"
    write_bundled(path, outcome.tensors, meta)
    return path


def set_up_messages() -> None:
    """Show progress as plain lines."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("extract").setLevel(logging.WARNING)  # it reports every clip it opens


if __name__ == "__main__":
    main()
