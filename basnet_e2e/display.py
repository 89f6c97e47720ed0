"""How classes and times are shown: the colours of classes, and times as players write them."""

# Okabe and Ito's palette: told apart with colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")


def colour(index: int) -> str:
    """Colour of the n-th class or curve."""
    return COLOURS[index % len(COLOURS)]


def clock(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``; as in players, a begun second does not count.

    >>> clock(61.4), clock(3725)
    ('1:01', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
