"""Trained network files: which exist, where they come from, whether they are what they claim."""

from weights.errors import WeightsError

__all__ = ["WeightsError"]
