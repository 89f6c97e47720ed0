"""What a user can mend about weights."""


class WeightsError(Exception):
    """A weights file is missing, damaged or not what it should be; the message says what to do."""

    exit_code = 2
