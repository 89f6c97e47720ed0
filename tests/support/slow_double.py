"""A decoder that takes its time, and one that loses count, behind ``open_video``'s interface."""

import time

import extract.video.pyav_decoder as decoder_pyav
from extract.errors import MiscountError
from extract.video.clip import open_video
from extract.video.heartbeat import beat


def open_slow(path, decoder, keep_partial):
    """Every frame that is read takes 20 ms."""

    def slowly():
        time.sleep(0.02)
        beat()

    decoder_pyav.beat = slowly
    return open_video(path, decoder, keep_partial=keep_partial)


class _Miscounting:
    def __init__(self, clip):
        self._clip = clip

    def __getattr__(self, name):
        return getattr(self._clip, name)

    def frames(self, fps, first=0):
        yield next(self._clip.frames(fps, first))
        raise MiscountError("a.mp4: decord lost frames on the way")


def open_miscounting(path, decoder, keep_partial):
    """Count is lost after the first frame."""
    return _Miscounting(open_video(path, "pyav", keep_partial=keep_partial))
