"""What a configuration is, in words and numbers: fields, what follows from them, its full rate."""

import dataclasses
import re
from typing import Any

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS, Fields
from lutcore.hdl.config.rules import CORE_RULES, is_core

_DEFAULTS: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(Fields)}

#: What follows from the fields: the properties that a reader of a report asks for.
DERIVED = (
    *("columns", "depth", "tables", "entries", "products_per_cycle"),
    *("run_length", "run_steps", "index_bits", "slice_bits", "plane_bits"),
    *("activation_bits", "value_bits", "entry_bits", "operand_bits", "unit_bits"),
    *("accumulator_bits", "row_sum_bits", "zero_point_bits", "dot_bits"),
    *("drain_columns", "drain_beats", "stages", "latency", "full_rate_slices"),
)


def weights(config: CoreConfig) -> str:
    """Which weights a configuration takes, in words."""
    if config.weight_coding == "ternary":
        return "ternary"
    least, most = config.weight_bits_range
    return f"{most} bit" if least == most else f"{least}..{most} bits"


def shape(config: CoreConfig) -> str:
    """Shape of the tile, as the paper writes it, with tables a cycle and tiles where several."""
    lookups = f" x {config.lookups}" if config.lookups > 1 else ""
    tiles = f", {config.tiles} tiles" if config.tiles > 1 else ""
    return f"M{config.m} N{config.n} K{config.k}{lookups}{tiles}"


def kind(config: CoreConfig) -> str:
    """``core`` where a core can be built around the tile, else ``tile``."""
    return "core" if is_core(config) else "tile"


def no_core(config: CoreConfig) -> list[str]:
    """Why no core can be built around the tile, each reason with its remedy; empty if one can."""
    return [rule.message(config) for rule in CORE_RULES if rule.broken(config)]


def _plain(text: str) -> str:
    """Words of the manual without its marks, and without what only refers to its pages."""
    text = re.sub(r" \(:\w+:`[^`]+`\)", "", text)
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "")


def fields(config: CoreConfig) -> list[dict[str, Any]]:
    """Each field: name, value, default, whether it is changed, allowed values, meaning."""
    return [
        {
            "name": name,
            "value": getattr(config, name),
            "default": _DEFAULTS[name],
            "changed": getattr(config, name) != _DEFAULTS[name],
            "allowed": domain.text,
            "meaning": _plain(domain.meaning),
        }
        for name, domain in DOMAINS.items()
    ]


def derived(config: CoreConfig) -> list[dict[str, Any]]:
    """Each of :data:`DERIVED`: name, value, meaning."""
    return [
        {
            "name": name,
            "value": getattr(config, name),
            "meaning": _plain((getattr(CoreConfig, name).__doc__ or "").partition("\n")[0]),
        }
        for name in DERIVED
    ]


def describe(config: CoreConfig) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "name": config.name,
        "kind": kind(config),
        "no_core": no_core(config),
        "shape": shape(config),
        "weights": weights(config),
        "fields": fields(config),
        "derived": derived(config),
        "full_rate": {"slices": config.full_rate_slices, "conditions": full_rate(config)},
    }


# Full rate ---------------------------------------------------------------------------------------


def full_rate(config: CoreConfig) -> list[str]:
    """Under what conditions a tile takes one slice every cycle, a sentence for each."""
    said = [_slices(config), _drain(config), *_runs(config), _order(config), _tables(config)]
    said.append("The reader takes every beat of results in the cycle in which it is offered.")
    if config.passes > 1:
        said.append(
            f"N tiles come in multiples of {config.passes}, which read the tables of a step one "
            f"after the other, while those of the next take {config.write_cycles} cycles to be "
            "written."
        )
    if is_core(config):
        said.append(_bus(config))
    return said


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _slices(config: CoreConfig) -> str:
    weights = "one-bit weights" if config.form.bit_serial else "whole weights"
    return (
        f"At full rate the tile takes a slice of {config.slice_bits:,} bits every cycle: "
        f"{config.products_per_cycle:,} products of {weights}."
    )


def _drain(config: CoreConfig) -> str:
    beats = _count(config.drain_beats, "beat")
    extra = config.full_rate_slices - config.drain_beats
    more = f", and {_count(extra, 'cycle')} more" if extra else ""
    return (
        f"A run has at least {_count(config.full_rate_slices, 'slice')}: its results leave in "
        f"{beats} of {_count(config.drain_columns, 'column')} while the next run is summed{more}. "
        "A shorter run waits for the drain."
    )


def _runs(config: CoreConfig) -> list[str]:
    """What that means for weights of each width: planes of a step, and the shortest run."""
    source = "group_size" if config.group_size else "max_k"
    least, most = config.weight_bits_range
    if not config.form.bit_serial:
        least = most
    said = []
    for bits in range(least, most + 1):
        planes = config.planes(bits)
        shortest = -(-config.full_rate_slices // planes) * config.depth
        slices = config.run_steps * planes
        enough = slices >= config.full_rate_slices
        verdict = "is at full rate" if enough else "waits for the drain"
        width = f"{bits}-bit weights" if config.form.bit_serial else "weights of any width"
        said.append(
            f"With {width} a step of {_count(config.depth, 'element')} takes "
            f"{_count(planes, 'slice')}, so a run is at full rate from K = {shortest:,} on; one of "
            f"{source} = {config.run_length:,} has {_count(slices, 'slice')} and {verdict}."
        )
    return said


def _order(config: CoreConfig) -> str:
    if not config.form.bit_serial:
        return "A slice holds whole weights: there are no planes to be ordered."
    if config.max_weight_bits == 1:
        return "There is one plane: no order is needed."
    if config.doubles:
        return "A run takes all its steps of the highest plane first, then those of the next lower."
    return "Planes may come in any order: each slice is weighed by its own."


def _tables(config: CoreConfig) -> str:
    step = f"{config.m} x {config.depth} activations"
    if config.precompute == "external":
        count = config.m * config.tables * config.entries
        return f"The tables of a step ({count:,} entries) are offered before its first slice."
    if config.precompute == "buffered":
        return (
            f"The tables of a run are built at one step of {step} a cycle while the run before is "
            f"in use: it is used for at least as many slices as the next has steps."
        )
    if config.marks_runs:
        return (
            f"The {step} of a step are offered a run ahead, anew for every pass: those of a run "
            "are held until their greatest magnitude is known, while the run before it, of as many "
            "steps, is in use."
        )
    return f"The {step} of a step are offered before its first slice, anew for every pass."


def _bus(config: CoreConfig) -> str:
    cycles = -(-config.slice_bits // config.bus_bits)
    if cycles == 1:
        return f"A slice arrives from memory in one cycle of a bus of {config.bus_bits} bits."
    return (
        f"From memory a slice takes {cycles} cycles of a bus of {config.bus_bits} bits: weights "
        f"that are read anew for every {_count(config.m, 'row')} come at a slice in {cycles} "
        "cycles at most."
    )
