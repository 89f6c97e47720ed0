"""From the frames of a video to its features, with all steps at the same time.

The caller's thread reads and resizes frames, some groups of snippets ahead; a task pool
(`extract.pipeline.task_pool`) computes flow and runs the networks. If one thread keeps a core busy
(I3D and TV-L1 on a CPU), the pool has a thread per processor thread, and none waits for another
within a snippet. Otherwise its one thread has all processor threads, or the GPU. Values depend
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
from extract.pipeline.frame_window import Field, FrameWindow, OnFrame
from extract.pipeline.snippets import SnippetGrid, flow_rows, frame_rows
from extract.pipeline.task_pool import TaskPool, result_of
from extract.streams import CHANNELS

if TYPE_CHECKING:
    from extract.flow.registry import FlowMethod
    from extract.inference.backbone import Backbone
    from extract.pipeline.frame_steps import Pending
    from extract.pipeline.frame_window import OpenVideo

CPU_GROUP = 4
"""Snippets that all threads work on together: enough to keep them busy, in a few hundred MB."""
SPARE_GROUPS = 2
"""Groups that run or wait beyond one per thread of the pool, so that no thread waits for frames."""
FLOW_TASKS = 4
"""Tasks that the flow of a group is divided into, so that threads share it."""

Group: TypeAlias = "dict[str, Future[Pending]]"
"""Tasks for the features of some snippets, by stream."""
FLOW, NETWORK = 0, 1  # flow first: a network waits for it


class Scheduler:
    """Turns frames into features.

    Args:
        backbone: the networks.
        flow: computes flow; None without the flow stream.
        streams: the streams to compute.
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
        """Load the networks, see ``Backbone.load``."""
        self._prepare()
        self._backbone.load(self._streams)

    def use_threads(self, threads: int) -> None:
        """Change the number of processor threads, from the next snippets on."""
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
        """Features ``[n, D]`` of each stream of the wanted snippets, in groups, in order.

        When the generator ends, also by ``close`` or an error, so do its threads.

        Args:
            clip: the video.
            frames: grid frames of the video.
            wanted: numbers of the snippets, ascending.
            on_frame: called with each grid frame.
            one_by_one: on a CPU, a group is one snippet.
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
                    del group  # frees its features before the next ones are computed
        finally:
            self._pool = None
            # The pool's number is its threads' own, but threads to come would begin with it.
            torch.set_num_threads(before)

    def _ahead(self, groups: Iterator[Group], count: int) -> Iterator[Group]:
        """Each group when it is done, or when ``count`` others have been submitted.

        An error of reading the video is raised after the groups before it.
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
        """Whether its features are computed; on a GPU, a finished task has only queued them."""
        return self._on_cpu and all(task.done() for task in group.values())

    def _prepare(self) -> None:
        """Set torch's number of threads, which is the calling thread's own."""
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
        """Submit tasks for groups of ``size`` snippets, in one pass over the video."""
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
        for run in self._divided(missing):
            pictures = [window.picture(n) for n in range(run.start, run.stop + 1)]
            task = pool.submit((rows[0], FLOW), functools.partial(self._steps.fields, pictures))
            for index, n in enumerate(run):
                window.flow[n] = task, index
        fields = {n: window.flow[n] for row in wanted for n in row}
        return pool.submit(
            (rows[0], NETWORK),
            functools.partial(self._flow_rows, fields, wanted),
            after=[run for run, _ in fields.values()],
        )

    def _divided(self, missing: Sequence[int]) -> Iterator[range]:
        """Divide fields into runs of consecutive ones, a task each."""
        most = -(-len(missing) // FLOW_TASKS) if self._thread_per_clip else len(missing)
        first = 0
        for end in range(1, len(missing) + 1):
            gap = end == len(missing) or missing[end] != missing[end - 1] + 1
            if gap or end - first == most:
                yield range(missing[first], missing[end - 1] + 1)
                first = end

    def _flow_rows(self, fields: Mapping[int, Field], wanted: Sequence[Sequence[int]]) -> "Pending":
        """Features of snippets whose fields are computed."""
        found = {n: run.result()[index] for n, (run, index) in fields.items()}
        return self._steps.flow(found, wanted)
