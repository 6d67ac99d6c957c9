"""What drives each net of a module, what reads it, and which nets are one and the same."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lutcore.gen.emit.bodies import assigned_in, changed, settled, signals_of
from lutcore.gen.emit.rtlil import (
    Assign,
    Body,
    Cell,
    Chunk,
    Memory,
    Module,
    Signal,
    Switch,
    Wire,
    is_private,
)
from lutcore.gen.emit.signals import each, joined, spans
from lutcore.gen.emit.widths import MODULAR, fit

#: Operators that only depend on their operands.
OPERATORS = {
    *("$not", "$neg", "$reduce_or", "$reduce_and", "$reduce_xor", "$reduce_bool", "$logic_not"),
    *("$and", "$or", "$xor", "$add", "$sub", "$mul", "$mux"),
    *("$shl", "$shr", "$sshr", "$shift"),
    *("$eq", "$ne", "$lt", "$le", "$gt", "$ge"),
}


@dataclass(eq=False)
class Process:
    """Statements that decide a net in each moment, or a register at each edge of the clock."""

    body: Body
    targets: list[str]


@dataclass(eq=False)
class Register:
    """Flip-flops: what they take at the rising edge of ``clock``."""

    target: Signal
    value: Signal
    clock: Signal


@dataclass(eq=False)
class Connection:
    """``target = value`` at all times."""

    target: Signal
    value: Signal


@dataclass(eq=False)
class MemoryPorts:
    """A memory with its ports and what it holds at first."""

    memory: Memory
    reads: list[Cell]
    writes: list[Cell]
    initial: str


Part = Cell | Process | Register | Connection | MemoryPorts


class Nets:
    """The parts of a module in the order of the text, nets that are connected whole made one.

    Parameters
    ----------
    outputs : dict
        Module -> names of its outputs.

    Attributes
    ----------
    module : Module
    parts : list
        All that drives an output, an instance or a memory.
    driver : dict
        Wire -> the parts that drive its bits.
    readers : dict
        Wire -> the parts that read it, one for each time.
    all_parts : list
        These, and what only names parts of a structure.
    fields : dict
        Bits of a structure -> the net that is named after them; ``field_nets`` are these.
    kept : set
        Wires that stay nets whatever reads them.
    """

    def __init__(self, module: Module, outputs: dict[str, set[str]]):
        self.module = module
        self.outputs = outputs
        self.kept: set[str] = set()
        self._same: dict[str, str] = {}
        connections = self._joined(module.connections)
        self.fields = self._fields(connections)
        self.field_nets = set(self.fields.values())
        parts = self._parts(connections)
        self.driver: dict[str, list[Part]] = defaultdict(list)
        for part in parts:
            for signal in self.driven(part):
                for chunk in signal:
                    if part not in self.driver[chunk.wire]:
                        self.driver[chunk.wire].append(part)
        self.all_parts = parts
        live = self._live(parts)
        self.parts = [part for part in parts if part in live]
        self._fit()
        self.readers: dict[str, list[Part]] = defaultdict(list)
        for part in self.parts:
            for signal in self.read(part):
                for chunk in signal:
                    if chunk.wire:
                        self.readers[chunk.wire].append(part)

    def _fit(self) -> None:
        """Make results as wide as their readers need them."""
        sums = [part for part in self.parts if isinstance(part, Cell) and part.kind in MODULAR]
        own = {
            name: wire
            for name, wire in self.module.wires.items()
            if is_private(name) and not wire.direction and len(self.driver.get(name, ())) == 1
        }
        fit(sums, own, lambda: (signal for part in self.parts for signal in self.read(part)))

    # Which nets are one ---------------------------------------------------------------------------

    def _joined(self, connections: list[tuple[Signal, Signal]]) -> list[tuple[Signal, Signal]]:
        """Connections that are left when nets without a name became those they are connected to."""
        left, wires = [], self.module.wires
        driven = defaultdict(int)
        for target, _ in connections:
            for chunk in target:
                driven[chunk.wire] += 1
        for target, value in connections:
            if len(target) == len(value) == 1 and value[0].wire:
                (to,), (of,) = target, value
                whole = all(c.low == 0 and c.width == wires[c.wire].width for c in (to, of))
                source = self._name(of.wire)
                free = is_private(source) and not wires[source].direction
                if whole and free and driven[source] == 0:
                    self._same[source] = to.wire
                    continue
                takes = is_private(to.wire) and not wires[source].direction
                if whole and takes and wires[to.wire].direction == "output":
                    self._same[source] = to.wire
                    if not is_private(source):
                        place = wires[source].attributes.get("\\src", "")
                        wires[to.wire].attributes |= {"name": source, "\\src": place}
                    continue
            left.append((target, value))
        return left

    def _name(self, wire: str) -> str:
        while wire in self._same:
            wire = self._same[wire]
        return wire

    def _signal(self, signal: Signal) -> Signal:
        return joined(
            chunk._replace(wire=self._name(chunk.wire)) if chunk.wire else chunk for chunk in signal
        )

    def _fields(self, connections: list[tuple[Signal, Signal]]) -> dict[Chunk, str]:
        """Nets that Amaranth names after fields of structures."""
        found: dict[Chunk, str] = {}
        for target, value in connections:
            if len(target) != 1 or len(value) != 1 or not value[0].wire:
                continue
            name, _, field = target[0].wire.rpartition(".")
            chunk = value[0]._replace(wire=self._name(value[0].wire))
            if name and field.isidentifier() and target[0].width == chunk.width:
                found.setdefault(chunk, target[0].wire)
        return found

    def layout(self, wire: str) -> list[tuple[str, int, int]]:
        """Fields of a structure, each with its path, lowest bit and width; none within others."""
        found: list[tuple[str, int, int]] = []
        for target, value in self.module.connections:
            if len(target) != 1 or len(value) != 1 or value[0].wire != wire:
                continue
            path = target[0].wire.removeprefix(wire)
            if path[:1] in (".", "["):
                found.append((path, value[0].low, value[0].width))
        holders = {
            path[: mark.start()] for path, _, _ in found for mark in re.finditer(r"[.\[]", path)
        }
        leaves = (field for field in found if field[0] not in holders)
        return sorted(leaves, key=lambda field: field[1])

    # Parts ----------------------------------------------------------------------------------------

    def _parts(self, connections: list[tuple[Signal, Signal]]) -> list[Part]:
        parts: list[Part] = []
        memories = {name: MemoryPorts(m, [], [], "") for name, m in self.module.memories.items()}
        for cell in self.module.cells:
            ports = {name: self._signal(signal) for name, signal in cell.ports.items()}
            cell = Cell(cell.kind, cell.name, cell.parameters, ports)
            if cell.kind == "$dff":
                if not cell.number("CLK_POLARITY"):
                    raise NotImplementedError(
                        f"{self.module.name} has a register at a falling edge"
                    )
                parts.append(Register(ports["Q"], ports["D"], ports["CLK"]))
            elif cell.kind.startswith("$mem"):
                memory = memories[cell.memory]
                if memory not in parts:
                    parts.append(memory)
                if cell.kind == "$meminit_v2":
                    memory.initial = "".join(chunk.bits for chunk in reversed(ports["DATA"]))
                else:
                    (memory.reads if "memrd" in cell.kind else memory.writes).append(cell)
            elif cell.kind in OPERATORS or cell.kind in self.outputs:
                parts.append(cell)
            else:
                raise NotImplementedError(f"{self.module.name} has a cell {cell.kind}")
        for body in self.module.processes:
            parts += _process(settled(changed(body, self._signal, self._signal)))
        parts += [Connection(self._signal(t), self._signal(v)) for t, v in connections]
        parts = self._cut(parts)
        drivers = Counter(wire for part in parts for wire in set(_wires(self.driven(part))))
        return [after for part in parts for after in self._apart(part, drivers)]

    def _new(self, width: int, name: str) -> str:
        """A further net."""
        wire = f"$new{len(self.module.wires)}"
        self.module.wires[wire] = Wire(wire, width, attributes={"name": name} if name else {})
        return wire

    def _cut(self, parts: list[Part]) -> list[Part]:
        """Shifts as wide as what they shift: Verilog has no name for some bits of a result."""
        found: list[Part] = []
        for part in parts:
            if isinstance(part, Cell) and part.kind in ("$shift", "$shr", "$sshr"):
                width, wide = part.number("Y_WIDTH"), part.number("A_WIDTH")
                if width < wide:
                    whole = self._new(wide, "")
                    target = part.ports["Y"]
                    part.ports["Y"] = (Chunk(whole, 0, wide),)
                    part.parameters["Y_WIDTH"] = str(wide)
                    found += [part, Connection(target, (Chunk(whole, 0, width),))]
                    continue
            found.append(part)
        return found

    def _apart(self, part: Part, drivers: Mapping[str, int]) -> list[Part]:
        """A part, and what connects to it the nets that it cannot drive by itself.

        What is clocked or decided has a net of its own where others drive the same one, and where
        it reads what it decides: RTLIL reads what that has become in the end.
        """
        if not isinstance(part, Register | Process):
            return [part]
        read = set() if isinstance(part, Register) else set(_wires(self.read(part)))
        found: list[Part] = [part]
        for wire in dict.fromkeys(_wires(self.driven(part))):
            if drivers[wire] > 1 or wire in read:
                found += self._own(part, wire)
        return found

    def _own(self, part: Register | Process, wire: str) -> list[Part]:
        """Have a part drive a new net, which is connected to the bits that it drove."""
        bits = sorted(
            bit.low for signal in self.driven(part) for (bit,) in each(signal) if bit.wire == wire
        )
        low = bits[0]
        suffix = "_q" if isinstance(part, Register) else "_next"
        own = self._new(bits[-1] + 1 - low, "" if is_private(wire) else wire + suffix)

        def moved(signal: Signal) -> Signal:
            return tuple(
                chunk._replace(wire=own, low=chunk.low - low) if chunk.wire == wire else chunk
                for chunk in signal
            )

        if isinstance(part, Register):
            part.target = moved(part.target)
        else:
            part.body = changed(part.body, moved)
            part.targets[part.targets.index(wire)] = own
        sizes = [(first, last + 1 - first) for first, last in spans(dict.fromkeys(bits))]
        return [
            Connection((Chunk(wire, first, size),), (Chunk(own, first - low, size),))
            for first, size in sizes
        ]

    def driven(self, part: Part) -> list[Signal]:
        """Signals that a part drives."""
        if isinstance(part, Process):
            return list(assigned_in(part.body))
        if isinstance(part, Register | Connection):
            return [part.target]
        if isinstance(part, MemoryPorts):
            return [cell.ports["DATA"] for cell in part.reads]
        if part.kind in OPERATORS:
            return [part.ports["Y"]]
        outputs = self.outputs[part.kind]
        return [signal for name, signal in part.ports.items() if name in outputs]

    def read(self, part: Part) -> list[Signal]:
        """Signals that a part reads, the clock included, each as often as it does."""
        if isinstance(part, Process):
            return [signal for signal, _ in signals_of(part.body)]
        if isinstance(part, Register):
            return [part.value, part.clock]
        if isinstance(part, Connection):
            return [part.value]
        if isinstance(part, MemoryPorts):
            reads = [_read_by(cell) for cell in part.reads]
            writes = [_written_by(cell) for cell in part.writes]
            return [signal for signals in (*reads, *writes) for signal in signals]
        if part.kind in OPERATORS:
            return [signal for name, signal in part.ports.items() if name != "Y"]
        outputs = self.outputs[part.kind]
        return [signal for name, signal in part.ports.items() if name not in outputs]

    def _live(self, parts: list[Part]) -> set[Part]:
        """Parts that something outside sees, through others or by themselves."""
        wires = self.module.wires
        seen = {name for name, wire in wires.items() if wire.direction == "output"}
        todo: list[Part] = [p for name in seen for p in self.driver[name]]
        todo += [p for p in parts if isinstance(p, Cell) and p.kind not in OPERATORS]
        live: set[Part] = set()
        while todo:
            part = todo.pop()
            if part in live:
                continue
            live.add(part)
            for wire in _wires(self.read(part)):
                if wire not in seen:
                    seen.add(wire)
                    todo += self.driver[wire]
        return live


def _process(body: Body) -> list[Part]:
    """A process, or the connections that one without a decision is."""
    if any(isinstance(statement, Switch) for statement in body):
        wires = dict.fromkeys(chunk.wire for signal in assigned_in(body) for chunk in signal)
        return [Process(body, list(wires))]
    bits: dict[str, dict[int, Chunk]] = defaultdict(dict)
    for statement in body:
        assert isinstance(statement, Assign)
        for (target,), (value,) in zip(each(statement.target), each(statement.value), strict=True):
            bits[target.wire][target.low] = value
    return [
        Connection(
            joined(Chunk(wire, low, 1) for low in sorted(of)), joined(of[low] for low in sorted(of))
        )
        for wire, of in bits.items()
    ]


def _wires(signals: Iterable[Signal]) -> Iterator[str]:
    for signal in signals:
        for chunk in signal:
            if chunk.wire:
                yield chunk.wire


def _read_by(cell: Cell) -> list[Signal]:
    clocked = cell.number("CLK_ENABLE")
    return [cell.ports[name] for name in (("ADDR", "EN", "CLK") if clocked else ("ADDR",))]


def _written_by(cell: Cell) -> list[Signal]:
    enables = dict.fromkeys(cell.ports["EN"])
    return [
        cell.ports["ADDR"],
        cell.ports["DATA"],
        *((chunk,) for chunk in enables),
        cell.ports["CLK"],
    ]
