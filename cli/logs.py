"""What the logger ``lutcore`` says, as lines of the command; how much, the options -v and -q."""

import logging

from lutcore.cli.shared import ERR, say

_log = logging.getLogger("lutcore")


class _Lines(logging.Handler):
    """One line for each record on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else "dim"
        say(" ".join(record.getMessage().split()), style)


def set_up(verbose: bool, quiet: bool) -> None:
    """Warnings become lines; with ``verbose`` tools that run and hits of the cache too.

    Parameters
    ----------
    quiet : bool
        Standard error has errors only.
    """
    ERR.silent = quiet
    for handler in [one for one in _log.handlers if isinstance(one, _Lines)]:
        _log.removeHandler(handler)
    _log.addHandler(_Lines())
    _log.setLevel(logging.INFO if verbose else logging.WARNING)
