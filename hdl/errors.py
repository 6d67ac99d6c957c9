"""The one error type that a user's input can cause."""


class InputError(ValueError):
    """Bad input from a user: the text is one line that says what, where and the remedy.

    The command line prints it and exits with status 2; from Python it is an ordinary
    :class:`ValueError`.
    """
