"""How times are written for people."""


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``; as in players, a begun second does not count.

    >>> clock(61.4), clock(3725)
    ('1:01', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
