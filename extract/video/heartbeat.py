"""A counter of frames and packets read, by which another thread tells slow from stuck.

Reading the timestamps of a long video takes minutes in which no frame comes out.
"""

_beats = 0


def beat() -> None:
    """Count one more packet or frame."""
    global _beats
    _beats += 1


def beats() -> int:
    """Packets and frames read since the process started."""
    return _beats
