"""Plays mutants of one module in forks of a pytest that is about to load the project.

A program, which imports nothing of the project: ``python -P mutant_forks.py MODULE TESTS...`` in a
copy of it. Each line of standard input is a text of the module in JSON; each line of standard
output is the exit status of the tests with it and the seconds of processor time, the first line
that of the module as it stands. What the project is built on is imported once, before the forks;
all that could depend on the module is imported by each of them.
"""

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

#: Bytes of address space that a fork may have: a mutant may ask for any array.
_MEMORY = 6 << 30
#: Seconds by the clock, for mutants that wait.
_PATIENCE = 120
#: Nothing is captured, or what is told here would be; the same examples for each mutant.
_OPTIONS = ("-x", "-s", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not slow")


def _loaded(ours: bool) -> list[str]:
    """Names of modules that are loaded: those below the copy of the project, or the others."""
    folder = Path.cwd()
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return [name for name, file in files.items() if (folder in Path(file or "/").parents) == ours]


def _preload(names: Sequence[str]) -> None:
    """Import what the tests took from others; some is found by its own package only."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if ours := _loaded(ours=True):
        raise RuntimeError(f"forks would not load anew: {' '.join(ours)}")


def _become_fork(seconds: int) -> None:
    """Be quiet, alone in a group, and bounded in memory and, unless it is 0, in time."""
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in range(3):
        os.dup2(nothing, handle)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    if seconds:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


def _ended(pid: int) -> tuple[int, float]:
    """Exit status of a fork, minus its signal where one ended it, and its processor time."""
    ends = time.monotonic() + _PATIENCE
    done = status = 0
    while not done and time.monotonic() < ends:
        time.sleep(0.01)
        done, status, used = os.wait4(pid, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):  # nor does what it started go on
        os.killpg(pid, signal.SIGKILL)
    if not done:
        _, status, used = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


class Forks:
    """A plugin that forks before any ``conftest.py``: the forks go on, this process never does."""

    def __init__(self, module: Path):
        self._module = module
        self._learning: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        """Play what standard input asks for, in forks that return from here."""
        sound = self._module.read_text("utf-8")
        reader, writer = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reader)
            self._learning = writer
            _become_fork(0)
            return
        os.close(writer)
        with open(reader, encoding="utf-8") as learned:
            names = learned.read().split()
        status, seconds = _ended(pid)
        print(json.dumps([status, seconds]), flush=True)
        _preload(names)
        for line in sys.stdin:
            self._module.write_text(json.loads(line), "utf-8")
            pid = os.fork()
            if not pid:
                _become_fork(math.ceil(4 * seconds) + 1)
                return
            ended = _ended(pid)
            self._module.write_text(sound, "utf-8")
            print(json.dumps(ended), flush=True)
        os._exit(0)

    def pytest_sessionfinish(self) -> None:
        """The sound fork tells what it had to import."""
        if self._learning is not None:
            os.write(self._learning, " ".join(_loaded(ours=False)).encode())
            os.close(self._learning)


if __name__ == "__main__":
    module, *tests = sys.argv[1:]
    os._exit(pytest.main([*_OPTIONS, *tests], plugins=[Forks(Path(module))]))
