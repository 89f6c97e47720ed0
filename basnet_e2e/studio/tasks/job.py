"""Long work in child processes, so that the server answers at all times and a crash costs nothing.

A child prints JSON lines; its standard input is a pipe from the server. When that closes, the
server is gone and the child stops too.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

KEPT_LINES = 40
PATIENCE = 20.0  # seconds that a child has to end in
WORKER = "basnet_e2e.studio.tasks.worker"

Listener = Callable[[dict[str, Any]], None]


class Job:
    """One kind of work, at most one child at a time.

    Args:
        on_event: called with each JSON object that a child prints, from another thread.
        on_end: called with its exit code when it has ended.

    Attributes:
        error: what the last child complained of, when it failed.
    """

    def __init__(self, on_event: Listener, on_end: Callable[[int], None]) -> None:
        self._on_event, self._on_end = on_event, on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._lock = threading.Lock()
        self.error = ""

    @property
    def running(self) -> bool:
        """Whether a child works."""
        return self._reader is not None and self._reader.is_alive()

    def start(self, task: str, **options: Any) -> bool:
        """Start a child; False where one works already.

        Args:
            task: name of the task, see ``worker``.
            options: its arguments; paths and JSON values.
        """
        with self._lock:
            if self.running:
                return False
            self.error = ""
            text = json.dumps(options, default=os.fspath)
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, task, text],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=os.name == "posix",  # Ctrl-C in the terminal is the server's
                env=_environment(),
            )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()
            return True

    def stop(self) -> None:
        """Ask the child to end as on Ctrl-C; it keeps what it has done."""
        process = self._process
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()

    def close(self) -> None:
        """End the child, by force if it takes too long."""
        self.stop()
        if self._reader is not None:
            self._reader.join(PATIENCE)
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        last: deque[str] = deque(maxlen=KEPT_LINES)
        assert process.stdout is not None
        for line in process.stdout:
            text = line.decode("utf-8", "replace").strip()
            event = _event(text)
            if event is None:
                last.append(text)
            else:
                self._on_event(event)
        code = process.wait()
        if code not in (0, 130, -signal.SIGINT):
            errors = [line.removeprefix("error: ") for line in last if line.startswith("error: ")]
            self.error = (errors or list(last) or [f"ended with code {code}"])[-1]
        threading.Thread(target=self._ended, args=(threading.current_thread(), code)).start()

    def _ended(self, reader: threading.Thread, code: int) -> None:
        reader.join()  # only then is the job no longer running
        self._on_end(code)


def run_command(arguments: list[str], folder: Path) -> str:
    """Run a command of basnet to its end; its message where it failed, else an empty text."""
    done = subprocess.run(
        [sys.executable, "-m", "basnet_e2e", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=_environment(),
        check=False,
    )
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    return "" if done.returncode == 0 else (lines or ["failed"])[-1].removeprefix("error: ")


def _environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def _event(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "event" in found else None
