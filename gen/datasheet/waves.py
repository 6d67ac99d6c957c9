"""Timing diagrams of a design, from waves of its own simulation.

The component itself runs in Amaranth's simulator: a tile multiplies a small matrix with pauses of
its producer and of its consumer, a core runs the program of one. Every port is sampled in every
cycle. What comes out is held against the golden model, and what streams do against the rules of
valid and ready, before anything is drawn.
"""

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lutcore import tools
from lutcore.gen.datasheet.lanes import Lane, Lanes, check, lanes
from lutcore.gen.datasheet.runs import RUNS
from lutcore.gen.datasheet.views import CYCLES, VIEWS, View
from lutcore.gen.emit.interfaces import TOPS
from lutcore.hdl.config.core import CoreConfig

#: Characters of a value that fit into one cycle.
_FIT = 4
#: Products a cycle of the largest tiles and cores that Amaranth's simulator runs in less than 30 s.
_MOST = {False: 6144, True: 2048}
#: Parts without which the others of their interface mean nothing, and those that always do.
_OFFERS, _ALWAYS = ("valid", "psel", "stb"), ("ready", "penable", "pready", "cyc", "ack")
_REMEDY = "pip install 'lut-tensor-core[datasheet]'"


@dataclass(frozen=True)
class Diagram:
    """Some cycles of some lanes, the first of them cycle ``start`` of the run."""

    name: str
    text: str
    start: int
    lanes: Lanes
    clock: str = "clk"


def diagrams(config: CoreConfig, top: str) -> list[Diagram]:
    """Diagrams of a top from a run of it; none where a run takes too long.

    Raises
    ------
    ToolError
        The run gives a wrong result.
    ProtocolError
        A stream breaks a rule.
    """
    if unsimulated(config, top):
        return []
    samples = RUNS[top](config)
    found = lanes(samples)
    check(found)
    clock = next(port["name"] for port in samples.ports)
    return [replace(cut(view, found), clock=clock) for view in VIEWS[top]]


def unsimulated(config: CoreConfig, top: str) -> str:
    """Why there are no diagrams of a top; nothing where there are."""
    most = _MOST[TOPS[top].is_core]
    if config.products_per_cycle > most:
        return f"above {most:,} products a cycle a run takes minutes"
    return ""


def cut(view: View, found: Lanes) -> Diagram:
    """The cycles and lanes that a view shows."""
    start = max(0, view.event(found) - view.before)
    shown: Lanes = {}
    for group, parts in view.rows.items():
        if group in found:
            have = found[group]
            shown[group] = {
                name: Lane(have[name].width, have[name].values[start : start + CYCLES])
                for name in parts.split() or have
            }
    return Diagram(view.name, view.text, start, shown)


def wavejson(diagram: Diagram) -> dict[str, Any]:
    """A diagram as WaveDrom takes it; what has no meaning, as nothing is offered, is hatched."""
    signal: list[Any] = [{}]
    cycles = 0
    for group, parts in diagram.lanes.items():
        offered = next((parts[name].values for name in _OFFERS if name in parts), ())
        label = group.removesuffix("_t")  # of AXI-Streams, whose ``t`` belongs to the parts
        mark = "t" if label != group else ""
        drawn = []
        for name, lane in parts.items():
            cycles = len(lane.values)
            always = not offered or name in _OFFERS + _ALWAYS
            known = (1,) * cycles if always else offered
            drawn.append({"name": mark + name, **_drawn(lane, known)})
        signal += [[label, *drawn]] if group else drawn
    signal[0] = {"name": diagram.clock, "wave": "p" + "." * (cycles - 1)}
    return {"signal": signal, "head": {"tick": diagram.start, "every": 1}}


def _drawn(lane: Lane, known: Sequence[int]) -> dict[str, Any]:
    """``wave`` and ``data`` of a lane."""
    wave: list[str] = []
    data: list[str] = []
    states = [value if seen else None for value, seen in zip(lane.values, known, strict=True)]
    for value, same in itertools.groupby(states):
        cycles = len(list(same))
        if value is None:
            state = "x"
        elif lane.width == 1:
            state = str(value)
        else:
            state = "="
            data.append(_hex(value, cycles))
        wave.append(state + "." * (cycles - 1))
    return {"wave": "".join(wave)} | ({"data": data} if data else {})


def _hex(value: int, cycles: int) -> str:
    """A value in as many digits as fit; of longer ones the lowest, behind two dots."""
    digits, room = f"{value:x}", (_FIT + 1) * cycles - 1
    return digits if len(digits) <= room else f"..{digits[-(room - 1) :]}"


def svg(diagram: Diagram) -> str:
    """A diagram drawn by WaveDrom, black on white.

    Raises
    ------
    InputError
        WaveDrom is not installed.
    ToolError
        It failed.
    """
    program = tools.need("yowasp-wavedrom", _REMEDY, beside=True)
    drawn = tools.run("WaveDrom", [program, "-", "-"], text=json.dumps(wavejson(diagram))).out
    return paper(drawn)


def paper(drawn: str) -> str:
    """WaveDrom's picture without its dark half, on white, without shapes that it does not use."""
    drawn = re.sub(r"<style>@media.*?</style>", "", drawn, count=1)
    used = set(re.findall(r'xlink:href="#([^"]+)"', drawn))
    head, ends, rest = drawn.partition("</defs>")
    shape = r'<g id="([^"]+)">(?:(?!</?g\b).)*</g>'
    head = re.sub(shape, lambda found: found[0] if found[1] in used else "", head)
    white = '<rect width="100%" height="100%" fill="#fff"/>'
    return re.sub(r"(<svg[^>]*>)", rf"\1{white}", head, count=1) + ends + rest
