"""A count of frames and packets that were read, so that a watcher can tell slow from stuck.

Reading the timestamps of a long video takes minutes in which no frame comes out; from outside that
looks like a decoder that hangs.
"""

_beats = 0


def beat() -> None:
    """One more packet or frame was read."""
    global _beats
    _beats += 1


def beats() -> int:
    """How many there were since the process began."""
    return _beats
