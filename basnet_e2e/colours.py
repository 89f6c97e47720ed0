"""Colours of classes, in pictures and in videos."""

# Okabe and Ito's palette: told apart with colour-blind eyes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")


def colour(index: int) -> str:
    """Colour of the n-th class or curve."""
    return COLOURS[index % len(COLOURS)]
