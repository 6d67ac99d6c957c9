"""Units of four products a cycle: FP16 multipliers against lookups (paper, figures 12 and 13).

``python -m lutcore.gen.experiments.dp4 --liberty CELLS.lib`` prints all kinds side by side.

What counts is what takes four products a cycle and accumulates them, at a clock period that OpenSTA
confirms, operands arriving with the clock edge and results held in flip-flops. ``discrete`` and
``fused`` are MAC units of FP16 weights: the best of several structures (:data:`STRUCTURES`), each
with as few register stages as meet the period. Units of more products count as so many times four.
``lut-*`` are one-bit weights: a unit of a tile of M = 2, N = 64 with its share of the tile's
control, and of the operator that finds scales and makes tables once for all columns. That operator
takes a run's activations when their greatest is known; memory that may have to hold them until then
is reported as ``buffer_gate_equivalents`` and counts in neither. Neither side counts weight scales:
MAC takes weights that are converted to FP16, lookups leave a sum of 32 products that is scaled
later.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from amaranth.lib import wiring
from rich.console import Console
from rich.table import Table

from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.liberty import library_name, library_path
from lutcore.gen.asic.mapping import tool_versions
from lutcore.gen.asic.synth import (
    LibraryFiles,
    check_period,
    map_cells,
    read_library,
    synthesise,
)
from lutcore.gen.emit.rtl import design_rtlil
from lutcore.gen.experiments.accuracy import relative_error
from lutcore.gen.experiments.precompute import Precompute
from lutcore.gen.run.tile import as_format, random_tensor
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.baselines.discrete import DotProduct4
from lutcore.hdl.baselines.fused import FusedDotProduct
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.conversion import component_text
from lutcore.hdl.tile.blocks import RunBuffer
from lutcore.verif.golden import dp4 as dp4_reference

#: MAC units.
KINDS = ("discrete", "fused")
#: Lookup units.
LUT_KINDS = ("lut-aligned", "lut-int8-tables")

#: Kind of MAC unit -> its class, and parameters of the structures that are tried.
STRUCTURES: dict[str, tuple[type[DotProduct4 | FusedDotProduct], tuple[dict[str, Any], ...]]] = {
    "discrete": (DotProduct4, ({}, {"booth": True})),
    "fused": (
        FusedDotProduct,
        (
            {},
            {"booth": True},
            {"terms": 8},
            {"terms": 8, "booth": True},
            {"terms": 16, "booth": True},
        ),
    ),
}
_TILE = CoreConfig(
    m=2, n=64, max_weight_bits=1, activation="fp16", group_size=32,
    zero_points="external", precompute="external",
)  # fmt: skip
_PAIRS: dict[str, Any] = {"k": 2, "lookups": 2}
#: Kind -> fields of the tiles that are tried for it.
_SHAPES: dict[str, tuple[dict[str, Any], ...]] = {
    "lut-aligned": ({}, {**_PAIRS, "table_form": "subset"}),
    "lut-int8-tables": ({"table": "int8"}, {**_PAIRS, "table": "int8"}),
}
#: Blocks of a tile that are no results' way out.
_UNIT = ("table_stage", "columns", "tile")


def measure(
    kind: str, period: float | None = 1.0, liberty: Path | None = None, *, use_cache: bool = True
) -> dict[str, Any]:
    """Area and timing of a unit: the smallest that meets the period, or the nearest to it.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`, :data:`LUT_KINDS`.
    period : float or None
        Clock period in ns; None, or without OpenSTA: least area, timing not analysed.
    liberty : Path, optional
        Liberty file; default the neutral library, which has no delays.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Returns
    -------
    dict
        Plain values: ``kind``, ``gate_equivalents``, ``sequential_gate_equivalents`` (None for
        lookups), ``pipeline`` (register stages), ``period_ns``, ``slack_ns`` (None: not analysed;
        negative: not met, so the area must not be compared), ``path``, ``config``, ``liberty``,
        ``tool_versions``, ``seconds``. Lookups also: ``unit_gate_equivalents``,
        ``precompute_gate_equivalents``, which sum to the first, and ``buffer_gate_equivalents``.

    Raises
    ------
    InputError
        There is no such kind, the library cannot be used, or a tool is missing.
    ToolError
        A tool failed.
    """
    return _best(tried(kind, period, liberty, use_cache=use_cache))


def tried(
    kind: str, period: float | None = 1.0, liberty: Path | None = None, *, use_cache: bool = True
) -> list[dict[str, Any]]:
    """Every structure of a unit that was tried, as :func:`measure` gives the best of them."""
    if kind not in (*KINDS, *LUT_KINDS):
        raise InputError(f"kind must be one of {', '.join((*KINDS, *LUT_KINDS))}, not {kind!r}")
    check_period(period)
    files = read_library(liberty)
    timed = sta_command() is not None and files.library.timed
    flow = _Flow(liberty, files, period if timed else None, use_cache)
    reports = _macs(kind, flow) if kind in KINDS else _lookups(kind, flow)
    facts = {
        "period_ns": period,
        "liberty": library_name(liberty) if liberty else files.where,
        "tool_versions": tool_versions(),
    }
    return [{"kind": kind, **report, **facts} for report in reports]


def designs(kind: str) -> Iterator[str]:
    """What of a unit decides its figures: structures, and RTLIL of those of four products."""
    if kind in KINDS:
        unit_of, structures = STRUCTURES[kind]
        yield repr(structures)
        for booth in (False, True):
            yield component_text(unit_of(booth=booth), kind)
    else:
        for shape in _SHAPES[kind]:
            config = _TILE.replace(**shape)
            yield design_rtlil(config)
            yield component_text(Precompute(config), kind)


def _best(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The smallest that meets the period, else the one that is nearest to it."""
    closed = [r for r in reports if r["slack_ns"] is None or r["slack_ns"] >= 0]
    if closed:
        return min(closed, key=lambda report: report["gate_equivalents"])
    return max(reports, key=lambda report: report["slack_ns"])


class _Unit(NamedTuple):
    """A component in cells; areas in gate equivalents, slack in ns."""

    area: float
    sequential: float
    slack: float | None
    path: list[str]
    seconds: float


@dataclass(frozen=True)
class _Flow:
    """The library, and what is asked of it; ``period`` is None where timing is not analysed."""

    liberty: Path | None
    files: LibraryFiles
    period: float | None
    use_cache: bool

    def map(self, component: wiring.Component, name: str) -> _Unit:
        """The component in cells, or an earlier result."""
        text = component_text(component, name)
        use_cache = self.use_cache
        found = map_cells(text, name, self.files, self.period, flat=True, use_cache=use_cache)
        library = self.files.library
        cells = [(library.cells[kind], n) for kind, n in found.modules[name].items()]
        areas = [(cell.area / library.nand2.area * n, cell.flip_flop) for cell, n in cells]
        return _Unit(
            area=sum(area for area, _ in areas),
            sequential=sum(area for area, flip_flop in areas if flip_flop),
            slack=found.slack,
            path=found.path,
            seconds=found.seconds,
        )


# MAC ---------------------------------------------------------------------------------------------


def _macs(kind: str, flow: _Flow) -> Iterator[dict[str, Any]]:
    """Every structure with all register stages, then with one less until two miss the period."""
    unit_of, structures = STRUCTURES[kind]
    for fields in structures:
        misses = 0
        # Without timing no register but the result's has a reason.
        for depth in range(len(unit_of.RANKED) if flow.period else 1, 0, -1):
            unit = flow.map(unit_of(pipeline=depth, **fields), f"{kind}_{depth}")
            share = fields.get("terms", 4) / 4
            yield {
                "gate_equivalents": unit.area / share,
                "sequential_gate_equivalents": unit.sequential / share,
                "pipeline": depth,
                "slack_ns": unit.slack,
                "path": unit.path,
                "config": {"kind": kind, "pipeline": depth, **fields},
                "seconds": unit.seconds,
            }
            misses = misses + 1 if unit.slack is not None and unit.slack < 0 else 0
            if misses > 1:
                break


# Lookups -----------------------------------------------------------------------------------------


def _buffers(config: CoreConfig, operator: Precompute) -> list[RunBuffer]:
    """Memories that hold a run until its scale is known."""
    activations = config.m * config.depth * config.activation_bits
    buffers = [RunBuffer(config, activations, len(operator.keys) // config.m)]
    if config.table == "int8":
        held = len(operator.aligner.values.as_value()) + len(operator.scales)
        buffers.append(RunBuffer(config, held, config.entry_bits))
    return buffers


def _lookups(kind: str, flow: _Flow) -> Iterator[dict[str, Any]]:
    """Units of the tiles that are tried."""
    for shape in _SHAPES[kind]:
        yield _lookup(_TILE.replace(**shape), flow)


def _lookup(config: CoreConfig, flow: _Flow) -> dict[str, Any]:
    """A unit of a tile, with as few extra stages as meet the period."""
    share = config.products_per_cycle / 4
    precompute = Precompute(config)
    operator = flow.map(precompute, "precompute")
    for pipeline in range(3):
        config = config.replace(pipeline=pipeline)
        tile = synthesise(config, flow.liberty, period=flow.period, use_cache=flow.use_cache)
        if tile.slack_ns is None or tile.slack_ns >= 0:
            break
    unit = sum(tile.blocks[block] for block in _UNIT) / share
    buffers = [flow.map(buffer, "run_buffer").area for buffer in _buffers(config, precompute)]
    slacks = [slack for slack in (tile.slack_ns, operator.slack) if slack is not None]
    return {
        "gate_equivalents": unit + operator.area / share,
        "sequential_gate_equivalents": None,
        "unit_gate_equivalents": unit,
        "precompute_gate_equivalents": operator.area / share,
        "buffer_gate_equivalents": sum(buffers) / share,
        "pipeline": config.pipeline,
        "slack_ns": min(slacks) if slacks else None,
        "path": tile.path,
        "config": config.to_dict(),
        "seconds": tile.seconds + operator.seconds,
    }


# Accuracy ----------------------------------------------------------------------------------------


def rms_error(kind: str, config: Mapping[str, Any]) -> float:
    """RMS error over RMS result of 128-long dot products with two-bit weights.

    Activations are heavy-tailed (Student's t, three degrees of freedom) and rounded to FP16 first,
    as are the weights of MAC units: what remains is what the unit loses.
    """
    rng = np.random.default_rng(0)
    tensor = random_tensor((64, 128), 2, 32, rng, shared=True)
    activations = as_format(rng.standard_t(3, (64, 128)), _TILE)
    if kind in LUT_KINDS:
        tile = CoreConfig.from_dict({**config, "max_weight_bits": 2})
        return relative_error(tile, activations, tensor)
    add = {"discrete": dp4_reference.discrete, "fused": dp4_reference.fused}[kind]
    terms = config.get("terms", 4)
    weights = tensor.dequantise().astype(np.float16)
    a = np.repeat(activations.view(np.uint16), len(weights), axis=0)
    b = np.tile(weights.view(np.uint16), (len(activations), 1))
    total = np.zeros(len(a), np.uint32)
    for first in range(0, 128, terms):
        here = np.s_[:, first : first + terms]
        total = add(np.ascontiguousarray(a[here]), np.ascontiguousarray(b[here]), total)
    exact = (activations.astype(np.float64) @ weights.astype(np.float64).T).ravel()
    error = total.view(np.float32) - exact
    return float(np.sqrt((error**2).mean() / (exact**2).mean()))


# Command -----------------------------------------------------------------------------------------


def table(reports: Mapping[str, Mapping[str, Any]], errors: Mapping[str, float]) -> Table:
    """Units side by side; ratios only between those that met the period."""
    library = next(iter(reports.values()))["liberty"]
    shown = Table(title=f"Four products a cycle, FP16 activations, on {library}")
    for heading in ("unit", "GE", "slack, ns", "stages", "RMS error", *KINDS):
        shown.add_column(heading, justify="left" if heading == "unit" else "right", no_wrap=True)
    for kind, report in reports.items():
        slack = report["slack_ns"]
        ratios = []
        for base in KINDS:
            both = (report, reports[base])
            met = all(r["slack_ns"] is not None and r["slack_ns"] >= 0 for r in both)
            areas = [r["gate_equivalents"] for r in both]
            ratios.append(f"{areas[1] / areas[0]:.1f}x" if met else "-")
        shown.add_row(
            kind,
            f"{report['gate_equivalents']:,.0f}",
            "-" if slack is None else f"{slack:.3f}",
            str(report["pipeline"]),
            f"{errors[kind]:.1e}",
            *ratios,
        )
    return shown


def main(arguments: list[str] | None = None) -> int:
    """Measure, print; returns the exit status: 1 if a unit does not meet the period."""
    parser = argparse.ArgumentParser(
        prog="lutcore.gen.experiments.dp4", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--liberty",
        type=library_path,
        help="Liberty library, plain or .gz; demo: a small synthetic one, for trying; default a "
        "neutral one without timing",
    )
    parser.add_argument("--period", type=float, default=1.0, help="clock period in ns")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    options = parser.parse_args(arguments)
    try:
        reports = {k: measure(k, options.period, options.liberty) for k in (*KINDS, *LUT_KINDS)}
    except (InputError, ToolError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    errors = {kind: rms_error(kind, report["config"]) for kind, report in reports.items()}
    if options.json:
        print(json.dumps({k: {**r, "rms_error": errors[k]} for k, r in reports.items()}, indent=2))
    else:
        console = Console()
        console.print(table(reports, errors))
        for kind in LUT_KINDS:
            parts = ("unit", "precompute", "buffer")
            areas = [f"{part} {reports[kind][f'{part}_gate_equivalents']:,.0f}" for part in parts]
            console.print(f"{kind}: {', '.join(areas)} GE (the buffer does not count)")
    slacks = [report["slack_ns"] for report in reports.values()]
    return int(any(slack is not None and slack < 0 for slack in slacks))


if __name__ == "__main__":
    sys.exit(main())
