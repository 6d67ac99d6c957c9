"""The command ``lutcore`` in a fork of a process that has imported it: a fault is one command's."""

import functools
import importlib
import multiprocessing
import os
import pkgutil
import resource
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

#: Rooms that are imported before the fork: what they find on the machine, each command finds anew.
ROOMS = ("hdl", "compiler", "verif", "gen", "fpga", "cli")
#: Modules that do something when they are imported, or need a simulator around them.
NOT_IMPORTED = ("bench", "campaigns", "manual", "formal", "samples")


@dataclass
class Around:
    """What a command finds: variables (None: not there), its input, and limits of the system."""

    variables: dict[str, str | None] = field(default_factory=dict)
    text: str = ""
    out: str = ""  # standard output goes there
    file_size: int | None = None


@dataclass
class Ended:
    """Exit status (minus its signal), standard output and error, and seconds."""

    status: int
    out: str
    err: str
    seconds: float


def _modules():
    for room in ROOMS:
        package = importlib.import_module(f"lutcore.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"lutcore.{room}."):
            if not any(f".{part}" in module.name for part in NOT_IMPORTED):
                yield module.name


def _child(words, folder, around, out, err):
    os.setsid()
    os.chdir(folder)
    for name, value in around.variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    (folder / ".in").write_text(around.text)
    os.dup2(os.open(around.out, os.O_WRONLY) if around.out else out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.dup2(os.open(str(folder / ".in"), os.O_RDONLY), 0)
    if around.file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (around.file_size, around.file_size))
    sys.argv = ["lutcore", *words]
    sys.stdin = open(0, closefd=False)
    from lutcore.cli.main import main

    main()


@functools.cache
def context():
    """Where children come from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(list(_modules()))
    return found


def run(words, folder, around, limit=300):
    """Run a command in ``folder`` to its end."""
    began = time.monotonic()
    (out, out_end), (err, err_end) = (multiprocessing.Pipe(duplex=False) for _ in range(2))
    given = (list(words), Path(folder), around, out_end, err_end)
    child = context().Process(target=_child, args=given)
    child.start()
    out_end.close()
    err_end.close()
    with ThreadPoolExecutor(2) as pool:
        said = pool.submit(_all_of, out), pool.submit(_all_of, err)
    child.join(limit)
    assert child.exitcode is not None, f"{words} did not end"
    return Ended(child.exitcode, said[0].result(), said[1].result(), time.monotonic() - began)


def _all_of(reader):
    with open(reader.fileno(), "rb", closefd=False) as source, reader:
        return source.read().decode()
