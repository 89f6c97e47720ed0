"""A decoder that takes its time, behind ``open_video``'s interface."""

import time

from extract.video.clip import open_video
from extract.video.heartbeat import beat

FRAME_SECONDS = 0.15


class Slow:
    """A clip that reads a frame only every while; those before the first wanted one count too."""

    def __init__(self, clip):
        self._clip = clip

    def __getattr__(self, name):
        return getattr(self._clip, name)

    def frames(self, fps, first=0):
        for n, (seconds, picture) in enumerate(self._clip.frames(fps)):
            time.sleep(FRAME_SECONDS)
            beat()
            if n >= first:
                yield seconds, picture


def open_slow(path, decoder, keep_partial):
    """See ``Slow``."""
    return Slow(open_video(path, decoder, keep_partial=keep_partial))
