"""How a machine is divided among worker processes: how many, with which threads or GPU."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.backbones.spec import BackboneSpec
from extract.inference.batching import SMALL_CLIP
from extract.machine.devices import choose_device, cores
from extract.machine.memory import free_memory
from extract.sources.find import VideoInput
from extract.streams import CHANNELS

if TYPE_CHECKING:
    from extract.pipeline.extractor import Extractor

# A worker and its decoding process, with networks and current snippets; the weights come on top,
# twice: as read and as laid out for the processor.
WORKER_BYTES = 2 << 30
# Threads that one reader of frames keeps busy with a network of the published size.
THREADS_A_READER = 4
# Assumed for a URL: asking for the size of each would take too long.
URL_BYTES = 16 << 20
# Video that keeps a worker busy for several times as long as its start takes.
FEWEST_BYTES = 4 << 20


@dataclass(frozen=True)
class Division:
    """Worker processes and what each of them uses.

    Attributes:
        workers: processes, each working on a video.
        threads: processor threads of each of them.
        devices: what they compute on: worker n on device n modulo their number.
        scarce: what keeps the number of workers below the best one, else empty.
    """

    workers: int
    threads: int
    devices: tuple[str, ...] = ("cpu",)
    scarce: str = ""

    def device(self, worker: int) -> str:
        """What a worker computes on."""
        return self.devices[worker % len(self.devices)]

    def __str__(self) -> str:
        workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
        if self.devices[0] != "cpu":
            return f"{workers} on {', '.join(self.devices[: self.workers])}"
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        why = f" ({self.scarce} for more)" if self.scarce else ""
        return f"{workers} with {threads}{' each' * (self.workers > 1)}{why}"


def threads_each(workers: int) -> int:
    """Threads of one of several workers, so that together they fill the machine once."""
    return max(1, cores() // max(1, workers))


def divide(
    spec: BackboneSpec,
    streams: Sequence[str],
    sizes: Sequence[int],
    device: str,
    jobs: int | None = None,
    weights: int = 0,
) -> Division:
    """Fill the machine.

    On a CPU one reader of frames feeds a few threads of a large network. With a small network most
    of the work is reading, so each core has a worker of its own. A single video gets all threads.
    There are fewer workers if memory is short, or if starting them would be most of the work. Each
    GPU has one worker.

    Args:
        spec: the network.
        streams: those to extract.
        sizes: bytes of the videos.
        device: ``auto``, ``cpu`` or ``cuda[:N]``.
        jobs: workers that the user asks for; None leaves it to this function.
        weights: bytes of the files of weights.

    Raises:
        ExtractError: there is no such device.
    """
    chosen = choose_device(device)
    if chosen != "cpu":
        found = gpus() if device in ("auto", "cuda") else ()
        devices = found if len(found) > 1 else (chosen,)
        workers = max(1, min(jobs or len(devices), len(sizes)))
        return Division(workers, threads_each(workers), devices)
    if jobs is not None:
        workers = max(1, min(jobs, len(sizes)))
        return Division(workers, threads_each(workers))
    busy = sum(sizes) // FEWEST_BYTES
    workers, scarce = max(1, min(_workers_that_pay(spec, streams), len(sizes), busy)), ""
    free = free_memory()
    fitting = workers if free is None else free // (WORKER_BYTES + 2 * weights)
    if fitting < workers:
        workers, scarce = max(1, fitting), "too little memory"
    return Division(workers, threads_each(workers), scarce=scarce)


def divide_for(
    extractor: "Extractor", videos: Sequence[VideoInput], device: str, jobs: int | None
) -> Division:
    """As `divide`, for the videos that remain to be extracted."""
    backbone, sizes = extractor.backbone, list(sizes_of(videos).values())
    streams, weights = extractor.settings.streams, backbone.weights_bytes()
    return divide(backbone.spec, streams, sizes, device, jobs, weights)


def sizes_of(videos: Sequence[VideoInput]) -> dict[str, int]:
    """Bytes of video files by id; all URLs count alike."""
    sizes = {}
    for video in videos:
        sizes[video.id] = 0 if isinstance(video.path, Path) else URL_BYTES
        with contextlib.suppress(OSError):  # it is gone; extraction says so
            if isinstance(video.path, Path):
                sizes[video.id] = video.path.stat().st_size
    return sizes


def gpus() -> tuple[str, ...]:
    """The GPUs of this process by name."""
    import torch

    return tuple(f"cuda:{n}" for n in range(torch.cuda.device_count()))


def _workers_that_pay(spec: BackboneSpec, streams: Sequence[str]) -> int:
    seen = len(spec.seen) * spec.crop**2
    small = max(CHANNELS[stream] for stream in streams) * seen < SMALL_CLIP
    return cores() if small else -(-cores() // THREADS_A_READER)
