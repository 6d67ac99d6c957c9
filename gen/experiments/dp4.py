"""Units of four products a cycle: FP16 multipliers against lookups (paper, figures 12 and 13).

``python -m lutcore.gen.experiments.dp4 --liberty CELLS.lib`` prints all kinds side by side.

What counts is what takes four products a cycle and accumulates them, at a clock period that OpenSTA
confirms, operands arriving with the clock edge and results held in flip-flops. ``discrete`` and
``fused`` are MAC units of FP16 weights with as few register stages as meet the period. ``lut-*``
are one-bit weights: a unit of a tile of M = 2, N = 64 with its share of the tile's control, and of
the operator that finds scales and makes tables once for all columns. That operator takes a run's
activations when their greatest is known; memory that may have to hold them until then is reported
as ``buffer_gate_equivalents`` and counts in neither. Neither side counts weight scales: MAC takes
weights that are converted to FP16, lookups leave a sum of 32 products that is scaled later.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from rich.console import Console
from rich.table import Table

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.buffering import use_inverted_outputs
from lutcore.gen.asic.closing import Closing
from lutcore.gen.asic.liberty import library_name, library_path
from lutcore.gen.asic.mapping import AREA_SCRIPT, tool_versions
from lutcore.gen.asic.synth import read_library, synthesise
from lutcore.gen.experiments.accuracy import relative_error
from lutcore.gen.run.tile import as_format, random_tensor
from lutcore.gen.tools.netlist import Json
from lutcore.gen.tools.opensta import sta_command
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.baselines.discrete import DotProduct4
from lutcore.hdl.baselines.fused import FusedDotProduct4
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.tile.blocks import Aligner, ExponentKeys, MagnitudeKeys, RunBuffer, TableRounder
from lutcore.hdl.tile.tables import TableBuilder, tables_layout
from lutcore.verif.golden import dp4 as dp4_reference

#: MAC units.
KINDS = ("discrete", "fused")
#: Lookup units.
LUT_KINDS = ("lut-aligned", "lut-int8-tables")

_MAC = {"discrete": DotProduct4, "fused": FusedDotProduct4}
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

#: ABC for speed: ``dc2`` would turn parallel-prefix adders into ripples. Mapping aims at a looser
#: period than sizing: the gates that it picks then are small, and the sizes make them fast.
_ABC = (
    "strash; ifraig; scorr; rewrite; refactor; rewrite -z; dch -f; map -B 0.9 -D {loose:.0f}; "
    "topo; buffer -c; upsize -D {tight:.0f}; dnsize -D {tight:.0f}\n"
)
_LOOSE, _TIGHT = 1.8, (0.8, 0.7)
#: A miss that is not worth sizing, as part of the period.
_HOPELESS = 0.12


def measure(
    kind: str, period: float | None = 1.0, liberty: Path | None = None, *, use_cache: bool = True
) -> dict[str, Any]:
    """Area and timing of a unit.

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
    if kind not in (*KINDS, *LUT_KINDS):
        raise InputError(f"kind must be one of {', '.join((*KINDS, *LUT_KINDS))}, not {kind!r}")
    if period is not None and not period > 0:
        raise InputError(f"period must be above 0 ns, not {period}")
    flow = _Flow(liberty, period if sta_command() else None, use_cache)
    if kind in KINDS:
        found = _best([_mac(kind, depth, flow) for depth in _depths(kind, flow)])
    else:
        found = _best([_lookup(_TILE.replace(**shape), flow) for shape in _SHAPES[kind]])
    return {
        "kind": kind,
        **found,
        "period_ns": period,
        "liberty": flow.where,
        "tool_versions": tool_versions(),
    }


def _best(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The smallest that meets the period, else the one that is nearest to it."""
    closed = [r for r in reports if r["slack_ns"] is None or r["slack_ns"] >= 0]
    if closed:
        return min(closed, key=lambda report: report["gate_equivalents"])
    return max(reports, key=lambda report: report["slack_ns"])


# MAC ---------------------------------------------------------------------------------------------


def _depths(kind: str, flow: "_Flow") -> Iterator[int]:
    """All stages, then one less each time as long as the period is met."""
    most = len(_MAC[kind].RANKED)
    if not flow.period:
        yield 1  # the result alone: without timing no other register has a reason
        return
    for depth in range(most, 0, -1):
        yield depth
        slack = flow.map(_MAC[kind](pipeline=depth), f"{kind}_{depth}").slack
        if slack is None or slack < 0:
            return


def _mac(kind: str, depth: int, flow: "_Flow") -> dict[str, Any]:
    unit = flow.map(_MAC[kind](pipeline=depth), f"{kind}_{depth}")
    return {
        "gate_equivalents": unit.area,
        "sequential_gate_equivalents": unit.sequential,
        "pipeline": depth,
        "slack_ns": unit.slack,
        "path": unit.path,
        "config": {"kind": kind, "pipeline": depth},
        "seconds": unit.seconds,
    }


# Lookups -----------------------------------------------------------------------------------------


class Precompute(wiring.Component):
    """Scales and tables of a step, a stage each (paper, section 3.1.1), for measuring.

    Members
    -------
    activations : In, ``[m][depth]`` bit patterns
    exponents : In, ``[m]`` as of :class:`~lutcore.hdl.tile.blocks.ExponentKeys`, the greatest of
    the run
    magnitudes : In, ``[m]`` as of :class:`~lutcore.hdl.tile.blocks.MagnitudeKeys`, only of int8
    tables
    keys : Out
        Of the step itself, for finding the greatest.
    scales, tables : Out
        Three cycles later, of int8 tables four.
    """

    def __init__(self, config: CoreConfig):
        self._config = config
        self._int8 = config.table == "int8"
        row = data.ArrayLayout(config.activation_bits, config.depth)
        self._keys = ExponentKeys(config)
        self.aligner = Aligner(config)
        members = {
            "activations": In(data.ArrayLayout(row, config.m)),
            "exponents": In(self._keys.keys.shape()),
            "keys": Out(len(self._keys.keys.as_value())),
            "scales": Out(len(self.aligner.scales.as_value())),
            "tables": Out(tables_layout(config, config.stored_bits)),
        }
        if self._int8:
            self._magnitudes = MagnitudeKeys(config)
            self._rounder = TableRounder(config)
            shape = self._magnitudes.keys.shape()
            members |= {"magnitudes": In(shape), "step_magnitudes": Out(shape)}
            members["shifts"] = Out(self._rounder.shifts.shape())
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Align, build, round."""
        m = Module()
        config = self._config

        def held(name: str, value: Any) -> Signal:
            register = Signal(len(value), name=name, reset_less=True)
            m.d.sync += register.eq(value)
            return register

        m.submodules.keys = keys = self._keys
        m.submodules.aligner = aligner = self.aligner
        m.submodules.builder = builder = TableBuilder(config)
        values = held("values", aligner.values.as_value())
        tables = held("built", builder.tables.as_value())
        m.d.comb += [
            keys.activations.eq(self.activations),
            self.keys.eq(held("step_keys", keys.keys.as_value())),
            aligner.activations.eq(self.activations),
            aligner.keys.eq(self.exponents),
            self.scales.eq(held("scales", aligner.scales.as_value())),
            builder.activations.as_value().eq(values),
        ]
        if self._int8:
            m.submodules.magnitudes = magnitudes = self._magnitudes
            m.submodules.rounder = rounder = self._rounder
            m.d.comb += [
                magnitudes.values.as_value().eq(values),
                self.step_magnitudes.as_value().eq(held("found", magnitudes.keys.as_value())),
                rounder.tables.as_value().eq(tables),
                rounder.keys.eq(self.magnitudes),
                self.shifts.as_value().eq(held("shifts", rounder.shifts.as_value())),
            ]
            tables = held("rounded", rounder.rounded.as_value())
        m.d.comb += self.tables.as_value().eq(tables)
        return m


def _buffers(config: CoreConfig, operator: Precompute) -> list[RunBuffer]:
    """Memories that hold a run until its scale is known."""
    activations = config.m * config.depth * config.activation_bits
    buffers = [RunBuffer(config, activations, len(operator.keys) // config.m)]
    if config.table == "int8":
        held = len(operator.aligner.values.as_value()) + len(operator.scales)
        buffers.append(RunBuffer(config, held, config.entry_bits))
    return buffers


def _lookup(config: CoreConfig, flow: "_Flow") -> dict[str, Any]:
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


# Mapping -----------------------------------------------------------------------------------------


class _Mapped(NamedTuple):
    area: float  #: gate equivalents
    sequential: float
    slack: float | None
    path: list[str]
    seconds: float


class _Flow:
    """Maps flat designs for speed, which float units need: their adders are wide and in series."""

    def __init__(self, liberty: Path | None, period: float | None, use_cache: bool):
        self.library, self._contents, where = read_library(liberty)
        self.where = library_name(liberty) if liberty else where
        self.liberty, self.period, self.use_cache = liberty, period, use_cache

    def map(self, component: wiring.Component, name: str) -> _Mapped:
        """The component in cells, or an earlier result."""
        text = rtlil.convert(component, name=name, emit_src=False)
        facts = json.dumps([self.period, tool_versions()])
        key = cache.key(__name__, text, facts, *self._contents.values())
        entry = cache.entry("dp4", key)
        if (self.use_cache or entry in _MADE) and (stored := cache.load(entry)):
            return _Mapped(*stored)
        start = time.perf_counter()
        found: _Mapped | None = None
        for tight in _TIGHT if self.period else (1.0,):
            found = self._mapped(text, name, tight)
            if found.slack is None or found.slack >= 0:
                break
        assert found is not None
        found = found._replace(seconds=round(time.perf_counter() - start, 2))
        cache.store(entry, found)
        _MADE.add(entry)
        return found

    def _mapped(self, text: str, top: str, tight: float) -> _Mapped:
        design = self._gates(text, top, tight)
        slack, path = None, []
        if self.period:
            closing = Closing(self.library, self._contents, top, self.period, from_ports=True)
            timing = closing.timing(design)
            near = min(closing.slacks(timing).values()) >= -_HOPELESS * self.period
            found = closing.size(design, timing) if near else closing.check(design)
            slack, path = found.slack, found.path
        counts = Counter(cell["type"] for cell in design["modules"][top]["cells"].values())
        areas = {name: self.library.cells[name].area / self.library.nand2.area for name in counts}
        flip_flops = {name for name in counts if self.library.cells[name].flip_flop}
        area = sum(areas[name] * number for name, number in counts.items())
        sequential = sum(areas[name] * counts[name] for name in flip_flops)
        return _Mapped(area, sequential, slack, path, 0.0)

    def _gates(self, text: str, top: str, tight: float) -> Json:
        libraries = " ".join(f"-liberty {name}" for name in self._contents)
        picoseconds = 1000 * (self.period or 0.0)
        abc = AREA_SCRIPT
        if self.period:
            abc = _ABC.format(loose=_LOOSE * picoseconds, tight=tight * picoseconds)
        script = [
            "read_rtlil design.il",
            f"synth -flatten -top {top} -noabc",
            f"dfflibmap {libraries}",
            f"abc {libraries} -script abc.script",
            "opt_clean -purge",
            "setundef -zero",
            "rename -enumerate -pattern _%_",
            "write_json mapped.json",
        ]
        files = {"design.il": text.encode(), "abc.script": abc.encode(), **self._contents}
        design = json.loads(run_yosys("\n".join(script), files, ("mapped.json",))["mapped.json"])
        use_inverted_outputs(design, self.library)
        return design


#: What this process put into the cache: need not be made twice even where the cache is not trusted.
_MADE: set[Path] = set()


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
    weights = tensor.dequantise().astype(np.float16)
    a = np.repeat(activations.view(np.uint16), len(weights), axis=0)
    b = np.tile(weights.view(np.uint16), (len(activations), 1))
    total = np.zeros(len(a), np.uint32)
    for first in range(0, 128, 4):
        here = np.s_[:, first : first + 4]
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
