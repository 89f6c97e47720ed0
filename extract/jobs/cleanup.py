"""What several processes on one plan must heed: memory not in common, what a dead one leaves."""

from pathlib import Path

from extract.errors import ExtractError
from extract.features.checkpoints import Chunks
from extract.features.failure_lists import FAILURES, change_failures
from extract.jobs.plan import Event, Plan
from extract.machine.file_locks import claim
from extract.sources.find import VideoInput
from extract.sources.urls import OF_ONE_PROCESS, Url


def own_memory(plan: Plan) -> Url | None:
    """An input or the output that stands in this process's memory, where no other one sees it."""
    for place in (plan.folder, *(video.path for video in plan.todo)):
        if isinstance(place, Url) and in_one_process(place):
            return place
    return None


def in_one_process(place: Path | Url) -> bool:
    """Whether no other process sees what stands there."""
    return isinstance(place, Url) and place.scheme in OF_ONE_PROCESS


def refuse_memory(plan: Plan) -> None:
    """Several processes have no memory in common.

    Raises:
        ExtractError: an input or the output stands in this process's memory.
    """
    place = own_memory(plan)
    if place is not None:
        raise ExtractError(f"{place}: is this process's own memory, so --jobs must be 1")


def give_up(plan: Plan, event: Event) -> None:
    """Record the failure of a video whose process died, unless another one has it by now."""
    video_id, place = event.video.id, plan.place
    with claim(place.local, video_id) as claimed:
        if claimed:
            Chunks(place.local, video_id).clear()
            place.remove_half_written(video_id)
            change_failures(plan.folder, (), {video_id: event.message}, plan.failures or FAILURES)


def leave(plan: Plan, video: VideoInput, patience: float) -> None:
    """Remove what a process left half written that was ended amid a video.

    Args:
        plan: of the video.
        video: what it worked on.
        patience: seconds in which its lock is freed.
    """
    place = plan.place
    with claim(place.local, video.id, patience) as claimed:
        if claimed:
            place.remove_half_written(video.id)
