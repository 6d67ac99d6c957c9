"""The door to programs of others: found, asked for their version, run within a limit.

What a program says when it fails is kept whole in the cache's folder ``logs``; the error quotes
what matters of it and names the file. A program that takes too long, or whose caller is
interrupted, is ended with all of its children; ``LUTCORE_TOOL_LIMIT`` says in seconds how long each
may take.
"""

import functools
import logging
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import platformdirs

from lutcore import cache
from lutcore.errors import HostError, InputError, ToolError
from lutcore.processes import Process

_log = logging.getLogger("lutcore")
#: Seconds after which a program is given up, unless its caller knows better.
LIMIT = 1200
#: Characters of a failed program's words that are kept.
_KEPT = 1 << 20


class Output(NamedTuple):
    """What a program left: exit status, standard output, and standard error."""

    status: int
    out: str
    err: str


def find(program: str, *, variable: str = "", beside: bool = False) -> str | None:
    """Path of a program, or None.

    Parameters
    ----------
    program : str
        Its name on PATH.
    variable : str
        Environment variable that names another program instead.
    beside : bool
        Look beside this Python first, where pip puts programs.
    """
    name = os.environ.get(variable) or program if variable else program
    here = str(Path(sys.executable).parent)
    return (shutil.which(name, path=here) if beside else None) or shutil.which(name)


def need(program: str, remedy: str, *, variable: str = "", beside: bool = False) -> str:
    """As :func:`find`.

    Raises
    ------
    InputError
        It is missing; ``remedy`` says how to get it.
    """
    found = find(program, variable=variable, beside=beside)
    if found is None:
        raise InputError(f"{program} is missing: {remedy}")
    return found


@functools.lru_cache
def version(command: str, *arguments: str) -> str:
    """The first number with a dot that a program prints; "unknown" where it does not answer."""
    try:
        said = run(Path(command).name, [command, *arguments], limit=60, check=False)
    except ToolError:
        return "unknown"
    found = re.search(r"\d+\.\d+[\w.+-]*", said.out + said.err)
    return found.group() if found else "unknown"


def run(
    name: str,
    command: Sequence[str],
    *,
    limit: float = LIMIT,
    folder: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    text: str = "",
    says: Callable[[str], None] | None = None,
    check: bool = True,
    advice: str = "",
) -> Output:
    """Run a program to its end.

    Parameters
    ----------
    name : str
        What messages call it.
    command : sequence of str
    limit : float
        Seconds after which it is given up, unless the user says otherwise.
    folder : Path, optional
        Where it runs.
    environment : mapping, optional
        All of its environment; default this process's.
    text : str
        Its standard input.
    says : callable, optional
        Told each line as it comes; standard error is part of standard output then.
    check : bool
        Whether an exit status other than 0 is an error.
    advice : str
        What to do where it is given up.

    Raises
    ------
    HostError
        The user's limit is no number, or no cache can be written.
    ToolError
        It cannot be started, took too long, or failed.
    """
    _log.info("runs %s", " ".join(command)[:300])
    process = Process(
        name,
        command,
        folder=folder,
        environment=_around(environment),
        errors="joined" if says else "apart",
    )
    with process, process.within(allowed(limit), advice):
        running = process.running
        out, err = running.communicate(text) if says is None else (_told(running, says), "")
        output = Output(running.wait(), out, err)
    if check and output.status:
        raise failure(name, output)
    return output


def allowed(limit: float) -> float:
    """Seconds that a program may take: those that the user says, or its caller's.

    Raises
    ------
    HostError
        ``LUTCORE_TOOL_LIMIT`` is no number of seconds.
    """
    text = os.environ.get("LUTCORE_TOOL_LIMIT")
    if not text:
        return limit
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < threading.TIMEOUT_MAX:
        raise HostError(f"LUTCORE_TOOL_LIMIT must be a number of seconds, not {text!r}")
    return found


def _around(environment: Mapping[str, str] | None) -> Mapping[str, str]:
    """A program's environment, with a place for WebAssembly that is compiled once.

    The user's cache folder, where wasmtime and YoWASP have theirs, may not be writable where ours
    is.

    Raises
    ------
    HostError
        Neither is.
    """
    found = os.environ if environment is None else environment
    usual = Path(platformdirs.user_cache_dir())
    try:
        usual.mkdir(parents=True, exist_ok=True)
        writable = os.access(usual, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if writable:
        return found
    own = cache.folder() / "others"
    with cache.writable(own):
        return {**found, "XDG_CACHE_HOME": str(own)}


def _told(process: subprocess.Popen[str], says: Callable[[str], None]) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    lines = []
    for line in process.stdout:
        lines.append(line)
        says(line.rstrip())
    return "".join(lines)


def failure(name: str, output: Output, said: str = "") -> ToolError:
    """The error of a failed program: what matters of its words, and the file that has them all.

    ``said`` are words of its own log, where it has one.
    """
    words = "\n".join(filter(None, (said, output.err, output.out)))
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    wrong = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
    reason = " ".join(wrong[:2] or lines[-3:])[:500]
    if output.status < 0 and not wrong:
        reason = f"ended by signal {-output.status} {reason}".strip()
    kept = _keep(name, words)
    return ToolError(f"{name} failed: {reason or 'no output'}{kept and f' (all of it: {kept})'}")


def _keep(name: str, words: str) -> str:
    """Keep a failed program's words; the file, or nothing where it cannot be written."""
    if not words:
        return ""
    path = cache.folder() / "logs" / f"{name.replace(' ', '-')}-{cache.digest(words)}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(words[-_KEPT:], encoding="utf-8")
    except OSError:
        return ""
    return str(path)
