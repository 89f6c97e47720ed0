"""A count of frames and packets that were read, so that a watcher can tell slow from stuck.

Timestamps the timestamps of a long video takes minutes without giving out a frame, and looks from
outside like a decoder that hangs.
"""

_beats = 0


def beat() -> None:
    """One more packet or frame was read."""
    global _beats
    _beats += 1


def beats() -> int:
    """How many there were since the process began."""
    return _beats
