"""One point of a study: from a configuration and a question to a flat record, cached."""

import functools
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.liberty import library_name, read_bytes
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.synth import NEUTRAL_CELLS, synthesise
from lutcore.gen.luts import families as fpga_families
from lutcore.gen.tools.hierarchy import core
from lutcore.gen.tools.opensta import sta_command, sta_version
from lutcore.gen.tools.yosys import yosys_command
from lutcore.hdl.config.core import CoreConfig

FAMILIES = tuple(fpga_families.FAMILIES)

#: What can be asked of a point, and the modules that answer: their sources are part of its key.
_ANSWERED_BY: dict[str, tuple[str, ...]] = {
    "area": ("lutcore.gen.asic.synth",),
    "energy": ("lutcore.gen.asic.synth", "lutcore.gen.energy.energy"),
    "dp4": ("lutcore.gen.experiments.dp4",),
    **dict.fromkeys(FAMILIES, ("lutcore.gen.luts.synth",)),
}
MEASURES = tuple(_ANSWERED_BY)

#: Blocks that remain where tables come ready: the held tables or operands, and what reads them.
UNIT = ("table_stage", "columns")

#: Blocks that more pipeline stages make faster.
_PIPELINED = ("columns", "row_sums")


def ops_per_cycle(config: CoreConfig, weight_bits: int) -> float:
    """Products of full-width weights a cycle, over endless scale groups of ``config.run_length``.

    A b-bit weight takes a slice a bit plane; what ``depth`` does not divide is padded; a group
    that is too long for one run is run in pieces. Where runs are shorter than their drain and wait
    for it, this is a lower bound.
    """

    def cycles(elements: int) -> int:
        slices = -(-elements // config.depth) * config.planes(weight_bits)
        if config.passes > 1:  # runs end one right after the other
            slices += config.drain_beats - 1
        return max(slices, config.full_rate_slices) if elements else 0

    pieces, rest = divmod(config.run_length, config.run_steps * config.depth)
    total = pieces * cycles(config.run_steps * config.depth) + cycles(rest)
    return config.m * config.columns * config.run_length / total


@dataclass(frozen=True, kw_only=True)
class Point:
    """What to measure.

    Parameters
    ----------
    config : CoreConfig
        For ``dp4``: any, the unit has its own.
    measure : str
        ``area``, ``energy``, ``dp4``, or one of :data:`FAMILIES`. ``energy`` includes ``area``;
        ``dp4`` is a unit of :mod:`lutcore.gen.experiments.dp4`.
    weight_bits : int
        Bits of the weights whose products are counted; 0 means ``config.max_weight_bits``.
    liberty : Path, optional
        Standard-cell library; default the neutral one.
    period : float, optional
        Clock period in ns that timing must close at; None leaves timing out.
    deepen : bool
        Where timing does not close, try again with more pipeline stages.
    unit : str
        For ``dp4``: its kind.
    """

    config: CoreConfig
    measure: str = "area"
    weight_bits: int = 0
    liberty: Path | None = None
    period: float | None = None
    deepen: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"measure must be one of {', '.join(MEASURES)}, not {self.measure!r}")
        if not 0 <= self.weight_bits <= self.config.max_weight_bits:
            raise InputError(
                f"weight_bits must be in 1..{self.config.max_weight_bits} "
                f"(max_weight_bits), not {self.weight_bits}"
            )
        if self.period is not None and not 0 < self.period < math.inf:
            raise InputError(f"period must be a positive number of ns, not {self.period}")

    @property
    def bits(self) -> int:
        """Bits of the weights whose products are counted."""
        return self.weight_bits or self.config.max_weight_bits

    @functools.cached_property
    def key(self) -> str:
        """Hash of configuration, question, library, flow and tool versions: 24 hex digits."""
        facts: list[Any] = [self.config.to_dict(), self.measure, self.bits, self.deepen, self.unit]
        facts += [self.period, _tools(self.measure, self.period is not None)]
        if self.measure not in FAMILIES:
            facts.append(_content_hash(self.liberty or NEUTRAL_CELLS))
        sources = cache.sources_digest(__name__, *_ANSWERED_BY[self.measure])
        return cache.digest(sources, json.dumps(facts, sort_keys=True))

    def facts(self) -> dict[str, Any]:
        """What was asked, as plain values."""
        return {
            "measure": self.measure,
            "config": self.config.to_dict(),
            "weight_bits": self.bits,
            "liberty": library_name(self.liberty) if self.liberty else None,
            "period_ns": self.period,
        }


def available(measure: str) -> bool:
    """Whether this installation has what answers that question."""
    return all(importlib.util.find_spec(name) is not None for name in _ANSWERED_BY[measure])


def check_library(liberty: Path | None) -> None:
    """Refuse a library that cannot be used, before anything is started.

    Raises
    ------
    InputError
    """
    if liberty is not None:
        parse(read_bytes(liberty), str(liberty))


# Key ---------------------------------------------------------------------------------------------


@functools.lru_cache
def _content_hash(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


@functools.lru_cache
def _tools(measure: str, timed: bool) -> list[str]:
    found = [yosys_command()[1], f"amaranth {importlib.metadata.version('amaranth')}"]
    if (timed or measure in ("energy", "dp4")) and (command := sta_command()):
        found.append(f"sta {sta_version(command)}")
    return found


# Records -----------------------------------------------------------------------------------------


def measure(point: Point, *, use_cache: bool = True) -> dict[str, Any]:
    """Measure a point, or find that done.

    Returns
    -------
    dict
        Plain values. Always: ``key``, ``measure``, ``config`` (as measured: ``deepen`` may have
        added stages), ``weight_bits``, ``design``, ``products_per_cycle`` (of one-bit weights if
        bit-serial), ``ops_per_cycle`` (:func:`ops_per_cycle`), ``closed``, ``error``, ``seconds``,
        ``tool_versions``.
        ASIC: ``area_ge``, ``core_ge`` (:func:`core`), ``unit_ge`` (:data:`UNIT`), ``columns_ge``,
        ``sequential_ge`` in gate equivalents, ``blocks``, ``area_um2``, ``cells``, ``period_ns``,
        ``slack_ns``, ``block_slack_ns``, ``ge_per_op`` (core over operations a cycle), ``liberty``;
        with energy also ``energy_fj_per_op`` of the whole tile, ``core_fj_per_op`` without the
        blocks that the core leaves out, ``power_mw``.
        FPGA: ``luts``, ``core_luts``, ``luts_per_op`` (core), ``carry``, ``ff``, ``lutram``,
        ``bram``, ``dsp``, ``blocks``.
        ``closed`` says whether OpenSTA found the period met, None where nobody asked; ``error``
        that energy could not be measured while area could.

    Raises
    ------
    InputError
        The configuration cannot be built so, the library cannot be used, or a tool is missing.
    ToolError
        A tool failed.
    """
    entry = cache.entry("measure", point.key)
    if use_cache and (found := cache.load(entry)):
        return found
    if not available(point.measure):
        raise InputError(f"this installation cannot measure {point.measure!r}")
    if point.measure in FAMILIES:
        found = _fpga(point)
    elif point.measure == "dp4":
        found = _dp4(point)
    else:
        found = _asic(point)
    record = {"key": point.key, **point.facts(), **found}
    if record["error"] is None:
        cache.store(entry, record)
    return record


def record(point: Point) -> dict[str, Any]:
    """As :func:`measure`, but what fails is a record too: its ``error`` says why."""
    try:
        return measure(point)
    except (InputError, ToolError) as error:
        return failed(point, str(error))
    except Exception as error:  # a point must not end the others
        return failed(point, f"{type(error).__name__}: {error}")


def failed(point: Point, reason: str) -> dict[str, Any]:
    """Record of a point that could not be measured."""
    return {"key": point.key, **point.facts(), "closed": None, "error": reason}


def _rates(config: CoreConfig, bits: int) -> dict[str, Any]:
    return {
        "design": config.name,
        "config": config.to_dict(),
        "products_per_cycle": config.products_per_cycle,
        "ops_per_cycle": ops_per_cycle(config, bits),
    }


def _depths(point: Point) -> Iterator[CoreConfig]:
    """The configuration, then the same with one pipeline stage more each time."""
    config = point.config
    yield config
    while point.deepen and point.period is not None:
        try:
            config = config.replace(pipeline=config.pipeline + 1)
        except InputError:  # as deep as it goes
            return
        yield config


def _helps(slacks: Mapping[str, float]) -> bool:
    """Whether more pipeline stages can close timing: all else meets the period."""
    return all(slack >= 0 for block, slack in slacks.items() if block not in _PIPELINED)


def _asic(point: Point) -> dict[str, Any]:
    best: dict[str, Any] = {}
    seconds = 0.0
    for config in _depths(point):
        report = synthesise(config, point.liberty, period=point.period).to_dict()
        seconds += report["seconds"]
        slack = report["slack_ns"]
        if not best or (slack or 0) > (best["slack_ns"] or 0):
            best = report
        if slack is None or slack >= 0 or not _helps(report["block_slack_ns"]):
            break
    copied = ("area_um2", "cells", "slack_ns", "block_slack_ns", "liberty", "blocks")
    config = CoreConfig.from_dict(best["config"])
    rates = _rates(config, point.bits)
    closed = None if best["slack_ns"] is None else best["slack_ns"] >= 0
    found = {
        **rates,
        "area_ge": best["gate_equivalents"],
        "core_ge": core(best["blocks"]),
        "unit_ge": sum(best["blocks"][block] for block in UNIT),
        "columns_ge": best["blocks"]["columns"],
        "sequential_ge": best["sequential_gate_equivalents"],
        "ge_per_op": core(best["blocks"]) / rates["ops_per_cycle"],
        **{name: best[name] for name in copied},
        "closed": closed,
        "error": None,
        "tool_versions": best["tool_versions"],
        "seconds": seconds,
    }
    if point.measure == "energy":
        found |= _energy(config, point)
        found["seconds"] += found.pop("energy_seconds", 0.0)
    return found


def _energy(config: CoreConfig, point: Point) -> dict[str, Any]:
    """Energy of the netlist; a failure leaves the area standing."""
    energy: Callable[..., Any] = importlib.import_module("lutcore.gen.energy.energy").energy
    try:
        report = energy(
            config, point.liberty, period=point.period or 1.0, weight_bits=point.bits
        ).to_dict()
    except (InputError, ToolError) as error:
        return {"error": f"energy: {error}"}
    parts = ("energy_fj_per_op", "internal_fj", "switching_fj", "leakage_fj", "power_mw")
    found: dict[str, Any] = {name: float(report[name]) for name in parts}
    share = core(report["blocks"]) / report["power_mw"]
    return found | {
        "core_fj_per_op": float(report["energy_fj_per_op"] * share),
        "stimulus": report["stimulus"],
        "energy_seconds": report["seconds"],
    }


def _fpga(point: Point) -> dict[str, Any]:
    module = importlib.import_module("lutcore.gen.luts.synth")
    report = module.synthesise_fpga(point.config, point.measure).to_dict()
    rates = _rates(point.config, point.bits)
    counts = ("luts", "carry", "ff", "lutram", "bram", "dsp", "blocks", "tool_versions", "seconds")
    return {
        **rates,
        "core_luts": core(report["blocks"]),
        "luts_per_op": core(report["blocks"]) / rates["ops_per_cycle"],
        **{name: report[name] for name in counts},
        "closed": None,
        "error": None,
    }


def _dp4(point: Point) -> dict[str, Any]:
    """A unit of its own: it takes four products a cycle, of one-bit weights if it looks up."""
    module = importlib.import_module("lutcore.gen.experiments.dp4")
    report = module.measure(point.unit, point.period, point.liberty)
    area, slack = report["gate_equivalents"], report["slack_ns"]
    copied = ("config", "pipeline", "slack_ns", "liberty", "tool_versions", "seconds")
    return {
        **{name: report[name] for name in copied},
        "design": f"dp4-{point.unit}",
        "products_per_cycle": 4,
        "ops_per_cycle": 4.0,
        "area_ge": area,
        "core_ge": area,
        "unit_ge": report.get("unit_gate_equivalents", area),
        "columns_ge": report.get("unit_gate_equivalents", area),
        "precompute_ge": report.get("precompute_gate_equivalents", 0.0),
        "ge_per_op": area / 4,
        "closed": None if slack is None else slack >= 0,
        "error": None,
    }
