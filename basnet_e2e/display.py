"""How classes, times and names are shown: colours, times as players write them, text on a line."""

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


def on_one_line(text: str) -> str:
    r"""The text with line ends, escape codes and whatever else does not print as escapes.

    >>> on_one_line("a\nb é\x1b[2J")
    'a\\nb é\\x1b[2J'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
