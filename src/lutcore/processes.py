"""Processes that end with us: each in a group of its own, with a folder for its temporary files.

Whatever ends the program while others work for it (Ctrl-C, SIGTERM, a lost terminal, a limit) ends
them too, their children included, and nothing of theirs is left behind.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TextIO

from lutcore.errors import OutOfTime, ToolError

#: Signals that end a command.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Rounds in which processes are sought that were started while others were ended.
_ROUNDS = 5
_ERRORS = {"joined": subprocess.STDOUT, "apart": subprocess.PIPE, "ours": None}
#: The signal that ends this program, once one has come.
_came: list[int] = []
#: Standard error as it was before that signal, and the place where nobody hears it.
_mute: list[int] = []


class Process:
    """A running program of others, between pipes; a context manager, which ends it.

    Parameters
    ----------
    name : str
        What messages call it.
    command : sequence of str
    folder : Path, optional
        Where it runs.
    environment : mapping, optional
        All of its environment; default this process's.
    errors : {"joined", "apart", "ours"}
        Its standard error is part of its standard output, has a pipe of its own, or is ours.
    text : bool
        Pipes of text, else of bytes.
    handles : sequence of int
        Open files that it has too, by the same numbers.

    Attributes
    ----------
    running : subprocess.Popen
        The process itself.

    Raises
    ------
    ToolError
        It cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        errors: Literal["joined", "apart", "ours"] = "joined",
        text: bool = True,
        handles: Sequence[int] = (),
    ):
        if _came:
            raise ToolError(f"{name} is not started: interrupted")
        self._name = name
        self._scratch = tempfile.TemporaryDirectory(prefix="lutcore-", ignore_cleanup_errors=True)
        around = os.environ if environment is None else environment
        try:
            self.running: subprocess.Popen[Any] = subprocess.Popen(
                list(command),
                cwd=folder,
                env={**around, "TMPDIR": self._scratch.name},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=_ERRORS[errors],
                text=text,
                errors="replace" if text else None,
                start_new_session=True,
                pass_fds=handles,
            )
        except OSError as error:
            self._scratch.cleanup()
            reason = f"{error.strerror}: {command[0]}"
            raise ToolError(f"{name} cannot be started: {reason}") from error

    def end(self) -> None:
        """End it and all that it has started; it is not waited for."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.running.pid, signal.SIGKILL)

    def close(self) -> int:
        """End it if it runs still, and forget its files; returns its exit status."""
        self.end()
        for pipe in (self.running.stdin, self.running.stdout, self.running.stderr):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
        status = self.running.wait()
        self._scratch.cleanup()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def within(self, limit: float, advice: str = "") -> Iterator[None]:
        """End it where what is done with it takes longer than ``limit`` seconds.

        Raises
        ------
        OutOfTime
            It did, whatever that looks like from the other end of a pipe.
        """
        late = threading.Event()
        timer = threading.Timer(limit, lambda: (late.set(), self.end()))
        timer.daemon = True
        timer.start()
        words = f"{self._name} was given up after {limit:g} s{advice and f': {advice}'}"
        try:
            yield
        except (ToolError, OSError) as error:
            if late.is_set():
                raise OutOfTime(words) from error
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise OutOfTime(words)


def interrupted() -> int | None:
    """The signal that ends this program, if one has come."""
    return _came[0] if _came else None


def heard() -> TextIO:
    """Standard error as it was, for the last words of a program that is ended, and no others.

    What threads of libraries say meanwhile stays unheard.
    """
    return os.fdopen(os.dup(_mute[0]), "w", encoding="utf-8", errors="replace")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C, SIGTERM and SIGHUP end all children at once, and then the block.

    A second signal changes nothing, until the program ends: what is being cleared up is not left
    half. A signal that was ignored before, as SIGHUP below ``nohup``, stays ignored.

    Raises
    ------
    KeyboardInterrupt
        From where the main thread is when one of the signals comes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    _came.clear()
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        if not _came:
            for number in ours:
                signal.signal(number, before[number])


def _interrupt(number: int, frame: object) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    _mute.extend((os.dup(2), os.open(os.devnull, os.O_WRONLY)))
    # What libraries and workers fail with from now on, they fail with for this.
    os.dup2(_mute[1], 2)
    _came.append(number)
    end_children()
    raise KeyboardInterrupt


def end_children() -> None:
    """End all processes that this one has started, and those that they have."""
    for _ in range(_ROUNDS):
        found = _descendants(os.getpid())
        if not found:
            return
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _descendants(ancestor: int) -> list[int]:
    """Running processes below one."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            # What multiprocessing clears up with ends by itself, after it has.
            own = b"resource_tracker" in (entry.parent / "cmdline").read_bytes()
            if state not in "ZX" and not own:
                parents[int(entry.parent.name)] = int(parent)
    found, waiting = [], [ancestor]
    while waiting:
        one = waiting.pop()
        children = [process for process, parent in parents.items() if parent == one]
        found += children
        waiting += children
    return found
