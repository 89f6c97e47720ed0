"""The decoding process: opens videos for another process and puts pictures into shared memory.

It reads requests as JSON lines from standard input and answers on what was its standard output. It
imports neither torch nor numba, so that it starts within a second. ``parent`` is the other side.
"""

import contextlib
import importlib
import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from extract.errors import ExtractError, VideoError
from extract.machine.memory import limit_memory
from extract.video.heartbeat import beats
from extract.video.isolation.shared_memory import SharedFrames, slots_for

BEAT_SECONDS = 0.2  # between two checks whether frames are still read
OPENER = "extract.video.clip:open_video"
STOP = None
KINDS: dict[type[BaseException], str] = {
    VideoError: "video",
    ExtractError: "setting",
    MemoryError: "memory",
}


def main(argument: str) -> None:
    """Answer requests until the other process ends or closes the pipe.

    Args:
        argument: JSON with ``opener`` (``module:function``, which opens a video), ``memory`` (the
            descriptor of the shared memory) and ``limit`` (bytes that this process may use).
    """
    settings = json.loads(argument)
    # What libraries print would garble the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, _, function = settings["opener"].partition(":")
    if settings["opener"] == OPENER:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module("decord")  # takes a second, before the first video
    opener = getattr(importlib.import_module(module), function)
    limit_memory(settings["limit"])
    _Child(answers, settings["memory"], opener).serve()


class _Child:
    def __init__(self, answers: Any, memory: int | None, opener: Callable[..., Any]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._memory = memory
        self._opener = opener
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._clip: Any = None
        self._frames: SharedFrames | None = None

    def serve(self) -> None:
        logger = logging.getLogger("extract")
        logger.addHandler(_Forward(self._say))
        logger.setLevel(logging.DEBUG)
        for work in (self._listen, self._beat):
            threading.Thread(target=work, daemon=True).start()
        self._say(ready=True)
        while True:
            request = self._requests.get()
            try:
                getattr(self, f"_{request.pop('do')}")(**request)
            except Exception as error:
                kind = next((KINDS[c] for c in type(error).__mro__ if c in KINDS), "other")
                text = str(error) if kind != "other" else f"{type(error).__name__}: {error}"
                self._say(error=kind, message=" ".join(text.split()))

    def _open(self, path: str, decoder: str, keep_partial: bool, memory_name: str) -> None:
        if self._clip is not None:
            self._clip.close()
        self._clip = clip = self._opener(path, decoder=decoder, keep_partial=keep_partial)
        self._frames = SharedFrames(self._memory, memory_name, clip.size)
        facts = ("size", "fps", "duration", "source_frames", "partial", "decoder")
        self._say(opened={name: getattr(clip, name) for name in facts})

    def _count(self, fps: str) -> None:
        self._say(count=self._clip.frame_count(Fraction(fps)))

    def _give(self, fps: str, first: int) -> None:
        """Put grid frames from ``first`` on into free slots; a repeated one is not sent again."""
        assert self._frames is not None
        slots = self._frames.slots
        free: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._free = free
        for slot in range(slots_for(self._clip.size)):
            free.put(slot)
        held = None
        for n, (_, picture) in enumerate(self._clip.frames(Fraction(fps), first), start=first):
            slot = -1
            if picture is not held:
                place = free.get()
                if place is STOP:
                    break
                slot, held = place, picture
                slots[slot] = picture
            self._say(frame=n, slot=slot, decoder=self._clip.decoder)
        self._say(end=True, decoder=self._clip.decoder)

    def _listen(self) -> None:
        """Sort the parent's messages; exit with it, even if decoding hangs."""
        for line in sys.stdin:
            request = json.loads(line)
            if "free" in request:
                self._free.put(request["free"])
            else:
                self._requests.put(request)
        os._exit(0)

    def _beat(self) -> None:
        """Report to the parent whenever frames have been read."""
        last = beats()
        while True:
            time.sleep(BEAT_SECONDS)
            now = beats()
            if now != last:
                last = now
                self._say(alive=True)

    def _say(self, **message: Any) -> None:
        with self._lock:
            try:
                self._answers.write(json.dumps(message) + "\n")
                self._answers.flush()
            except OSError:  # the parent is gone
                os._exit(0)


class _Forward(logging.Handler):
    """Sends log records of this process to the parent."""

    def __init__(self, say: Callable[..., None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(log=record.getMessage(), level=record.levelno, name=record.name)
