"""Measures a point of a study: from its question to a flat record, cached."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import HostError, InputError, ToolError
from lutcore.gen.asic.synth import read_library, synthesise
from lutcore.gen.experiments.point import ANSWERED_BY, FAMILIES, Point, Question, ops_per_cycle
from lutcore.gen.tools.hierarchy import core
from lutcore.hdl.config.core import CoreConfig

#: Blocks that remain where tables come ready: the held tables or operands, and what reads them.
UNIT = ("table_stage", "columns")

#: Blocks that more pipeline stages make faster.
_PIPELINED = ("columns", "row_sums")


def check_library(liberty: Path | None) -> None:
    """Refuse a library that cannot be used, before anything is started.

    Raises
    ------
    InputError
    """
    if liberty is not None:
        read_library(liberty)


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
    record = {"key": point.key, **point.facts(), **_ANSWERS[point.measure](point)}
    if record["error"] is None:
        cache.store(entry, record)
    return record


def record(point: Point) -> dict[str, Any]:
    """As :func:`measure`, but what fails is a record too: its ``error`` says why."""
    try:
        return measure(point)
    except (InputError, ToolError) as error:
        return failed(point, str(error))
    except HostError:  # all points would fail
        raise
    except Exception as error:  # a point must not end the others
        return failed(point, f"{type(error).__name__}: {error}")


def failed(point: Question, reason: str) -> dict[str, Any]:
    """Record of a point that could not be measured."""
    return {"key": point.key, **point.facts(), "closed": None, "error": reason}


# Answers -----------------------------------------------------------------------------------------


def _asked(point: Point, name: str) -> Callable[..., Any]:
    """A function of the module that answers."""
    return getattr(importlib.import_module(ANSWERED_BY[point.measure][-1]), name)


def _rates(config: CoreConfig, bits: int) -> dict[str, Any]:
    return {
        "design": config.name,
        "config": config.to_dict(),
        "products_per_cycle": config.products_per_cycle,
        "ops_per_cycle": ops_per_cycle(config, bits),
    }


def _area(point: Point) -> dict[str, Any]:
    report, seconds = _deepened(point)
    slack, blocks = report["slack_ns"], report["blocks"]
    rates = _rates(CoreConfig.from_dict(report["config"]), point.bits)
    copied = ("area_um2", "cells", "slack_ns", "block_slack_ns", "liberty", "blocks")
    return {
        **rates,
        "area_ge": report["gate_equivalents"],
        "core_ge": core(blocks),
        "unit_ge": sum(blocks[block] for block in UNIT),
        "columns_ge": blocks["columns"],
        "sequential_ge": report["sequential_gate_equivalents"],
        "ge_per_op": core(blocks) / rates["ops_per_cycle"],
        **{name: report[name] for name in copied},
        "closed": None if slack is None else slack >= 0,
        "error": None,
        "tool_versions": report["tool_versions"],
        "seconds": seconds,
    }


def _deepened(point: Point) -> tuple[dict[str, Any], float]:
    """Report of the first depth that closes, else of the best one; and the seconds of all."""
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
    return best, seconds


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


def _energy(point: Point) -> dict[str, Any]:
    """Area, and the energy of that netlist; where energy fails the area stands."""
    found = _area(point)
    config, period = CoreConfig.from_dict(found["config"]), point.period or 1.0
    try:
        energy = _asked(point, "energy")
        report = energy(config, point.liberty, period=period, weight_bits=point.bits).to_dict()
    except (InputError, ToolError) as error:
        return found | {"error": f"energy: {error}"}
    parts = ("energy_fj_per_op", "internal_fj", "switching_fj", "leakage_fj", "power_mw")
    share = core(report["blocks"]) / report["power_mw"]
    return {
        **found,
        **{name: float(report[name]) for name in parts},
        "core_fj_per_op": float(report["energy_fj_per_op"] * share),
        "stimulus": report["stimulus"],
        "seconds": found["seconds"] + report["seconds"],
    }


def _luts(point: Point) -> dict[str, Any]:
    report = _asked(point, "synthesise_fpga")(point.config, point.measure).to_dict()
    rates = _rates(point.config, point.bits)
    copied = ("luts", "carry", "ff", "lutram", "bram", "dsp", "blocks", "tool_versions", "seconds")
    return {
        **rates,
        "core_luts": core(report["blocks"]),
        "luts_per_op": core(report["blocks"]) / rates["ops_per_cycle"],
        **{name: report[name] for name in copied},
        "closed": None,
        "error": None,
    }


def _dp4(point: Point) -> dict[str, Any]:
    """A unit of its own: it takes four products a cycle, of one-bit weights if it looks up."""
    report = _asked(point, "measure")(point.unit, point.period, point.liberty)
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


_ANSWERS: dict[str, Callable[[Point], dict[str, Any]]] = {
    "area": _area,
    "energy": _energy,
    "dp4": _dp4,
    **dict.fromkeys(FAMILIES, _luts),
}
