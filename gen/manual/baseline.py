"""Deterministic figures of fixed jobs, in ``benchmarks/baseline.json``: ``make baseline``.

Less of each is better. ``tests/gen/manual/test_baseline.py`` measures them again and fails where
one is greater than the file says, so that what gets worse is decided, and stands in the commit.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.errors import InputError, ToolError
from lutcore.files import writing
from lutcore.gen.asic.synth import synthesise
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.luts.synth import synthesise_fpga
from lutcore.gen.run.program import compare
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.core import Conditions
from lutcore.verif.sim.job import tile_job
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

#: Room -> figure -> value.
Figures = dict[str, dict[str, float]]

_LATENCY = 40
#: Tiles that are mapped to gates, and what differs from the preset: few columns, for speed.
_TILES = {
    "w2a8": ("n=8",),
    "dense-w2a8": ("n=4",),
    "ternary-a8": ("n=5",),
    "w2a8-int8-tables": ("n=4",),
    "w4-fp16": ("n=2",),
    "w2-fp16-exact": ("n=1",),
    "add-w2a8": ("n=4",),
    "conventional-w2a8": ("n=4",),
}
#: Those of them that play a job on RTL too.
_PLAYED = ("w2a8",)
_FPGAS = {"fpga-ice40-w1a8": ("ice40", ("n=4",))}
_EMITTED = {"w2a8": "tile", "fpga-xilinx-w1a8": "tile", "edge": "axi"}


class _Job(NamedTuple):
    """A matrix product M x N x K on a core: weights of ``bits``, a scale for each group."""

    core: str
    shape: tuple[int, int, int]
    bits: int = 2
    group: int = 128


_PROGRAMS = (
    _Job("default", (1, 512, 1024)),
    _Job("default", (64, 256, 512), 4),
    _Job("edge", (1, 192, 384), 4),
    _Job("edge", (16, 64, 256)),
    _Job("large", (8, 512, 768)),
    _Job("default-fp16", (9, 192, 320), 3, 64),
    _Job("default-ternary", (8, 256, 384), 2, 129),
)


def _program(config: CoreConfig, job: _Job) -> Program:
    m, n, k = job.shape
    rng = np.random.default_rng(0)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor((n, k), job.bits, job.group, rng, ternary=ternary)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    tensor.zero_points[:] = 1
    return gemm(config, tensor, random_activations(config, m, k, rng))


def _programs() -> dict[str, float]:
    """What programs take on the cycle model, and how large they are."""
    figures: dict[str, float] = {}
    for job in _PROGRAMS:
        config = load_config(job.core)
        program = _program(config, job)
        found = cycles(config, program.words, Memory(latency=_LATENCY))
        word = config.bus_bits // 8
        title = f"{job.core} {' x '.join(map(str, job.shape))}, {job.bits} bits"
        figures |= {
            f"{title}: cycles": found.cycles,
            f"{title}: instructions executed": found.instructions,
            f"{title}: bytes read": found.read_beats * word,
            f"{title}: bytes written": found.write_beats * word,
            f"{title}: program words": len(program.words),
            f"{title}: image bytes": program.image().size,
        }
    return figures


def _core_rtl() -> dict[str, float]:
    """A program on the RTL of a small core."""
    job = _Job("w4a8", (4, 16, 64), 4, 32)
    program = _program(SMALL_CORES[job.core], job)
    found = compare(program, "rtl", Conditions(latency=_LATENCY))
    if found.mismatches:
        raise ToolError(f"the baseline's program on RTL has {found.mismatches} mismatches")
    names = ("cycles", "instructions", "read_beats", "write_beats")
    return {f"small core {job.core}: {name}": found.counters[name] for name in names}


def _tile_rtl() -> dict[str, float]:
    """Cycles of a job on the RTL of tiles."""
    figures: dict[str, float] = {}
    for name in _PLAYED:
        config = load_config(name, _TILES[name])
        rng = np.random.default_rng(0)
        tensor = random_tensor((config.n, 256), 2, config.group_size or 128, rng, shared=True)
        job = tile_job(config, random_activations(config, config.m, 256, rng), tensor)
        built = build(verilog(config), design_name(config), optimised=False)
        (verdict,) = run_jobs(built, config, [job])
        if verdict["mismatches"]:
            raise ToolError(f"the baseline's job on {name} has {verdict['mismatches']} mismatches")
        figures |= {f"{name}: {what}": verdict[what] for what in ("cycles", "issue_cycles")}
    return figures


def _areas() -> dict[str, float]:
    """Gate equivalents with the neutral library, and LUTs."""
    figures: dict[str, float] = {}
    for name, fields in _TILES.items():
        report = synthesise(load_config(name, fields))
        title = " ".join((name, *fields))
        figures[f"{title}: gate equivalents"] = round(report.gate_equivalents, 1)
    for name, (family, fields) in _FPGAS.items():
        report = synthesise_fpga(load_config(name, fields), family)
        figures[f"{' '.join((name, *fields))}: LUTs"] = report.luts
    return figures


def _texts() -> dict[str, float]:
    """Bytes and lines of emitted Verilog."""
    figures: dict[str, float] = {}
    for name, top in _EMITTED.items():
        text = verilog(load_config(name), top)
        figures |= {
            f"{name} {top}: bytes": len(text.encode()),
            f"{name} {top}: lines": text.count("\n"),
        }
    return figures


def measure() -> Figures:
    """All figures, by what they are of; about a minute where nothing is cached."""
    return {
        "programs on the cycle model": _programs(),
        "programs on RTL": _core_rtl(),
        "tiles on RTL": _tile_rtl(),
        "area": _areas(),
        "Verilog": _texts(),
    }


class Changes(NamedTuple):
    """What differs from a baseline, a line each."""

    worse: list[str]
    better: list[str]


def changes(before: Mapping[str, Mapping[str, float]], now: Figures) -> Changes:
    """Compare figures; one that only one side has counts as worse, for nothing guards it."""
    found = Changes([], [])
    for room in dict.fromkeys([*before, *now]):
        old, new = before.get(room, {}), now.get(room, {})
        for name in dict.fromkeys([*old, *new]):
            if name not in old:
                found.worse.append(f"{room}: {name} is not in the file")
            elif name not in new:
                found.worse.append(f"{room}: {name} is in the file, but not measured")
            elif old[name] != new[name]:
                side = found.worse if new[name] > old[name] else found.better
                share = f"{new[name] / old[name] - 1:+.2%}" if old[name] else "was 0"
                side.append(f"{room}: {name} {old[name]:,} -> {new[name]:,} ({share})")
    return found


def read(path: Path) -> Figures:
    """The figures of a file.

    Raises
    ------
    InputError
        It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}; make baseline writes it") from error


def main() -> None:
    """Measure, report what changed, and rewrite the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    path = parser.parse_args().file
    figures = measure()
    found = changes(read(path) if path.exists() else {}, figures)
    for title, lines in found._asdict().items():
        for line in lines:
            print(f"{title}: {line}")
    with writing(path) as file:
        file.write((json.dumps(figures, indent=2) + "\n").encode())
    number = sum(map(len, figures.values()))
    print(f"{path}: {number} figures, {len(found.worse)} worse, {len(found.better)} better")


if __name__ == "__main__":
    main()
