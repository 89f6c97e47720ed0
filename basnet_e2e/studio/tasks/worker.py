"""The program of a child process: ``python -m basnet_e2e.studio.tasks.worker TASK JSON``."""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from extract.jobs.plan import Event


def send(event: str, **values: Any) -> None:
    """Send an event to the server, as a line of JSON."""
    print(json.dumps({"event": event, **values}, ensure_ascii=True), flush=True)


def features(videos: str, folder: str, backbone: str, streams: list[str], stride: int) -> None:
    """Extract what is missing of a folder of videos, as ``basnet extract`` does."""
    from extract.jobs.run import extract_folder
    from extract.pipeline.settings import ExtractSettings

    def on_event(event: "Event") -> None:
        names = ("done", "total", "seconds", "duration", "message")
        values = {name: getattr(event, name) for name in names}
        send(event.kind, video=event.video.id, **values)

    settings = ExtractSettings(backbone=backbone, streams=tuple(streams), stride=stride)
    extract_folder(videos, folder, settings, on_event=on_event)


def train(project: str, resume: bool) -> None:
    """Train on what is known, and look at every video with the new model."""
    from basnet_e2e.studio.tasks.training import train_project

    train_project(Path(project), resume=resume, send=send)


def look(project: str) -> None:
    """Look at every video with the model."""
    from basnet_e2e.studio.tasks.training import look_with_model

    look_with_model(Path(project), send)


def check(project: str) -> None:
    """Score the model on the corrected videos that it did not learn from."""
    from basnet_e2e.studio.tasks.training import check_project

    check_project(Path(project), send)


def proxy(source: str, target: str) -> None:
    """Make a copy of a video that every browser plays."""
    from basnet_e2e.studio.tasks.proxy import write_proxy

    write_proxy(Path(source), Path(target), lambda done, total: send("frame", done=done, of=total))


TASKS: dict[str, Callable[..., None]] = {
    task.__name__: task for task in (features, train, look, check, proxy)
}


def main() -> None:
    """Run a task; mistakes that a user can put right are one line and exit code 2."""
    from basnet_e2e.errors import BasnetError
    from extract.errors import ExtractError
    from weights.errors import WeightsError

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    threading.Thread(target=_follow_server, daemon=True).start()
    try:
        TASKS[sys.argv[1]](**json.loads(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
    except (BasnetError, ExtractError, WeightsError, OSError) as error:
        print(f"error: {error}", flush=True)
        sys.exit(2)


def _follow_server() -> None:
    """Stop as on Ctrl-C when the server is gone."""
    # The raw file: a reader that blocks within a buffer would keep the interpreter from ending.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    main()
