"""What a user can fix about labels, models, features and results."""


class BasnetError(Exception):
    """An input or a setting is wrong; the message says which, in which file, and what to do."""

    exit_code = 2
