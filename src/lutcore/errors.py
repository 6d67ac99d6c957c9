"""Errors that reach a user as one line."""


class InputError(ValueError):
    """Bad input from a user: the text is one line that says what, where and the remedy.

    The command line prints it and exits with status 2; from Python it is an ordinary
    :class:`ValueError`.
    """


class HostError(ValueError):
    """The machine lets nothing go on: a cache that cannot be written, a limit that is no number.

    Told as an :class:`InputError`, with status 2; but no point of a study or side of a comparison
    is to blame, so that it ends all of them.
    """


class ToolError(RuntimeError):
    """A simulator or synthesis tool failed where it should not; the text ends with its output.

    The command line prints it and exits with status 1.
    """


class OutOfTime(ToolError):
    """A tool was given up: it had not ended within its limit."""
