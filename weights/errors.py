"""Errors about weights that the user can fix."""


class WeightsError(Exception):
    """Weights are missing, damaged or not the expected ones; the message says what to do."""

    exit_code = 2
