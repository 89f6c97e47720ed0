"""A decoding process that can be killed: started once, used for one video after another."""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extract.errors import ExtractError, VideoError
from extract.machine.memory import default_limit
from extract.machine.stop_signals import stops_blocked
from extract.video.isolation.child import OPENER
from extract.video.isolation.shared_memory import SharedFrames, new_memory

# Imports from a busy network file system are slow, which is not the fault of a video.
START_SECONDS = 300.0
END_SECONDS = 5.0  # for a process to stop decoding, or to end
GIGABYTE = 1 << 30
ROOT = Path(__file__).resolve().parents[3]  # the folder that contains the package
PROGRAM = (
    "import json, sys; path, argument = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from extract.video.isolation.child import main; main(argument)"
)


class DecoderLostError(Exception):
    """The decoding process died, or hung and was killed; the message says why."""


class DecodingProcess:
    """A decoding process and the requests to it.

    Args:
        stall: seconds without a new frame after which it counts as hung and is killed.
        opener: ``module:function`` that opens a video there.
        limit: bytes of memory that it may use; default: half of the machine's.
    """

    def __init__(self, stall: float, opener: str = OPENER, limit: int | None = None) -> None:
        self._stall = stall
        self._limit = limit or default_limit()
        self._memory = new_memory()
        self._name = ""
        settings = {"opener": opener, "memory": self._memory, "limit": self._limit}
        # Our folder first: the process must run this code, whatever else is called `extract`.
        argument = json.dumps([[str(ROOT), *sys.path], json.dumps(settings)])
        shared: Any = {} if self._memory is None else {"pass_fds": (self._memory,)}
        with stops_blocked():  # it ends with this process
            self._process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, argument],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # It copies arrays and never computes with them: more threads would be idle.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                **shared,
            )
            self._end = weakref.finalize(self, _end, self._process, self._memory)
        self._said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=_read, args=(self._process.stdout, self._said), daemon=True).start()
        self._ready = False

    @property
    def gone(self) -> bool:
        """Whether it has ended."""
        return not self._end.alive or self._process.poll() is not None

    def open(self, path: str, decoder: str, keep_partial: bool) -> dict[str, Any]:
        """Open a video, by ``open_video``; return the attributes of its ``Clip``.

        Raises:
            DecoderLostError: the process hung or ended.
        """
        if not self._ready:
            self._receive("ready", START_SECONDS)
            self._ready = True
        self._name = f"basnet-{uuid.uuid4().hex}"
        options = {"decoder": decoder, "keep_partial": keep_partial, "memory_name": self._name}
        self._say(do="open", path=path, **options)
        facts: dict[str, Any] = self._receive("opened")["opened"]
        return facts | {"size": tuple(facts["size"])}

    def count(self, fps: str) -> int:
        """Number of grid frames of the open video."""
        self._say(do="count", fps=fps)
        return int(self._receive("count")["count"])

    def frames(
        self, fps: str, first: int, size: tuple[int, int]
    ) -> Iterator[tuple[int, NDArray[np.uint8], str]]:
        """Yield grid frames of the open video from ``first`` on: number, picture, decoder in use.

        Raises:
            DecoderLostError: the process hung or ended.
        """
        self._say(do="give", fps=fps, first=first)
        slots = SharedFrames(self._memory, self._name, size).slots
        picture: NDArray[np.uint8] | None = None
        try:
            while "end" not in (message := self._receive("frame", also="end")):
                if message["slot"] >= 0:
                    picture = slots[message["slot"]].copy()
                    self._say(free=message["slot"])
                assert picture is not None
                yield message["frame"], picture, message["decoder"]
        except GeneratorExit:
            self._stop_frames()
            raise
        except KeyboardInterrupt:
            self.kill()  # it would wait for free slots
            raise

    def _stop_frames(self) -> None:
        """The caller needs no more frames: let the process stop decoding, or kill it."""
        try:
            self._say(free=None)
            while "end" not in self._receive("frame", END_SECONDS, also="end"):
                pass
        except (DecoderLostError, ExtractError):
            self.kill()

    def kill(self) -> None:
        """Kill the process."""
        self._end()

    def _say(self, **message: Any) -> None:
        assert self._process.stdin is not None
        # If the process is gone, the next ``_receive`` says so.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _receive(
        self, wanted: str, seconds: float | None = None, also: str = "opened"
    ) -> dict[str, Any]:
        """The next message of a kind; every sign of life restarts the time limit."""
        patience = self._stall if seconds is None else seconds
        while True:
            try:
                message = self._said.get(timeout=patience)
            except queue.Empty:
                self.kill()
                raise DecoderLostError(f"gave no frame for {patience:g} s") from None
            except KeyboardInterrupt:
                self.kill()  # it may hang, or answer during the next request
                raise
            if message is None:
                raise DecoderLostError(self._cause_of_death())
            if wanted in message or also in message:
                return message
            if "log" in message:
                logging.getLogger(message["name"]).log(message["level"], "%s", message["log"])
            elif "error" in message:
                self._raise(message["error"], message["message"])

    def _raise(self, kind: str, text: str) -> None:
        """Raise the error of the other process in this one."""
        if kind == "memory":
            self.kill()  # whatever used the memory still holds it
            size = f"more than {self._limit / GIGABYTE:.1f} GB of" if self._limit else "too much"
            raise DecoderLostError(f"asked for {size} memory")
        known = {"video": VideoError, "setting": ExtractError}
        raise known.get(kind, UnexpectedError)(text)

    def _cause_of_death(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=END_SECONDS)
        code = self._process.returncode
        self.kill()
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"was killed by {name} ({'out of memory?' if name == 'SIGKILL' else 'a crash'})"
        return f"exited with code {code}"


class UnexpectedError(RuntimeError):
    """An error of the decoding process that no video should cause."""


def _read(pipe: Any, said: "queue.SimpleQueue[dict[str, Any] | None]") -> None:
    """Body of the thread that reads answers; None marks the end."""
    with contextlib.suppress(OSError, ValueError):
        for line in pipe:
            said.put(json.loads(line))
    said.put(None)


def _end(process: "subprocess.Popen[bytes]", memory: int | None) -> None:
    process.kill()
    process.wait()
    with contextlib.suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    if memory is not None:
        os.close(memory)
