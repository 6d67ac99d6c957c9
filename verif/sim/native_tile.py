"""Plays jobs into the RTL of a tile from C++: no Python in a cycle.

The streams, their rules and what is judged are those of the bench in cocotb
(:mod:`lutcore.verif.bench.tile`); the stalls are drawn by another generator. Two states only: it
does not see X.
"""

import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore import tools
from lutcore.errors import ToolError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.fields import result_beats
from lutcore.verif.sim.job import TileJob, longest_work
from lutcore.verif.sim.native import ANYTHING, MUTATED, RANDOM, build_native

_HARNESS = Path(__file__).with_name("tile_harness.cpp")
#: Cycles without any transfer after which a job is given up, besides those that the tile works on a
#: run; stalls make more of them.
PATIENCE = 300
#: Seconds after which a run is given up.
_LIMIT = 3600


@dataclass(frozen=True)
class Played:
    """How the jobs went.

    Attributes
    ----------
    mutant : int
        Which mutant was chosen; 0 for none.
    job : int
        Place of the job that went wrong; the number of jobs if none did.
    cycles, results : int
        How long it took, and results that were taken in all jobs' last attempts.
    problem : str
        What was wrong first; empty if nothing was.
    """

    mutant: int
    job: int
    cycles: int
    results: int
    problem: str


class NativeTile:
    """A tile with its harness, compiled.

    Parameters
    ----------
    config : CoreConfig
    verilog, top : str
        The tile, and its module.
    mutants : bool
        It has an input ``mutant``.

    Raises
    ------
    InputError
        Verilator or the C++ compiler is missing.
    ToolError
        The build failed.
    """

    def __init__(self, config: CoreConfig, verilog: str, top: str, mutants: bool = False):
        self._config = config
        self._streams = _streams(config)
        self._program = build_native(
            verilog,
            top,
            _HARNESS,
            headers={"tile_streams.h": _header(top, self._streams, mutants), **RANDOM},
            options=(*ANYTHING, *(MUTATED if mutants else ())),
        )

    def play(self, jobs: Sequence[TileJob], mutants: Sequence[int] = (0,)) -> list[Played]:
        """Play all jobs with each of the mutants, up to the first thing that is wrong.

        Raises
        ------
        ToolError
            The simulation itself did not complete.
        """
        with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
            path = Path(scratch) / "jobs"
            with path.open("wb") as file:
                file.write(struct.pack("=Q", len(jobs)))
                for job in jobs:
                    file.writelines(self._packed(job))
            command = [str(self._program), str(path), *map(str, mutants)]
            said = tools.run("the simulated tile", command, limit=_LIMIT).out
        found = [_played(line) for line in said.splitlines()]
        if [one.mutant for one in found] != list(mutants):
            raise ToolError("the simulated tile ended early")
        return found

    def _packed(self, job: TileJob) -> Iterator[bytes]:
        """What the harness reads of a job."""
        stalls = vars(job.stalls)
        slowest = max(stalls.values())
        patience = round((PATIENCE + longest_work(self._config)) / (1 - min(slowest, 0.99)))
        yield struct.pack("=3Q", job.seed, patience, len(job.resets))
        yield struct.pack(f"={len(job.resets)}Q", *job.resets)
        for name in self._streams:
            stall = stalls["activations" if name == "tables" else name]
            yield from _words(job.inputs[name], stall)
        counts = {name: -values.astype(np.int64) for name, values in job.checked.items()}
        yield from _words(result_beats(self._config, job.expected), job.stalls.results)
        yield from _words(result_beats(self._config, counts), 0.0)


def _streams(config: CoreConfig) -> list[str]:
    """Names of a tile's input streams."""
    source = "tables" if config.precompute == "external" else "activations"
    return [source, "weights", *(["zero_points"] if config.zero_points != "external" else [])]


def _words(bits: np.ndarray, stall: float) -> Iterator[bytes]:
    """A stream's words, bits uint8 [words, width], as the harness reads them."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    yield struct.pack("=2Qd", *packed.shape, stall)
    yield packed.tobytes()


def _header(top: str, streams: Sequence[str], mutants: bool) -> str:
    """The part of the harness that knows the tile's ports."""

    def port(name: str) -> str:
        # Two underscores are Verilator's own: it writes the second one as its code.
        parts = (f"tile.{name}___05F{part}" for part in ("payload", "valid", "ready"))
        return f"port({', '.join(parts)})"

    chosen = "tile.mutant = number" if mutants else "(void)tile, (void)number"
    return (
        f'#include "V{top}.h"\n'
        "namespace {\n"
        f"using Tile = V{top};\n"
        f"constexpr int kInputs = {len(streams)};\n"
        f"std::vector<Port> inputs(Tile& tile) {{ return {{{', '.join(map(port, streams))}}}; }}\n"
        f"Port results(Tile& tile) {{ return {port('results')}; }}\n"
        f"void select(Tile& tile, uint64_t number) {{ {chosen}; }}\n"
        "}  // namespace\n"
    )


def _played(line: str) -> Played:
    mutant, job, cycles, results, problem = line.split(" ", 4)
    problem = "" if problem == "right" else problem
    return Played(int(mutant), int(job), int(cycles), int(results), problem)
