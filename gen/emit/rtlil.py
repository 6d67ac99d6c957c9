"""Reads RTLIL as Amaranth writes it: modules of wires, cells, processes and connections.

Names keep their first character: a backslash before names of the source, a dollar before numbers
that stand for none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Chunk(NamedTuple):
    """Some bits of one wire, or constant bits.

    ``wire`` is empty for a constant, whose ``bits`` stand highest first; ``low`` is the lowest bit.
    """

    wire: str
    low: int
    width: int
    bits: str = ""


#: What a port or an operand is: chunks, the lowest first.
Signal = tuple[Chunk, ...]


@dataclass
class Wire:
    """A net; ``direction`` is ``input`` or ``output`` for a port, whose place is ``order``."""

    name: str
    width: int
    direction: str = ""
    order: int = 0
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Cell:
    """An operator, a flip-flop, a port of a memory, or an instance of a module."""

    kind: str
    name: str
    parameters: dict[str, str]
    ports: dict[str, Signal]

    def number(self, parameter: str) -> int:
        """A parameter that is a number."""
        return int(self.parameters[parameter])

    @property
    def memory(self) -> str:
        """The memory that a port of one belongs to, as its module names it; else empty."""
        name = self.parameters.get("MEMID", "").strip('"').lstrip("\\")
        return f"\\{name}" if name else ""

    def port_of(self, wire: str) -> str:
        """The first port that a wire is connected to."""
        return next(n for n, signal in self.ports.items() if any(c.wire == wire for c in signal))


@dataclass
class Assign:
    """``target = value`` where control comes to it."""

    target: Signal
    value: Signal


@dataclass
class Switch:
    """The first case that matches; patterns stand highest bit first, ``-`` matches both."""

    on: Signal
    cases: list[tuple[list[str], "Body"]]


Body = list["Assign | Switch"]


@dataclass
class Memory:
    """Words of a memory."""

    name: str
    width: int
    size: int
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Module:
    """A module as it stands in the text."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    processes: list[Body] = field(default_factory=list)
    connections: list[tuple[Signal, Signal]] = field(default_factory=list)

    def ports(self) -> list[Wire]:
        """Ports in their order."""
        found = (wire for wire in self.wires.values() if wire.direction and wire.width)
        return sorted(found, key=lambda wire: wire.order)


_TOKEN = re.compile(r"([{}])|(\d+)'([01xz-]*)|([\\$]\S+)|\[(\d+)(?::(\d+))?\]")


class _Reader:
    def __init__(self, text: str):
        self._lines = iter(line.strip() for line in text.splitlines())
        self._widths: dict[str, int] = {}

    def lines(self) -> Iterator[tuple[str, str]]:
        """First word and the rest of each line that says something."""
        for line in self._lines:
            if line and not line.startswith("#"):
                word, _, rest = line.partition(" ")
                yield word, rest

    def signals(self, text: str) -> list[Signal]:
        """Signals that follow each other; what is joined in braces stands highest first."""
        found: list[Signal] = []
        inside: list[Chunk] | None = None
        for brace, width, bits, name, high, low in _TOKEN.findall(text):
            if brace == "{":
                inside = []
            elif brace:
                found.append(tuple(reversed(inside or [])))
                inside = None
            elif high:  # of the wire before it
                place = int(low or high)
                part = Chunk(self._last(found, inside), place, int(high) - place + 1)
                if inside is None:
                    found[-1] = (part,)
                else:
                    inside[-1] = part
            else:
                chunk = (
                    Chunk(name, 0, self._widths[name]) if name else Chunk("", 0, int(width), bits)
                )
                if inside is None:
                    found.append((chunk,))
                else:
                    inside.append(chunk)
        return found

    @staticmethod
    def _last(found: list[Signal], inside: list[Chunk] | None) -> str:
        return inside[-1].wire if inside is not None else found[-1][0].wire

    def modules(self) -> Iterator[Module]:
        """All modules."""
        attributes: dict[str, str] = {}
        for word, rest in self.lines():
            if word == "attribute":
                key, _, value = rest.partition(" ")
                attributes[key] = value.strip('"')
            elif word == "module":
                yield self._module(rest, attributes)
                attributes = {}

    def _module(self, name: str, attributes: dict[str, str]) -> Module:
        module, attributes = Module(name, attributes), {}
        self._widths = {}
        for word, rest in self.lines():
            match word:
                case "end":
                    break
                case "attribute":
                    key, _, value = rest.partition(" ")
                    attributes[key] = value.strip('"')
                    continue
                case "wire":
                    wire = _wire(rest.split(), attributes)
                    module.wires[wire.name] = wire
                    self._widths[wire.name] = wire.width
                case "memory":
                    words = rest.split()
                    memory = Memory(words[-1], int(words[1]), int(words[3]), attributes)
                    module.memories[memory.name] = memory
                case "cell":
                    module.cells.append(self._cell(rest))
                case "process":
                    module.processes.append(self._statements()[0])
                case "connect":
                    target, value = self.signals(rest)
                    module.connections.append((target, value))
                case _:
                    raise ValueError(f"RTLIL has a line that is not understood: {word} {rest}")
            attributes = {}
        return module

    def _cell(self, rest: str) -> Cell:
        kind, name = rest.split()
        cell = Cell(kind, name, {}, {})
        for word, rest in self.lines():
            if word == "end":
                break
            key, _, value = rest.partition(" ")
            if word == "parameter":
                cell.parameters[key[1:]] = value
            else:
                cell.ports[key[1:]] = self.signals(value)[0]
        return cell

    def _statements(self) -> tuple[Body, tuple[str, str]]:
        """Statements up to a line that ends them, and that line."""
        body: Body = []
        for word, rest in self.lines():
            if word in ("end", "case"):
                return body, (word, rest)
            if word == "assign":
                target, value = self.signals(rest)
                body.append(Assign(target, value))
            elif word == "switch":
                body.append(self._switch(self.signals(rest)[0]))
        raise ValueError("RTLIL ends within a process")

    def _switch(self, on: Signal) -> Switch:
        switch = Switch(on, [])
        _, (word, rest) = self._statements()
        while word == "case":
            patterns = [bits for _, bits in re.findall(r"(\d+)'([01-]*)", rest)]
            body, (word, rest) = self._statements()
            switch.cases.append((patterns, body))
        return switch


def _wire(words: list[str], attributes: dict[str, str]) -> Wire:
    direction = next((word for word in ("input", "output") if word in words), "")
    order = int(words[words.index(direction) + 1]) if direction else 0
    return Wire(words[-1], int(words[1]), direction, order, dict(attributes))


def read(text: str) -> list[Module]:
    """Modules of RTLIL, in the order of the text.

    Raises
    ------
    ValueError
        It is not RTLIL as Amaranth writes it.
    """
    return list(_Reader(text).modules())


def is_private(wire: str) -> bool:
    """Whether a wire has no name of the source."""
    return wire.startswith(("$", "\\port$"))
