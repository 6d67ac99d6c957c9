"""What streams, buses and counters of a design keep to: one table for all kinds of assertions.

A rule speaks of ports, or of signals of one module within, and of counters beside them. What is
asserted is up to the design, what is assumed up to its surroundings.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.core.sequencer import queued_layout
from lutcore.hdl.isa.lmma import EDGES, LOOP_DEPTH, QUEUE_DEPTH, WAITS


@dataclass(frozen=True)
class Rule:
    """Something that holds in every cycle that no reset is in, or that can happen.

    Attributes
    ----------
    name : str
        A label of SystemVerilog.
    text : str
        What is said, in a whole sentence.
    kind : {"assert", "assume", "cover"}
    holds : str
        Condition in SystemVerilog.
    before : str
        What must have been so in the cycle before; empty: the rule is of every cycle. In that
        cycle, too, no reset was in, except where the condition is the reset itself.
    same : str
        A signal that must be as it was in the cycle before; empty: none.
    """

    name: str
    text: str
    kind: str
    holds: str
    before: str = ""
    same: str = ""


@dataclass(frozen=True)
class Counter:
    """A register beside the design that counts events which have begun and not ended.

    Attributes
    ----------
    name, text : str
    begins, ends : str
        Conditions of SystemVerilog.
    """

    name: str
    text: str
    begins: str
    ends: str


#: Bits of counters; so many events are never open.
COUNTER_BITS = 16


@dataclass(frozen=True)
class Checked:
    """Rules of one module.

    Attributes
    ----------
    module : str
        Name in the Verilog.
    clock, reset : str
        Its clock, and the condition that it is in reset.
    signals : dict of str to int
        Ports or signals of it that rules read, with their widths in bits.
    counters : list of Counter
    rules : list of Rule
    inside : bool
        They read signals within, not ports alone.
    alone : bool
        They hold whatever the modules below do.
    """

    module: str
    clock: str
    reset: str
    signals: dict[str, int]
    counters: list[Counter]
    rules: list[Rule]
    inside: bool = False
    alone: bool = False

    @property
    def _said(self) -> str:
        """All conditions, and the signals that are compared whole."""
        conditions = [self.clock, self.reset]
        for rule in self.rules:
            conditions += [rule.holds, rule.before, rule.same]
        for counter in self.counters:
            conditions += [counter.begins, counter.ends]
        return " ".join(conditions)

    @property
    def read(self) -> dict[str, int]:
        """Those of the signals that rules and counters read, and their widths."""
        words = set(re.findall(r"\w+", self._said))
        return {name: width for name, width in self.signals.items() if name in words}

    @property
    def in_parts(self) -> list[str]:
        """Those of which only some bits are read."""
        said = self._said
        return [name for name in self.read if not re.search(rf"\b{name}\b(?!\[)", said)]

    @property
    def alive(self) -> str:
        """Condition that it is in no reset."""
        return self.reset[1:] if self.reset.startswith("!") else f"!{self.reset}"


@dataclass(frozen=True)
class _Channel:
    """A stream, or a channel of a bus: ports of a handshake, and what they offer."""

    name: str
    valid: str
    ready: str
    payload: tuple[str, ...]
    given: bool  #: by the design

    @property
    def passes(self) -> str:
        return f"{self.valid} && {self.ready}"


_OFFERS = re.compile(r"(\w+__|[sm]_axis_\w+_t|[sm]_axi_(?:aw|ar|w|b|r))valid")


def _channels(described: list[dict[str, Any]]) -> dict[str, _Channel]:
    """All handshakes of a top by name, in the order of its ports."""
    found = {}
    names = [port["name"] for port in described]
    for port in described:
        if not (match := _OFFERS.fullmatch(port["name"])):
            continue
        stem = match[1]
        others = tuple(n for n in names if n.startswith(stem) and n[len(stem) :] not in _HANDS)
        name = stem.rstrip("_") if stem.endswith("__") else stem.removesuffix("_t")
        given = port["direction"] == "output"
        found[name] = _Channel(name, port["name"], f"{stem}ready", others, given)
    return found


_HANDS = ("valid", "ready")


def _handshake(channel: _Channel, reset: str) -> Iterator[Rule]:
    """What every valid and ready keep to."""
    name, waits = channel.name, f"{channel.valid} && !{channel.ready}"
    kind = "assert" if channel.given else "assume"
    stays = f"{name}: what is offered stays offered until it is taken."
    yield Rule(f"{name}_stays", stays, kind, channel.valid, waits)
    for port in channel.payload:
        label = f"{port}_holds"
        said = f"{name}: {port} does not change while it waits to be taken."
        yield Rule(label, said, kind, "", waits, port)
    if channel.given:
        said = f"{name}: nothing is offered in the cycle after one in reset."
        yield Rule(f"{name}_starts", said, kind, f"!{channel.valid}", reset)
    yield Rule(f"{name}_passes", f"{name}: something is taken.", "cover", channel.passes)
    waited = f"{name}: something has waited, and is taken."
    yield Rule(f"{name}_waits", waited, "cover", channel.passes, waits)


def _bursts(channels: dict[str, _Channel], widths: dict[str, int]) -> Iterator[Rule]:
    """Requests of the AXI4 master."""
    size = (widths["m_axi_wdata"] // 8).bit_length() - 1
    for kind in ("ar", "aw"):
        stem, valid = f"m_axi_{kind}", channels[f"m_axi_{kind}"].valid
        whole = f"!{valid} || ({stem}burst == 2'd1 && {stem}size == 3'd{size})"
        said = f"{stem}: bursts are incrementing ones of whole words."
        yield Rule(f"{stem}_whole", said, "assert", whole)
        aligned = f"!{valid} || {stem}addr[{size - 1}:0] == {size}'d0"
        said = f"{stem}: addresses are multiples of the bus width."
        yield Rule(f"{stem}_aligned", said, "assert", aligned)
        place = 12 - size  # bits of a word's place in its page
        wide = max(place, 8) + 1
        first = f"{{{wide - place}'d0, {stem}addr[11:{size}]}}"
        words = f"{first} + {{{wide - 8}'d0, {stem}len}}"
        inside = f"!{valid} || ({words}) < {wide}'d{1 << place}"
        said = f"{stem}: no burst crosses a boundary of 4 KiB."
        yield Rule(f"{stem}_in_page", said, "assert", inside)


def _master(channels: dict[str, _Channel]) -> tuple[list[Counter], list[Rule]]:
    """Answers to the AXI4 master, which its surroundings owe it."""
    passes = {name: channel.passes for name, channel in channels.items()}
    last = f"{passes['m_axi_r']} && m_axi_rlast"
    written = f"{passes['m_axi_w']} && m_axi_wlast"
    counters = [
        Counter("reads_open", "Reads without their last word.", passes["m_axi_ar"], last),
        Counter("writes_open", "Writes without an answer.", passes["m_axi_aw"], passes["m_axi_b"]),
        Counter("words_open", "Last words without an answer.", written, passes["m_axi_b"]),
    ]
    answered = "!m_axi_bvalid || (writes_open != 0 && words_open != 0)"
    rules = [
        Rule(
            "m_axi_r_asked",
            "m_axi_r: words come after they were asked for.",
            "assume",
            "!m_axi_rvalid || reads_open != 0",
        ),
        Rule(
            "m_axi_b_asked",
            "m_axi_b: answers come after addresses and last words.",
            "assume",
            answered,
        ),
    ]
    return counters, rules


def _registers(channels: dict[str, _Channel]) -> tuple[list[Counter], list[Rule]]:
    """Answers of the registers on AXI4-Lite."""
    passes = {name: channel.passes for name, channel in channels.items()}
    read, answered = passes["s_axi_r"], passes["s_axi_b"]
    counters = [
        Counter("register_reads", "Reads without an answer.", passes["s_axi_ar"], read),
        Counter("register_writes", "Writes without an answer.", passes["s_axi_aw"], answered),
        Counter("register_words", "Words without an answer.", passes["s_axi_w"], answered),
    ]
    both = "!s_axi_bvalid || (register_writes != 0 && register_words != 0)"
    rules = [
        Rule(
            "s_axi_r_asked",
            "s_axi_r: answers come after addresses.",
            "assert",
            "!s_axi_rvalid || register_reads != 0",
        ),
        Rule("s_axi_b_asked", "s_axi_b: answers come after addresses and words.", "assert", both),
    ]
    return counters, rules


#: Register buses other than AXI4-Lite: port that a top has, its rules.
_OTHER_BUSES = {
    "s_apb_psel": [
        Rule(
            "s_apb_setup",
            "s_apb: an access has a setup cycle before it.",
            "assume",
            "!s_apb_penable || s_apb_psel",
        ),
        Rule(
            "s_apb_waits",
            "s_apb: an access stays until it is answered.",
            "assume",
            "s_apb_psel && s_apb_penable",
            "s_apb_psel && s_apb_penable && !s_apb_pready",
        ),
    ],
    "s_wb_cyc": [
        Rule(
            "s_wb_asked",
            "s_wb: only cycles are answered.",
            "assert",
            "!(s_wb_ack || s_wb_err) || s_wb_cyc",
        ),
        Rule(
            "s_wb_one",
            "s_wb: an answer is good or an error.",
            "assert",
            "!(s_wb_ack && s_wb_err)",
        ),
    ],
}


def _runs(
    config: CoreConfig, channels: dict[str, _Channel], described: Iterable[dict[str, Any]]
) -> tuple[list[Counter], list[Rule]]:
    """Slices come in whole runs, and results of a tile after the runs that they are of."""
    weights, results = (
        next(c for n, c in channels.items() if n.endswith(kind)) for kind in ("weights", "results")
    )
    bits = {
        (port["name"], field["name"]): f"{port['name']}[{field['offset']}]"
        for port in described
        for field in port.get("fields", ())
    }
    first, last, end = (
        bits[channel.payload[0], name]
        for channel, name in ((weights, "first"), (weights, "last"), (results, "last"))
    )
    begun = f"{weights.passes} && {first}"
    taken, left = f"{weights.passes} && {last}", f"{results.passes} && {end}"
    counters = [
        Counter("slices_open", "Runs that a slice has begun and none has ended.", begun, taken),
        Counter("runs_open", "Runs whose last beat of results has not left.", taken, left),
    ]
    room = f"slices_open < {config.passes}" if config.passes > 1 else "slices_open == 0"
    return counters, [
        Rule(
            "weights_whole",
            "weights: the first slice begins a run, and so does the one after a run's last.",
            "assume",
            f"!{weights.valid} || ({first} ? {room} : slices_open != 0)",
        ),
        Rule(
            "results_asked",
            "results: a run's results come after its last slice.",
            "assert",
            f"!{results.valid} || runs_open != 0",
        ),
    ]


def _core_inside() -> tuple[dict[str, int], list[Rule]]:
    """Tokens between the engines."""
    signals: dict[str, int] = {}
    rules = []
    for kind, waits in WAITS.items():
        layout = queued_layout(kind)
        queue, head = kind.value, f"{kind.value}_head"
        low = layout["waits"].offset
        signals |= {head: layout.size, f"{queue}_taken": 1}
        for place, (_, edge) in enumerate(waits):
            tokens = f"tokens_{EDGES[edge].replace('-', '_')}"
            signals[tokens] = 32
            holds = f"!({queue}_taken && {head}[{low + place}]) || {tokens} != 32'd0"
            said = f"The {queue} engine takes a token of {EDGES[edge]} only where there is one."
            rules.append(Rule(f"{tokens}_there", said, "assert", holds))
    return signals, rules


def checked(config: CoreConfig, top: str) -> list[Checked]:
    """Rules of a top's ports, then of modules within."""
    described = ports(config, top)
    widths = {port["name"]: port["width"] for port in described}
    clock, reset = ("aclk", "!aresetn") if "aclk" in widths else ("clk", "rst")
    channels = _channels(described)
    counters: list[Counter] = []
    rules = [rule for channel in channels.values() for rule in _handshake(channel, reset)]
    parts = [_runs(config, channels, described)] if not TOPS[top].is_core else []
    if "m_axi_araddr" in widths:
        rules += _bursts(channels, widths)
        parts.append(_master(channels))
    if "s_axi_araddr" in widths:
        parts.append(_registers(channels))
    for more, own in parts:
        counters += more
        rules += own
    rules += [rule for port, own in _OTHER_BUSES.items() if port in widths for rule in own]
    design = design_name(config, top)
    found = [Checked(design, clock, reset, widths, counters, rules)]
    return found + _within(config, top, design, "clk" if top == "axi-stream" else clock)


def _within(config: CoreConfig, top: str, design: str, clock: str) -> list[Checked]:
    """Rules of a tile, and of a core with its sequencer and queues."""

    def inside(
        module: str, signals: dict[str, int], rules: list[Rule], alone: bool, clock: str = clock
    ) -> Checked:
        both = {clock: 1, "rst": 1} | signals
        return Checked(module, clock, "rst", both, [], rules, inside=True, alone=alone)

    found = []
    if config.table_storage == "mux":
        path = {"tile": "", "axi-stream": "__tile", "core": "__compute_tile"}
        tile = design + path.get(top, "__core_compute_tile")
        said = "At most two runs wait to be captured: one in the accumulators, one that enters."
        rules = [Rule("runs_uncaptured", said, "assert", "uncaptured != 2'd3")]
        said = "A run begins when no run before it is still in the accumulators."
        free = "uncaptured == 2'd0 || (uncaptured == 2'd1 && drain__free)"
        rules.append(Rule("runs_kept", said, "assert", f"!first || {free}"))
        signals = {"uncaptured": 2, "drain__free": 1, "first": 1}
        found.append(inside(tile, signals, rules, alone=False))
        said = "A run ends when the one before it is captured."
        rules = [Rule("run_ends", said, "assert", "!(done && waiting)")]
        drain, signals = f"{design}__drain", {"done": 1, "waiting": 1}
        found.append(inside(drain, signals, rules, alone=False, clock="clk"))  # as all shared ones
    if TOPS[top].is_core:
        core, below = (design, "__") if top == "core" else (f"{design}__core", "_")
        found.append(inside(core, *_core_inside(), alone=True))
        said = f"At most {LOOP_DEPTH} loops are open."
        rule = Rule("loops_open", said, "assert", f"depth <= {LOOP_DEPTH}")
        depth = {"depth": LOOP_DEPTH.bit_length()}
        found.append(inside(f"{core}{below}sequencer", depth, [rule], alone=True))
        for kind in WAITS:
            label = f"{kind.value}_queue"
            said = f"The queue of the {kind.value} engine holds at most {QUEUE_DEPTH} instructions."
            rule = Rule(f"{label}_holds", said, "assert", f"level <= {QUEUE_DEPTH}")
            level = {"level": QUEUE_DEPTH.bit_length()}
            found.append(inside(f"{core}{below}{label}", level, [rule], alone=True))
    return found
