"""Decoders that misbehave as real ones do, behind the interface of ``open_video``.

They open a real video and do at one frame, or while opening, what the file's name asks for: the
decoding process imports this file, so that a test cannot hand it an object.
"""

import os
import signal
import threading
import time
from pathlib import Path

from extract.video.clip import open_video
from extract.video.heartbeat import beat

AT = 30
OPENER = "doubles:open_misbehaving"
hanging = threading.Event()


def beat_until_hanging():
    """However slow the machine is, nothing but a hang is taken for one."""
    while not hanging.wait(0.05):
        beat()


def hang():
    hanging.set()
    while True:
        time.sleep(1)


def eat():
    taken = []
    while True:
        taken.append(bytearray(64 << 20))


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


MISDEEDS = {"hang": hang, "eat": eat, "crash": crash}


class Misbehaving:
    """A clip whose frames come until one where its decoder misbehaves."""

    def __init__(self, clip, misdeed, decoder):
        self._clip = clip
        self._misdeed = misdeed
        self.decoder = decoder

    def __getattr__(self, name):
        return getattr(self._clip, name)

    def frames(self, fps, first=0):
        for n, (seconds, picture) in enumerate(self._clip.frames(fps, first), start=first):
            if n == AT:
                self._misdeed()
            yield seconds, picture


def open_misbehaving(path, decoder, keep_partial):
    """By name: MISDEED_decord does it in decord only, MISDEED_both in either, MISDEED_open first.

    MISDEED is ``hang``, ``eat`` or ``crash``; any other name is a video without fault. The process
    writes its number to ``PATH.pid``.
    """
    Path(f"{path}.pid").write_text(str(os.getpid()))
    threading.Thread(target=beat_until_hanging, daemon=True).start()
    word, _, who = Path(path).stem.partition("_")
    misdeed = MISDEEDS.get(word)
    if misdeed and who == "open":
        misdeed()
    clip = open_video(path, "pyav", keep_partial=keep_partial)
    name = "pyav" if decoder == "pyav" else "decord"
    if misdeed and (who == "both" or name == "decord"):
        return Misbehaving(clip, misdeed, name)
    return clip
