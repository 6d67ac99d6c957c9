"""All commands with all faults of the host: what cannot be done ends in one line, and no trace.

A command that a fault does not concern does its work all the same. What a fault has stopped leaves
no file behind, neither where results go nor in the cache nor where temporary files are, and the
next run is as if the fault had never been.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import forked
import pytest
from small_commands import MARKS, SAID, WORDS, all_commands, words, write_inputs
from sweeps import swept

pytestmark = pytest.mark.slow

BINARIES = ("g++", "make", "perl", "verilator", "sta", "iverilog", "vvp")


def bad_tools(box: Path, manner: str) -> None:
    """Tools that are killed, hang, or fail with many words: on PATH, and those in Python."""
    shell = {"killed": "kill -9 $$", "hanging": "sleep 100", "failing": "echo Error: no; exit 7"}
    (box / "bin").mkdir()
    for name in BINARIES:
        (box / "bin" / name).write_text(f"#!/bin/sh\n{shell[manner]}\n")
        (box / "bin" / name).chmod(0o755)
    python = {
        "killed": "os.kill(os.getpid(), 9)",
        "hanging": "time.sleep(100)",
        "failing": "print('Error: no', flush=True); os._exit(7)",
    }
    (box / "python").mkdir()
    (box / "python" / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "if any('yosys' in w or 'nextpnr' in w or 'icepack' in w for w in sys.orig_argv):\n"
        f"    {python[manner]}\n"
    )


TOOLS = {"PATH": "{box}/bin:/usr/bin:/bin", "PYTHONPATH": "{box}/python", "LUTCORE_CACHE": "{new}"}
#: Commands that run programs of others.
WITH_TOOLS = {
    *("lint", "simulate", "synth", "energy", "compare", "bitstream", "matrix run", "explore"),
    *("verify", "demo"),
}
#: Commands that compile simulations.
WITH_COMPILER = {"simulate", "verify", "matrix run", "demo"}
WITH_CACHE = WITH_TOOLS - {"lint"}
#: Commands whose results say which of their points failed.
TELLS_IN_PLACE = {"compare", "explore", "doctor", "lint", "verify"}
#: Faults after which commands are run again: files could have been cut short.
TRIED_AGAIN = ("a full disk", "home that cannot be written")
#: Commands that take longer than a few seconds: they are tried where a fault concerns them.
LONG = {
    *("demo", "bitstream", "energy", "study", "explore", "simulate", "verify", "matrix run"),
    "compare",
}
#: Commands that write files.
WRITERS = {
    *("generate", "bitstream", "compile", "run", "matrix compile", "matrix run"),
    *("performance", "study", "explore", "verify"),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong, the commands that it must stop, and words that its line may have.

    ``{box}`` in variables is the folder of the case; ``{new}`` a cache of its own, still empty;
    ``{warm}`` the one in which each command has run.
    """

    stops: set[str] = field(default_factory=set)
    variables: Mapping[str, str | None] = field(default_factory=dict)
    prepare: Callable[[Path], None] = lambda box: None
    file_size: int | None = None
    out: str = ""
    folder: str = "work"
    names: str = ""
    may_stop: set[str] = field(default_factory=set)


FAULTS = {
    "cache below a file": Fault(
        WITH_CACHE | {"env"},
        {"LUTCORE_CACHE": "{box}/file/cache"},
        names="cannot write the cache",
    ),
    "cache that cannot be made": Fault(
        WITH_CACHE | {"env"}, {"LUTCORE_CACHE": "/proc/lutcore"}, names="cannot write the cache"
    ),
    "home that cannot be written": Fault(
        WITH_TOOLS | {"env"},
        {"HOME": "/proc/lutcore", "XDG_CACHE_HOME": None, "LUTCORE_CACHE": None},
        names="set LUTCORE_CACHE",
        may_stop={"doctor"},
    ),
    "no TMPDIR": Fault(variables={"TMPDIR": "/nowhere/at/all"}),
    "blanks and umlauts": Fault(variables={"TMPDIR": "{box}/wörk ßpace/tmp"}, folder="wörk ßpace"),
    "tools killed": Fault(
        WITH_TOOLS,
        TOOLS,
        lambda box: bad_tools(box, "killed"),
        names="signal 9",
        may_stop={"doctor"},
    ),
    "tools hanging": Fault(
        WITH_TOOLS,
        {**TOOLS, "LUTCORE_TOOL_LIMIT": "1"},
        lambda box: bad_tools(box, "hanging"),
        names="was given up after 1 s",
        may_stop={"doctor"},
    ),
    "tools failing": Fault(
        WITH_TOOLS, TOOLS, lambda box: bad_tools(box, "failing"), may_stop={"doctor"}
    ),
    "compiler killed": Fault(
        WITH_COMPILER,
        {"PATH": "{box}/bin:/usr/bin:/bin", "LUTCORE_CACHE": "{new}"},
        lambda box: bad_tools(box, "killed"),
        may_stop={"energy", "compare", "synth", "explore", "doctor", "lint"},
    ),
    "nothing on PATH": Fault(
        {*WITH_COMPILER, "energy", "lint"},
        {"PATH": "/nowhere", "LUTCORE_CACHE": "{new}"},
        names="missing",
        may_stop={"doctor"},
    ),
    "a tool's limit that is none": Fault(
        WITH_TOOLS,
        {"LUTCORE_TOOL_LIMIT": "soon", "LUTCORE_CACHE": "{new}"},
        names="LUTCORE_TOOL_LIMIT must be",
        may_stop={"doctor"},
    ),
    "a full disk": Fault(
        WITH_CACHE | WRITERS, {"LUTCORE_CACHE": "{new}"}, file_size=200, may_stop=set(WORDS)
    ),
    "nothing takes the output": Fault(set(WORDS) - {"demo"}, out="/dev/full"),
}
#: Faults that let a command do all of its work: of the long ones these do it in `make test`.
WORKING = {"no TMPDIR", "blanks and umlauts", "nothing takes the output", "a full disk"}
WORKING_THERE = {"simulate", "verify", "energy"}
#: `make test` has every so many commands of each fault, so that it has all commands and faults.
SLICE = 4


def quick(name, command):
    return name not in WORKING or command not in LONG - WORKING_THERE


def kept(case):
    """Whether `make test` has a case; `make long` has the others, minutes in all."""
    place = sum(map(list.index, (list(FAULTS), list(WORDS)), case.values))
    return quick(*case.values) and place % SLICE == 0


ALL = [
    pytest.param(name, command, id=f"{name}-{command}", marks=MARKS.get(command, []))
    for name, fault in FAULTS.items()
    for command in WORDS
    if command not in LONG or command in fault.stops or not (fault.stops or command == "demo")
]
CASES = swept(ALL, kept)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """A folder with what commands read."""
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder, lambda line: forked.run(line, folder, forked.Around()).status)
    return folder


@pytest.fixture
def box(tmp_path, inputs):
    """The folder of a case: ``work`` to run in, ``tmp``, a file, and nothing else."""
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()

    def make(name):
        folder = tmp_path / name
        shutil.copytree(inputs / "in", folder / "in")
        (folder / "tmp").mkdir()
        return folder

    return tmp_path, make


def run(command, box, work, fault=None):
    """A command in the case's folder; None: without a fault."""
    around = forked.Around({"TMPDIR": str(box / "tmp")}, SAID.get(command, ""))
    if fault:
        for name, value in fault.variables.items():
            filled = value and value.format(box=box, new=box / "new")
            around.variables[name] = filled
        around.out, around.file_size = fault.out, fault.file_size
    return forked.run(words(command), work, around)


def left(folder, *but):
    """Files and folders below one, without those of the test itself."""
    own = {".in", ".out", ".err", "in", "tmp", *but}
    found = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    return [str(path) for path in found if not own & set(path.parts)]


def results(folder):
    """What a cache has besides locks, and words of failed tools."""
    found = left(folder, "logs") if folder.exists() else []
    return [name for name in found if not name.endswith(".lock") and (folder / name).is_file()]


def test_every_command_is_there():
    assert set(WORDS) == all_commands()
    assert all(fault.stops | fault.may_stop <= set(WORDS) for fault in FAULTS.values())


def test_the_slice_has_every_command_and_every_fault():
    sliced = [case.values for case in ALL if kept(case)]
    assert {name for name, _ in sliced} == set(FAULTS)
    assert {command for _, command in sliced} == {
        case.values[1] for case in ALL if quick(*case.values)
    }


@pytest.mark.parametrize(("name", "command"), CASES)
def test_a_fault(name, command, box):
    box, make = box
    fault = FAULTS[name]
    work = make(fault.folder)
    fault.prepare(box)
    ended = run(command, box, work, fault)
    wrong = [line for line in ended.err.splitlines() if line]
    assert "Traceback" not in ended.err and ended.status >= 0, ended.err
    assert left(box / "tmp") == []
    if command in fault.stops or (command in fault.may_stop and ended.status):
        assert ended.status in (1, 2), ended
        assert len(wrong) <= 1, ended
        assert command == "doctor" or fault.names in ended.err + ended.out, ended
        whole = command in TELLS_IN_PLACE or fault.out  # what was written, was written before
        assert whole or left(work, "points") in ([], ["out"])
        assert command in fault.may_stop or results(box / "new") == []
        if name in TRIED_AGAIN and command not in LONG:
            again = run(command, box, work)
            assert again.status == 0, again.err
    else:
        assert ended.status == 0 and not wrong, ended
        assert command not in WRITERS or (work / "out").exists()


def test_where_home_cannot_be_written_the_cache_is_enough(box):
    """WebAssembly is compiled there too."""
    box, make = box
    variables = {"HOME": "/proc/lutcore", "XDG_CACHE_HOME": None, "LUTCORE_CACHE": "{new}"}
    fault = Fault(variables=variables)
    ended = run("generate", box, make("work"), fault)
    assert ended.status == 0, ended
