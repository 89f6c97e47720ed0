"""A first look at a video while the rest of it is computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Glimpse:
    """What the built-in model takes a snippet for, before anything is known of the rest.

    Attributes:
        start: seconds.
        end: seconds.
        label: the most likely class.
        probability: its share of the softmax over all classes.
    """

    start: float
    end: float
    label: str
    probability: float
