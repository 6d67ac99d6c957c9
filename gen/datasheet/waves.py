"""Timing diagrams of a design, from waves of its own simulation.

The component itself runs in Amaranth's simulator: a tile multiplies a small matrix with pauses of
its producer and of its consumer, a core runs the program of one. Every port is sampled in every
cycle. What comes out is held against the golden model, and what streams do against the rules of
valid and ready, before anything is drawn.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lutcore import tools
from lutcore.gen.datasheet.runs import RUNS, Samples
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.bench.streams import Promise

#: Cycles of a diagram, characters of a value that fit into one cycle.
CYCLES, _FIT = 18, 4
#: Products a cycle of the largest designs that Amaranth's simulator runs in less than 30 s.
_MOST = {"tile": 6144, "core": 2048, "axi": 2048}
_REMEDY = "pip install yowasp-wavedrom"


@dataclass(frozen=True)
class Lane:
    """A port, or a field of a payload: its width, and its value in each cycle."""

    width: int
    values: tuple[int, ...]


#: Interface -> part -> lane; a port of no interface is a part of the interface "".
Lanes = dict[str, dict[str, Lane]]


def lanes(samples: Samples) -> Lanes:
    """Ports by the interface whose ``valid`` and ``ready`` they go with, payloads by fields."""
    channels = [
        name.removesuffix("valid")
        for name in samples.values
        if name.endswith("valid") and f"{name.removesuffix('valid')}ready" in samples.values
    ]
    found: Lanes = {}
    for port in samples.ports:
        name, values = port["name"], samples.values.get(port["name"])
        if values is None:  # the clock
            continue
        channel = max(filter(name.startswith, channels), key=len, default="")
        group = found.setdefault(channel.removesuffix("__"), {})
        fields = [field for field in port.get("fields", ()) if field["name"] != channel[:-2]]
        for field in fields:
            width, low = math.prod(field["dims"]) * field["width"], field["offset"]
            part = tuple(value >> low & (1 << width) - 1 for value in values)
            group[field["name"]] = Lane(width, part)
        if not fields:
            group[name.removeprefix(channel)] = Lane(port["width"], tuple(values))
    return {name: dict(sorted(parts.items(), key=_rank)) for name, parts in found.items()}


def _rank(part: tuple[str, Lane]) -> int:
    """``valid`` and ``ready`` stand before what they are about."""
    order = ("valid", "ready")
    return order.index(part[0]) if part[0] in order else len(order)


def check(found: Lanes) -> None:
    """See that what is offered stays, valid and the same, until it is taken.

    Raises
    ------
    ProtocolError
        It does not.
    """
    for name, parts in found.items():
        if "valid" not in parts:
            continue
        promise = Promise(name)
        payload = [lane.values for part, lane in parts.items() if part not in ("valid", "ready")]
        offers = zip(parts["valid"].values, parts["ready"].values, strict=True)
        for cycle, (valid, ready) in enumerate(offers):
            promise.see(valid, [values[cycle] for values in payload], ready)


# Which cycles are shown --------------------------------------------------------------------------

#: A cycle of interest.
_Event = Callable[[Lanes], int]


def _first(group: str, part: str = "valid", value: int = 1) -> _Event:
    return lambda found: found[group][part].values.index(value)


def _taken(parts: Mapping[str, Lane]) -> list[int]:
    """Cycles in which a stream's payload is taken."""
    offers = zip(parts["valid"].values, parts["ready"].values, strict=True)
    return [cycle for cycle, both in enumerate(offers) if all(both)]


def _whole(asked: str, given: str) -> _Event:
    """The first request that is answered whole in a diagram, and before the next one."""

    def event(found: Lanes) -> int:
        requests, beats = _taken(found[asked]), _taken(found[given])
        lengths = found[asked]["len"].values
        for cycle in requests:
            last = [beat for beat in beats if beat > cycle][lengths[cycle]]
            if lengths[cycle] and last < cycle + CYCLES - 2:
                return cycle
        return requests[0]

    return event


def _last(group: str) -> _Event:
    """The last payload that is taken."""
    return lambda found: _taken(found[group])[-1]


@dataclass(frozen=True)
class View:
    """What a diagram shows: ``before`` cycles before an event, and parts of interfaces.

    An interface without parts shows all of them.
    """

    name: str
    text: str
    event: _Event
    before: int
    rows: Mapping[str, str]


_ADDRESS = "valid ready addr len"

#: Kind of a top -> its diagrams.
VIEWS: dict[str, tuple[View, ...]] = {
    "tile": (
        View(
            "inputs",
            "A run begins, and another follows it without a bubble. The producer of weights pauses "
            "for two cycles after its third slice.",
            _first("weights"),
            1,
            {"activations": "", "tables": "", "weights": ""},
        ),
        View(
            "results",
            "Results leave while the next run is summed. The consumer lets the first beat wait for "
            "two cycles.",
            _first("results"),
            8,
            {"weights": "valid ready first last", "zero_points": "", "results": ""},
        ),
    ),
    "core": (
        View(
            "program",
            "A program is taken, and its instructions are read from memory.",
            _first("programs"),
            1,
            {"programs": "", "": "busy", "reads": ""},
        ),
        View(
            "read",
            "A burst of words is read.",
            _whole("reads", "words"),
            1,
            {"reads": "", "words": ""},
        ),
        View(
            "write",
            "The last burst of results is written, and the program ends.",
            _last("writes"),
            1,
            {"writes": "", "written": "", "answers": "", "": "busy cause"},
        ),
    ),
    "axi": (
        View(
            "doorbell",
            "The host writes the program's length and rings the doorbell; the core asks for its "
            "instructions.",
            _first("s_axi_aw", "addr", REGISTERS["control"][0]),
            5,
            {
                "s_axi_aw": "valid ready addr",
                "s_axi_w": "valid ready data",
                "s_axi_b": "valid ready",
            }
            | {"m_axi_ar": "valid ready addr"},
        ),
        View(
            "read",
            "A burst of words is read.",
            _whole("m_axi_ar", "m_axi_r"),
            1,
            {"m_axi_ar": _ADDRESS, "m_axi_r": "valid ready data resp last"},
        ),
        View(
            "write",
            "The last burst of results is written.",
            _last("m_axi_aw"),
            1,
            {"m_axi_aw": _ADDRESS, "m_axi_w": "valid ready data strb last"}
            | {"m_axi_b": "valid ready resp"},
        ),
        View(
            "interrupt",
            "The program has ended: the interrupt rises. The host reads the status and clears the "
            "event.",
            _first("", "irq"),
            2,
            {"": "irq", "s_axi_ar": "valid ready addr", "s_axi_r": "valid ready data"}
            | {"s_axi_aw": "valid ready addr", "s_axi_w": "valid ready data"},
        ),
    ),
}


def kind(top: str) -> str:
    """The top whose run shows what this one does: itself, that of its first word, or the tile."""
    if not TOPS[top].is_core:
        return "tile"
    return next((name for name in (top, top.partition("-")[0]) if name in VIEWS), "")


# Diagrams ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Diagram:
    """Some cycles of some lanes, the first of them cycle ``start`` of the run."""

    name: str
    text: str
    start: int
    lanes: Lanes


def diagrams(config: CoreConfig, top: str) -> list[Diagram]:
    """Diagrams of a top from a run of it, or of the top of its kind; none where there is none.

    Of another top's run those diagrams are shown whose interfaces this one has, if there are any.

    Raises
    ------
    ToolError
        The run gives a wrong result.
    ProtocolError
        A stream breaks a rule.
    """
    if unsimulated(config, top):
        return []
    of = kind(top)
    found = lanes(RUNS[of](config))
    check(found)
    named = ports(config, top)
    own = lanes(Samples(named, {port["name"]: [] for port in named}))
    lost = found.keys() - own.keys()
    shared = [view for view in VIEWS[of] if not lost.intersection(view.rows)]
    return [cut(view, found) for view in shared or VIEWS[of]]


def unsimulated(config: CoreConfig, top: str) -> str:
    """Why there are no diagrams of a top; nothing where there are."""
    of = kind(top)
    if not of:
        return f"there is no bench for the top {top}"
    if config.products_per_cycle > _MOST[of]:
        return f"above {_MOST[of]:,} products a cycle a run takes minutes"
    return ""


def cut(view: View, found: Lanes) -> Diagram:
    """The cycles and lanes that a view shows."""
    start = max(0, view.event(found) - view.before)
    shown: Lanes = {}
    for group, parts in view.rows.items():
        if group in found:
            have = found[group]
            names = parts.split() or have
            shown[group] = {
                name: Lane(have[name].width, have[name].values[start : start + CYCLES])
                for name in names
                if name in have
            }
    return Diagram(view.name, view.text, start, shown)


def wavejson(diagram: Diagram) -> dict[str, Any]:
    """A diagram as WaveDrom takes it; what has no meaning, as nothing is offered, is hatched."""
    signal: list[Any] = [{}]
    cycles = 0
    for group, parts in diagram.lanes.items():
        offered = parts["valid"].values if "valid" in parts else ()
        drawn = []
        for name, lane in parts.items():
            cycles = len(lane.values)
            known = offered if offered and name not in ("valid", "ready") else (1,) * cycles
            drawn.append({"name": name, **_drawn(lane, known)})
        signal += [[group, *drawn]] if group else drawn
    signal[0] = {"name": "clk", "wave": "p" + "." * (cycles - 1)}
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
