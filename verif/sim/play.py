"""Plays jobs into built simulations, in a cocotb bench, and returns its verdicts."""

import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from cocotb_tools.check_results import get_results

from lutcore import files
from lutcore.errors import ToolError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.simulator import Build, environment, failed, runner

_log = logging.getLogger("lutcore")
#: The module with the cocotb test of a tile.
TILE_BENCH = "lutcore.verif.bench.tile"
#: What a build with coverage writes at the end of a simulation.
COVERAGE_FILE = "coverage.dat"
#: Seconds after which a simulation is given up.
_LIMIT = 6 * 3600
#: For benches of ours, which tell what is wrong in words of their own: else cocotb loads all of
#: pytest, and has it rewrite the assertions of every module, NumPy's included.
_AS_WRITTEN = MappingProxyType({"COCOTB_REWRITE_ASSERTION_FILES": ""})


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
    force: bool = False,
    coverage_to: Path | None = None,
) -> list[dict[str, Any]]:
    """Play jobs into a built design and return a verdict for each
    (:func:`lutcore.verif.bench.tile.play`).

    A waveform goes to ``waves_to``, in place of somebody else's file only with ``force``. What a
    build with coverage counted goes to ``coverage_to``, in Verilator's own format
    (:func:`lutcore.verif.coverage.code.read_coverage`).
    Mismatches are reported in the verdicts, not raised. ``bench`` is the module with the test. With
    ``received`` a verdict has what the tile sent: field -> int64 [beats, ...].

    Raises
    ------
    ToolError
        The simulation itself did not complete.
    """
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder = Path(scratch)
        paths = [folder / f"job_{i}.npz" for i in range(len(jobs))]
        sent = [Path(f"{path}.received.npz") for path in paths] if received else []
        for job, path in zip(jobs, paths, strict=True):
            job.save(path)
        plan = {"config": config.to_dict(), "jobs": list(map(str, paths))}
        if received:
            plan["received"] = list(map(str, sent))
        (folder / "plan.json").write_text(json.dumps(plan))
        failure = _simulate(built, folder, bench, _AS_WRITTEN)
        if waves_to is not None:
            for dump in [*folder.glob("dump.*"), *built.folder.glob(f"{built.top}.fst")]:
                by = f"waveform of {built.top}, configuration {config.digest}"
                with dump.open("rb") as source, files.writing(waves_to, by, force) as target:
                    shutil.copyfileobj(source, target)
        found = _verdicts(built, folder, len(jobs), failure)
        if coverage_to is not None:
            with files.whole(coverage_to) as target:
                target.write((folder / COVERAGE_FILE).read_bytes())
        for verdict, path in zip(found, sent, strict=False):
            with np.load(path) as fields:
                verdict["received"] = dict(fields)
        return found


def run_bench(built: Build, bench: str, folder: Path) -> int:
    """Run a cocotb bench of anybody's own; how many of its tests failed.

    Parameters
    ----------
    bench : str
        Its module, in full.
    folder : Path
        Where it runs, and leaves its log ``run.log`` and results ``results.xml``.

    Raises
    ------
    ToolError
        The simulation itself did not complete, or has no test.
    """
    failure = _simulate(built, folder, bench)
    results = folder / "results.xml"
    tests, bad = get_results(results) if results.exists() else (0, 0)
    if not tests:
        raise failed(f"{built.simulator} simulation", folder / "run.log") from failure
    return bad


def _simulate(
    built: Build, folder: Path, bench: str, settings: Mapping[str, str] = MappingProxyType({})
) -> BaseException | None:
    """Run the bench on the plan in a folder; what went wrong if it did not end as it should."""
    variables = {
        **settings,
        "LUTCORE_JOBS": str(folder / "plan.json"),
        "LUTCORE_VERDICTS": str(folder / "verdicts.json"),
        "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    plus = ["+verilator+rand+reset+2"] if built.simulator == "verilator" else []
    words = []
    if built.coverage:
        plus.append(f"+verilator+coverage+file+{folder / COVERAGE_FILE}")
        words.append("--coverage-per-instance")
    _log.info("runs the simulation of %s on %s", built.top, built.simulator)
    try:
        with environment({}):
            runner(built.simulator, _LIMIT).test(
                test_module=bench,
                hdl_toplevel=built.top,
                hdl_toplevel_lang="verilog",
                build_dir=built.folder,
                test_dir=folder,
                results_xml=variables["COCOTB_RESULTS_FILE"],
                extra_env=variables,
                waves=built.waves is not None,
                test_args=words,
                plusargs=plus,
                log_file=folder / "run.log",
            )
    except ToolError:  # killed, or given up: no log says so
        raise
    except (SystemExit, RuntimeError) as error:
        return error
    return None


def _verdicts(
    built: Build, folder: Path, jobs: int, failure: BaseException | None
) -> list[dict[str, Any]]:
    """The bench's verdicts, which must agree with cocotb's results."""
    verdicts, results, log = (folder / n for n in ("verdicts.json", "results.xml", "run.log"))
    if not verdicts.exists() or not results.exists():
        raise failed(f"{built.simulator} simulation", log) from failure
    found = json.loads(verdicts.read_text())
    tests, bad = get_results(results)
    agrees = bool(bad) == any(verdict["mismatches"] for verdict in found)
    if tests != 1 or len(found) != jobs or not agrees:
        raise failed(f"{built.simulator} simulation without a clear verdict", log)
    return found
