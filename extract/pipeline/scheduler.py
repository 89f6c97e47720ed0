"""Frames of a video to feature rows, the steps running at the same time.

The caller's thread reads frames and resizes them, some groups of snippets ahead; a task pool
(`extract.pipeline.task_pool`) computes flow and runs the networks. Where one thread alone keeps a
core busy with flow and network (I3D and TV-L1 on a CPU), the pool has a thread for each processor
thread: nothing waits for another thread within a snippet, and the cores are full from the first
snippet to the last. Otherwise its one thread has all processor threads, or the GPU. A value depends
neither on the number of threads nor on what else is running.
"""

import functools
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from extract.inference.batching import GPU_BATCH, cpu_batch
from extract.pipeline.frame_window import Field, FrameWindow, OnFrame, runs
from extract.pipeline.snippets import SnippetGrid, flow_rows, frame_rows
from extract.pipeline.task_pool import TaskPool, result_of
from extract.streams import CHANNELS

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone
    from extract.pipeline.frame_steps import Pending
    from extract.pipeline.frame_window import OpenVideo

# Snippets that all threads work on together: enough to keep them busy, within some hundred
# megabytes.
CPU_GROUP = 4
# Groups that run or wait beyond one for each thread of the pool, so that none waits for frames.
SPARE_GROUPS = 2
# Tasks that the flow of a group is cut into, so that threads share it.
FLOW_TASKS = 4

Group: TypeAlias = "dict[str, Future[Pending]]"
"""Tasks for the features of some snippets, by stream."""
FLOW, NETWORK = 0, 1  # flow first: a network waits for it


class Scheduler:
    """Everything that turns frames into features.

    Args:
        backbone: the networks.
        flow: computes flow; None where the flow stream is not wanted.
        streams: those that are wanted.
        grid: how a video is cut into snippets.
        quantize: see ``quantize_flow``.
        threads: processor threads; None takes torch's number.
    """

    def __init__(
        self,
        backbone: "Backbone",
        flow: "FlowMethod | None",
        streams: Sequence[str],
        grid: SnippetGrid,
        quantize: str,
        threads: int | None = None,
    ) -> None:
        from extract.pipeline.frame_steps import FrameSteps

        self._backbone = backbone
        self._streams = tuple(streams)
        self._grid = grid
        self._steps = FrameSteps(backbone, flow, quantize)
        self._threads = threads
        self._pool: TaskPool | None = None
        spec = backbone.spec
        self._on_cpu = backbone.device == "cpu"
        self._thread_per_clip = (
            self._on_cpu
            and spec.single_thread_per_clip
            and (flow is None or flow.single_thread_per_pair)
        )
        clip = [(CHANNELS[name], spec.length, spec.crop, spec.crop) for name in streams]
        batch = max(map(cpu_batch, clip)) if self._thread_per_clip else CPU_GROUP
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
        if self._pool is not None and self._thread_per_clip:
            self._pool.resize(threads)

    def rows(
        self,
        clip: "OpenVideo",
        frames: int,
        wanted: Sequence[int],
        *,
        on_frame: OnFrame | None = None,
        one_by_one: bool = False,
    ) -> Generator[dict[str, NDArray[np.float32]]]:
        """Features ``[n, D]`` of each stream of the wanted snippets, some at a time, in order.

        At the generator's end, also by ``close`` or an error, no thread of it is left.

        Args:
            clip: the video.
            frames: grid frames of the video.
            wanted: numbers of the snippets, ascending.
            on_frame: called with each grid frame.
            one_by_one: on a CPU no snippet waits for others.
        """
        import torch

        size = 1 if one_by_one and self._on_cpu else self._group
        before = torch.get_num_threads()
        width = self._threads or before if self._thread_per_clip else 1
        try:
            with TaskPool(width, self._prepare) as pool:
                self._pool = pool
                groups = self._groups(pool, clip, frames, wanted, size, on_frame)
                for group in self._ahead(groups, width + SPARE_GROUPS):
                    yield {name: result_of(task)() for name, task in group.items()}
                    del group  # its features would live until the next ones are there
        finally:
            self._pool = None
            # The pool's number is its threads' own, but threads to come would begin with it.
            torch.set_num_threads(before)

    def _ahead(self, groups: Iterator[Group], count: int) -> Iterator[Group]:
        """The groups, each given out when it is done, or ``count`` others have been submitted.

        What reading the video raises comes after the groups before it.
        """
        waiting: deque[Group] = deque()
        failure: Exception | None = None
        while failure is None:
            try:
                waiting.append(next(groups))
            except StopIteration:
                break
            except Exception as error:
                failure = error
            while waiting and (len(waiting) > count or self._is_done(waiting[0])):
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()
        if failure is not None:
            raise failure

    def _is_done(self, group: Group) -> bool:
        """Whether its features are there; on a GPU a task that is done has only queued them."""
        return self._on_cpu and all(task.done() for task in group.values())

    def _prepare(self) -> None:
        """Set the number of torch's threads, which each thread that computes has for itself."""
        import torch

        if self._threads is None and not self._thread_per_clip:
            return
        alone = self._thread_per_clip and self._pool
        threads = 1 if alone else self._threads or torch.get_num_threads()
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def _groups(
        self,
        pool: TaskPool,
        clip: "OpenVideo",
        frames: int,
        wanted: Sequence[int],
        size: int,
        on_frame: OnFrame | None,
    ) -> Generator[dict[str, "Future[Pending]"]]:
        """Tasks that compute the rows of ``size`` of the wanted snippets at a time, in one pass."""
        if not len(wanted):
            return
        window = FrameWindow(clip, frames, self._steps, self._grid, wanted, on_frame)
        for first in range(0, len(wanted), size):
            rows = wanted[first : first + size]
            group = {}
            if "flow" in self._streams:
                group["flow"] = self._submit_flow(pool, window, rows, frames)
            if "rgb" in self._streams:
                group["rgb"] = self._submit_rgb(pool, window, rows, frames)
            yield {name: group[name] for name in self._streams}
            if first + size < len(wanted):
                window.forget_before(wanted[first + size] * self._grid.stride)

    def _submit_rgb(
        self, pool: TaskPool, window: FrameWindow, rows: Sequence[int], frames: int
    ) -> "Future[Pending]":
        wanted = [frame_rows(row, frames, self._grid) for row in rows]
        pictures = {n: window.picture(n) for row in wanted for n in row}
        return pool.submit((rows[0], NETWORK), functools.partial(self._steps.rgb, pictures, wanted))

    def _submit_flow(
        self, pool: TaskPool, window: FrameWindow, rows: Sequence[int], frames: int
    ) -> "Future[Pending]":
        wanted = [flow_rows(row, frames, self._grid) for row in rows]
        missing = sorted({n for row in wanted for n in row} - window.flow.keys())
        for run in self._shared_out(missing):
            pictures = [window.picture(n) for n in range(run.start, run.stop + 1)]
            task = pool.submit((rows[0], FLOW), functools.partial(self._steps.fields, pictures))
            for index, n in enumerate(run):
                window.flow[n] = Field(task, index)
        fields = {n: window.flow[n] for row in wanted for n in row}
        return pool.submit(
            (rows[0], NETWORK),
            functools.partial(self._flow_rows, fields, wanted),
            after=[field.run for field in fields.values()],
        )

    def _shared_out(self, missing: Sequence[int]) -> Iterator[range]:
        """Consecutive fields that one task computes."""
        most = -(-len(missing) // FLOW_TASKS) if self._thread_per_clip else len(missing)
        for run in runs(missing):
            for first in run[::most]:
                yield range(first, min(first + most, run.stop))

    def _flow_rows(self, fields: Mapping[int, Field], wanted: Sequence[Sequence[int]]) -> "Pending":
        """Features of fields that have been computed by now."""
        found = {n: field.run.result()[field.offset] for n, field in fields.items()}
        return self._steps.flow(found, wanted)
