"""Errors that reach a user as one line."""


class InputError(ValueError):
    """Bad input from a user: the text is one line that says what, where and the remedy.

    The command line prints it and exits with status 2; from Python it is an ordinary
    :class:`ValueError`.
    """


class ToolError(RuntimeError):
    """A simulator or synthesis tool failed where it should not; the text ends with its output.

    The command line prints it and exits with status 1.
    """
