"""What the logger ``lutcore`` says, as lines of the command; how much, the options -v and -q."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

from lutcore import cache
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
    if verbose:
        sys.addaudithook(_watch)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Python's own account of what a process does: programs that it starts, files that it touches.

    A result or a build that is taken from the cache is touched there.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    if event == "subprocess.Popen":
        command = arguments[1]
        words = [command] if isinstance(command, (str, bytes)) else list(command)
        _log.info("runs %s", " ".join(map(os.fsdecode, words))[:300])
    elif event == "os.utime" and isinstance(arguments[0], (str, os.PathLike)):
        path, kept = Path(arguments[0]), cache.folder()
        if path.is_relative_to(kept):
            _log.info("found in the cache: %s", path.relative_to(kept))
