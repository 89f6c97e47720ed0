"""A counter of the frames and packets read, by which another thread can tell slow from stuck.

Reading the timestamps of a long video takes minutes in which no frame comes out. Seen from outside,
that looks like a decoder that hangs.
"""

_beats = 0


def beat() -> None:
    """Count one more packet or frame."""
    global _beats
    _beats += 1


def beats() -> int:
    """Packets and frames read since the process started."""
    return _beats
