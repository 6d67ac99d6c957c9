"""Proofs that bits of a design never change, whatever its inputs are.

Points of coverage that no simulation can see are excluded by them. Registers start at 0, as those
do that a reset clears; those that none clears keep what they have until they are loaded, which is
no toggle that a test could ask for.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping

from lutcore.errors import ToolError
from lutcore.gen.tools.netlist import Bit, Json
from lutcore.gen.tools.yosys import LIMIT as YOSYS_LIMIT
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.ties import Tie
from lutcore.verif.coverage.code import Coverage, Place

#: Why what is proved is excluded.
PROVED = "proved constant"
#: Signals, and which of their bits.
Masks = Mapping[Place, int]
#: Signals, and the constants that some of their bits are.
Values = Mapping[Place, dict[int, Bit]]
_READ = """
read_verilog design.v
hierarchy -top {top}
proc
write_json modules.json
flatten
write_json flat.json
"""
_PREPARE = """
read_json few.json
opt_clean
opt -full
"""
_WRITE = """
opt
write_json proved.json
"""
# Signal correspondence looks for an inductive set of nets that are equal or constant; outputs keep
# their places, so that those it has found to be constant say which.
_CORRESPOND = """
async2sync
dffunmap
techmap
opt
dfflegalize -cell $_DFF_P_ 0
abc -dff -script +strash;scorr;strash;scorr;strash
"""
_ASKED, _FREE = "asked", "free"
#: Seconds for the proofs that look at all of the design.
LIMIT = 60


def constants(
    verilog: str, top: str, asked: Masks, tied: Iterable[Tie] = (), limit: float = LIMIT
) -> dict[Place, int]:
    """Bits of signals that are proved never to change.

    First each module is looked at by itself, what instances give it being free; then the whole
    design, constants passing on; then the whole design by induction, within a limit. What memories
    hold is free.

    Parameters
    ----------
    verilog : str
        The design; one clock, and no tristates.
    top : str
        Its top module.
    asked : mapping of Place to int
        Signals, and which of their bits to look at, as a mask.
    tied : iterable of Tie
        Bits of input ports that are held; all other inputs are free.
    limit : float
        Seconds for the induction; what it has not proved by then is left.

    Returns
    -------
    dict of Place to int
        Masks of the proved bits. What is not here is not proved: it may change or not.

    Raises
    ------
    ToolError
        Yosys failed.
    """
    files = {"design.v": verilog.encode()}
    texts = run_yosys(_READ.format(top=top), files, ["modules.json", "flat.json"])
    modules, flat = (json.loads(texts[name])["modules"] for name in texts)
    found = _in_modules(modules, asked)
    tied = list(tied)
    for script, most in (("", YOSYS_LIMIT), (_CORRESPOND, limit)):
        with contextlib.suppress(*([ToolError] if script else [])):
            more = _in_whole(flat[top], top, asked, found, tied, script, most)
            found = {place: found.get(place, {}) | more.get(place, {}) for place in asked}
    masks = {place: sum(1 << i for i in values) for place, values in found.items()}
    return {place: mask for place, mask in masks.items() if mask}


def _in_modules(modules: Json, asked: Masks) -> Values:
    """What holds for each module whatever stands around it and in its instances."""
    single = {place: place._replace(instance=place.module) for place in asked}
    wanted: dict[str, dict[Place, int]] = {}
    for place, mask in asked.items():
        masks = wanted.setdefault(place.module, {})
        masks[single[place]] = masks.get(single[place], 0) | mask
    parts, bits = {}, {}
    for name, masks in wanted.items():
        bits |= _bits(modules[name], name, masks)
        parts[name] = _apart(modules[name], modules)
    proved = _proved(parts, bits, _CORRESPOND, YOSYS_LIMIT)
    return {
        place: {i: v for i, v in proved.get(single[place], {}).items() if mask >> i & 1}
        for place, mask in asked.items()
    }


def _in_whole(
    flat: Json,
    top: str,
    asked: Masks,
    known: Values,
    tied: Iterable[Tie],
    script: str,
    limit: float,
) -> Values:
    """What holds for the flattened design, constants that are known by now being held."""
    held: dict[Bit, Bit] = {
        flat["ports"][tie.port]["bits"][tie.bit]: str(tie.value) for tie in tied
    }
    nets = _bits(flat, top, asked)
    for place, bits in nets.items():
        held |= {bits[i]: value for i, value in known.get(place, {}).items() if i in bits}
    bits = {
        place: {i: held.get(bit, bit) for i, bit in found.items()} for place, found in nets.items()
    }
    whole = _apart(flat, {})
    for cell in whole["cells"].values():
        for pin, wires in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                cell["connections"][pin] = [held.get(bit, bit) for bit in wires]
    return _proved({top: whole}, bits, script, limit, top)


def _bits(module: Json, name: str, asked: Masks) -> dict[Place, dict[int, Bit]]:
    """Nets of the bits that are asked for, where a module's netlist has them."""
    found = {}
    for place, mask in asked.items():
        signal = f"{place.instance}.{place.name}".removeprefix(f"{name}.")
        net = module["netnames"].get(signal) or module["netnames"].get(f"\\{signal}")
        if net and mask:
            bits = net["bits"]
            found[place] = {i: bits[i] for i in range(len(bits)) if mask >> i & 1}
    return found


def _apart(module: Json, modules: Json) -> Json:
    """A module without its outputs; those of its instances and memories are inputs."""
    free, cells = [], {}
    for name, cell in module["cells"].items():
        below = modules.get(cell["type"])
        if below is None and not cell["type"].startswith("$mem"):
            cells[name] = {**cell, "connections": dict(cell["connections"])}
            continue
        for port, bits in cell["connections"].items():
            way = below["ports"][port]["direction"] if below else cell["port_directions"][port]
            if way == "output":
                free += bits
    ports = {n: port for n, port in module["ports"].items() if port["direction"] == "input"}
    if free:
        ports[_FREE] = {"direction": "input", "bits": free}
    # A register's first value stands with its name; other names only cost time.
    names = {n: net for n, net in module["netnames"].items() if "init" in net["attributes"]}
    return {"attributes": {}, "ports": ports, "cells": cells, "netnames": names}


def _proved(
    modules: dict[str, Json],
    bits: dict[Place, dict[int, Bit]],
    script: str,
    limit: float,
    whole: str = "",
) -> Values:
    """Values of the bits that a script makes constants.

    Parameters
    ----------
    modules : dict of str to Json
        Modules of which none is in another (:func:`_apart`).
    bits : dict of Place to dict of int to net
        What is asked, in the module that is named as the place's, or in ``whole``.
    """
    nets: dict[str, list[int]] = {}
    for place, found in bits.items():
        wanted = nets.setdefault(whole or place.module, [])
        wanted += [bit for bit in found.values() if isinstance(bit, int)]
    known: dict[tuple[str, Bit], Bit] = {}
    if asked := {name: sorted(set(wanted)) for name, wanted in nets.items() if wanted}:
        design = {}
        for name, wanted in asked.items():
            ports = {**modules[name]["ports"], _ASKED: {"direction": "output", "bits": wanted}}
            design[name] = {**modules[name], "ports": ports}
        files = {"few.json": json.dumps({"modules": design}).encode()}
        text = run_yosys(f"{_PREPARE}{script}{_WRITE}", files, ["proved.json"], limit)
        after = json.loads(text["proved.json"])["modules"]
        for name, wanted in asked.items():
            bits_now = after[name]["ports"][_ASKED]["bits"]
            known |= {(name, bit): end for bit, end in zip(wanted, bits_now, strict=True)}
    ends = {
        place: {i: known.get((whole or place.module, bit), bit) for i, bit in found.items()}
        for place, found in bits.items()
    }
    return {
        place: {i: value for i, value in found.items() if value in ("0", "1")}
        for place, found in ends.items()
    }


def without_constants(coverage: Coverage, verilog: str, tied: Iterable[Tie] = ()) -> Coverage:
    """Coverage without the bits that never changed and provably cannot.

    Raises
    ------
    ToolError
        Yosys failed.
    """
    tied = list(tied)
    holes = [hole for hole in coverage.holes() if hole.place.kind == "toggle" and hole.still]
    top = min((place.instance for place in coverage.points), key=len, default="")
    proved = constants(verilog, top, {hole.place: hole.still for hole in holes}, tied)
    reason = PROVED
    return coverage.without(reason, {place: _both(mask) for place, mask in proved.items()})


def _both(bits: int) -> int:
    """Numbers of the points of bits, as a mask: each rises and falls."""
    return int("".join(2 * digit for digit in f"{bits:b}"), 2)
