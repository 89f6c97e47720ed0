"""Frames of a video to feature rows, the stages at work at the same time.

A thread reads frames ahead and resizes them; lanes (`extract.pipeline.task_pool`) compute flow and
run the networks. Where one thread alone keeps a core busy with flow and network (I3D and TV-L1 on a
CPU), there is a lane for each processor thread: nothing waits for another thread within a snippet,
and the cores are full from the first snippet to the last. Elsewhere one lane has all threads, or
the GPU. A value depends neither on the number of lanes nor on what else is at work.
"""

import functools
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from extract.inference.batching import GPU_BATCH, cpu_batch
from extract.pipeline.frame_steps import ArrayWork, Work
from extract.pipeline.frame_window import Field, Pictures, Watch, Window, runs
from extract.pipeline.prefetch import Ahead
from extract.pipeline.snippets import SnippetGrid, flow_rows, frame_rows
from extract.pipeline.task_pool import Lanes, Task
from extract.streams import CHANNELS

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone

# Snippets that all threads work on together: enough to keep them busy, within some hundred
# megabytes.
CPU_GROUP = 4
# Groups that are at work or wait beyond one for each lane, so that no lane waits for frames.
SPARE_GROUPS = 2
# Tasks that the flow of a group is cut into, so that lanes share it.
FLOW_TASKS = 4

Rows = dict[str, NDArray[np.float32]]
Found = dict[str, Any]
"""Features that are on their way, by stream."""
FLOW, NETWORK = 0, 1  # flow first: a network waits for it


class Source(Pictures, Protocol):
    """An opened video whose frames can be given up, whatever they wait for."""

    def abandon(self) -> None:
        """End the wait for a frame that another thread is in."""


class Stages:
    """What becomes of frames, with all that this takes.

    Args:
        backbone: the networks.
        flow: computes flow; None where the flow stream is not wanted.
        streams: those that are wanted.
        grid: how a video is cut into snippets.
        quantize: see ``quantize_flow``.
        threads: processor threads; None takes torch's number.
        tensors: work on tensors of the backbone's device, not on arrays.
    """

    def __init__(
        self,
        backbone: "Backbone",
        flow: "FlowMethod | None",
        streams: Sequence[str],
        grid: SnippetGrid,
        quantize: str,
        threads: int | None = None,
        *,
        tensors: bool = False,
    ) -> None:
        self._backbone = backbone
        self._streams = tuple(streams)
        self._grid = grid
        self._work = _work(backbone, flow, quantize, tensors)
        self._threads = threads
        self._lanes: Lanes | None = None
        record = backbone.record
        self._on_cpu = backbone.device == "cpu" and not tensors
        self._spread = (
            self._on_cpu and record.clip_a_thread and (flow is None or flow.single_thread_per_pair)
        )
        clip = [(CHANNELS[name], record.length, record.crop, record.crop) for name in streams]
        batch = max(map(cpu_batch, clip)) if self._spread else CPU_GROUP
        self._group = batch if self._on_cpu else GPU_BATCH

    def load(self) -> None:
        """Load the networks.

        Raises:
            ExtractError: the weights are those of another network.
            WeightsError: the weights of a stream are not there.
        """
        self._prepare()
        self._backbone.load(self._streams)

    def use_threads(self, threads: int) -> None:
        """Compute on that many processor threads from the next snippets on."""
        self._threads = threads
        if self._lanes is not None and self._spread:
            self._lanes.resize(threads)

    def rows(
        self,
        clip: Source,
        frames: int,
        wanted: Sequence[int],
        *,
        watch: Watch | None = None,
        one_by_one: bool = False,
    ) -> Generator[Found]:
        """What `fetch` makes features of the wanted snippets of, some at a time, in order.

        At the generator's end, also by ``close`` or an error, no thread of it is left.

        Args:
            clip: the video; its frames are read in another thread.
            frames: grid frames of the video.
            wanted: numbers of the snippets, ascending.
            watch: is shown each grid frame on its way, in another thread.
            one_by_one: on a CPU no snippet waits for others.
        """
        import torch

        size = 1 if one_by_one and self._on_cpu else self._group
        before = torch.get_num_threads()
        width = self._threads or before if self._spread else 1
        try:
            with Lanes(width, self._prepare) as lanes:
                self._lanes = lanes
                groups = self._groups(lanes, clip, frames, wanted, size, watch)
                with Ahead(groups, width + SPARE_GROUPS, clip.abandon) as ahead:
                    try:
                        for tasks in ahead:
                            yield {name: task.result() for name, task in tasks.items()}
                    finally:
                        lanes.give_up()  # first, so that lanes and reader end together
        finally:
            self._lanes = None
            # The lanes' number is theirs, but other threads to come would begin with it.
            torch.set_num_threads(before)

    def ready(self, found: Found) -> bool:
        """Whether features need not wait for more snippets to be computed along with."""
        return all(self._work.ready(rows) for rows in found.values())

    def fetch(self, found: Found) -> Rows:
        """Features ``[n, D]`` of each stream; waits until they are there."""
        return {name: self._work.rows(rows) for name, rows in found.items()}

    def _prepare(self) -> None:
        """Set the number of torch's threads, which each thread that computes has for itself."""
        import torch

        if self._threads is None and not self._spread:
            return
        threads = 1 if self._spread and self._lanes else self._threads or torch.get_num_threads()
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def _groups(
        self,
        lanes: Lanes,
        clip: Source,
        frames: int,
        wanted: Sequence[int],
        size: int,
        watch: Watch | None,
    ) -> Generator[dict[str, Task[Any]]]:
        """Tasks that give the rows of ``size`` of the wanted snippets at a time, in one pass."""
        if not len(wanted):
            return
        window = Window(clip, frames, self._work, self._grid, wanted, watch)
        for first in range(0, len(wanted), size):
            rows = wanted[first : first + size]
            group = {}
            if "flow" in self._streams:
                group["flow"] = self._submit_flow(lanes, window, rows, frames)
            if "rgb" in self._streams:
                group["rgb"] = self._submit_rgb(lanes, window, rows, frames)
            yield {name: group[name] for name in self._streams}
            if first + size < len(wanted):
                window.forget_before(wanted[first + size] * self._grid.stride)

    def _submit_rgb(
        self, lanes: Lanes, window: Window, rows: Sequence[int], frames: int
    ) -> Task[Any]:
        wanted = [frame_rows(row, frames, self._grid) for row in rows]
        pictures = {n: window.picture(n) for row in wanted for n in row}
        return lanes.submit((rows[0], NETWORK), functools.partial(self._work.rgb, pictures, wanted))

    def _submit_flow(
        self, lanes: Lanes, window: Window, rows: Sequence[int], frames: int
    ) -> Task[Any]:
        wanted = [flow_rows(row, frames, self._grid) for row in rows]
        missing = sorted({n for row in wanted for n in row} - window.flow.keys())
        for run in self._shared_out(missing):
            pictures = [window.picture(n) for n in range(run.start, run.stop + 1)]
            task = lanes.submit((rows[0], FLOW), functools.partial(self._work.fields, pictures))
            for place, n in enumerate(run):
                window.flow[n] = Field(task, place)
        fields = {n: window.flow[n] for row in wanted for n in row}
        return lanes.submit(
            (rows[0], NETWORK),
            functools.partial(self._flow_rows, fields, wanted),
            after=[field.run for field in fields.values()],
        )

    def _shared_out(self, missing: Sequence[int]) -> Iterator[range]:
        """Consecutive fields that one task computes."""
        most = -(-len(missing) // FLOW_TASKS) if self._spread else len(missing)
        for run in runs(missing):
            for first in run[::most]:
                yield range(first, min(first + most, run.stop))

    def _flow_rows(self, fields: Mapping[int, Field], wanted: Sequence[Sequence[int]]) -> Any:
        """Features of fields that have been computed by now."""
        found = {n: field.run.result()[field.place] for n, field in fields.items()}
        return self._work.flow(found, wanted)


def _work(backbone: "Backbone", flow: "FlowMethod | None", quantize: str, tensors: bool) -> Work:
    if tensors:
        from extract.pipeline.device_steps import DeviceWork

        return DeviceWork(backbone, flow, quantize)
    return ArrayWork(backbone, flow, quantize)
