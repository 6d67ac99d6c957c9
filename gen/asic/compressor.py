"""Sums of many terms as trees of full adders, in a Yosys netlist (its JSON format).

Yosys gathers additions in ``$alu`` and ``$macc_v2`` cells, but compresses them word by word, and
ABC never picks a library's full-adder cell. Here every sum becomes one heap of bits by weight; each
column is reduced to one bit, the earliest bits first. A full adder removes one bit, so their number
is the least possible, and half adders are rare. From where the carry that then ripples upwards
comes too late, columns keep two bits, and a prefix tree adds them (Sklansky, 1960). Arrival times
are estimates: what counts is order.
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lutcore.gen.asic.library import PARITY3, Cell
from lutcore.gen.asic.prefix import add_columns
from lutcore.gen.tools.netlist import Bit, Json, free_numbers, new_cell

#: Delays: through a full-adder cell to its sum and its carry, and through a gate.
SUM, CARRY, GATE = 1.5, 1.0, 0.6


@dataclass(frozen=True)
class Adders:
    """How full adders are built.

    Attributes
    ----------
    cell : Cell or None
        The library's full adder; None: gates.
    gates : dict
        Gates of a prefix tree (:func:`~lutcore.gen.asic.prefix.prefix_gates`); empty: carries
        always ripple.
    depths : dict
        Module -> estimated delay: carries that come later take a prefix tree, larger and faster.
        None do so in modules that are not there.
    """

    cell: Cell | None
    gates: dict[str, tuple[Cell, tuple[str, ...]]] = field(default_factory=dict)
    depths: Mapping[str, float] = field(default_factory=dict)


@dataclass
class _Term:
    """Bits, lowest first, of a number that is added or subtracted."""

    bits: list[Bit]
    signed: bool = False
    negated: bool = False

    def without_zeros(self) -> "_Term":
        """The same number without leading zeros."""
        bits = self.bits
        while bits and bits[-1] == "0":
            bits = bits[:-1]
        return _Term(bits, self.signed and len(bits) == len(self.bits))

    def range(self) -> tuple[int, int]:
        """Least and greatest value that is added."""
        width = len(self.bits)
        low, high = (
            (-(1 << width) >> 1, ((1 << width) >> 1) - 1) if self.signed else (0, (1 << width) - 1)
        )
        if all(isinstance(bit, str) for bit in self.bits):
            value = sum(1 << i for i, bit in enumerate(self.bits) if bit == "1")
            low = high = value - (1 << width if self.signed and self.bits[-1:] == ["1"] else 0)
        return (-high, -low) if self.negated else (low, high)


@dataclass
class _Sum:
    terms: list[_Term]
    result: list[Bit]

    def range(self) -> tuple[int, int]:
        ranges = [term.range() for term in self.terms]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)


def compress(design: Json, adders: Adders) -> None:
    """Replace the sums of every module of ``design``, in place."""
    for name, module in design["modules"].items():
        if module["cells"]:
            _Module(module, adders, adders.depths.get(name, float("inf"))).compress()


def _sum(cell: Json, read: Counter[Bit]) -> _Sum | None:
    """The sum that a cell computes, if that is all it does."""
    pins, parameters = cell["connections"], cell["parameters"]
    number = lambda name: int(parameters[name], 2)  # noqa: E731
    if cell["type"] == "$alu":
        if any(read[bit] for pin in ("X", "CO") for bit in pins[pin]) or pins["BI"] not in (
            ["0"],
            ["1"],
        ):
            return None
        negated = pins["BI"] == ["1"]
        terms = [
            _Term(pins["A"], bool(number("A_SIGNED"))),
            _Term(pins["B"], bool(number("B_SIGNED")), negated),
            _Term(pins["CI"]),  # A - B is A + ~B + 1
            *([_Term(["1"], negated=True)] if negated else []),
        ]
        return _Sum(terms, pins["Y"])
    if cell["type"] != "$macc_v2" or number("NPRODUCTS"):
        return None
    terms, start = [], 0
    widths, signed, negated = (
        parameters[name][::-1] for name in ("C_WIDTHS", "C_SIGNED", "ADDEND_NEGATED")
    )
    for i in range(number("NADDENDS")):
        end = start + int(widths[16 * i : 16 * i + 16][::-1], 2)
        terms.append(_Term(pins["C"][start:end], signed[i] == "1", negated[i] == "1"))
        start = end
    return _Sum(terms, pins["Y"])


@dataclass
class _Column:
    """Bits of one weight with their arrival times: those that are added, and subtracted."""

    plus: list[tuple[float, Bit]] = field(default_factory=list)
    minus: list[tuple[float, Bit]] = field(default_factory=list)


class _Heap:
    """Bits of a column, the earliest first; of equally early ones the oldest."""

    def __init__(self, items: list[tuple[float, Bit]]):
        self._order = itertools.count()
        self._items: list[tuple[float, int, Bit]] = []
        for time, bit in items:
            self.put(time, bit)

    def __len__(self) -> int:
        return len(self._items)

    def put(self, time: float, bit: Bit) -> None:
        heapq.heappush(self._items, (time, next(self._order), bit))

    def take(self) -> tuple[float, Bit]:
        time, _, bit = heapq.heappop(self._items)
        return time, bit

    def bits(self) -> list[Bit]:
        """The bits, the earliest first; a zero if there are none."""
        return [bit for _, _, bit in sorted(self._items)] or ["0"]


class _Module:
    """A module whose sums are replaced."""

    def __init__(self, module: Json, adders: Adders, depth: float):
        self._cells: Json = module["cells"]
        self._adders = adders
        self._depth = depth if adders.gates else float("inf")
        self._free = free_numbers(module)
        self._read = Counter(self._read_bits(module))

    def _read_bits(self, module: Json) -> Iterator[Bit]:
        for cell in self._cells.values():
            for pin, bits in cell["connections"].items():
                if cell["port_directions"].get(pin) != "output":
                    yield from bits
        for port in module["ports"].values():
            if port["direction"] != "input":
                yield from port["bits"]

    def compress(self) -> None:
        """Replace every sum; a sum that only another one reads becomes part of it."""
        sums = {
            name: found for name, cell in self._cells.items() if (found := _sum(cell, self._read))
        }
        by_result = {tuple(found.result): name for name, found in sums.items()}
        for name in list(sums):
            self._absorb(sums[name], sums, by_result)
        for name, found in sums.items():
            del self._cells[name]
            if tuple(found.result) in by_result:
                self._emit(found)

    def _absorb(
        self, into: _Sum, sums: dict[str, _Sum], by_result: dict[tuple[Bit, ...], str]
    ) -> None:
        """Put the terms of sums that only ``into`` reads in their place."""
        terms: list[_Term] = []
        for term in into.terms:
            inner = self._only_read_here(term, sums, by_result)
            found = self._terms_of(inner, term, len(into.result), sums, by_result) if inner else []
            if inner and found:
                del by_result[tuple(inner.result)]
                terms += [_Term(t.bits, t.signed, t.negated != term.negated) for t in found]
            else:
                terms.append(term)
        into.terms = terms

    def _only_read_here(
        self, term: _Term, sums: dict[str, _Sum], by_result: dict[tuple[Bit, ...], str]
    ) -> _Sum | None:
        """The sum that ``term`` shows, if nothing else reads it."""
        name = by_result.get(tuple(term.without_zeros().bits))
        read = [self._read[bit] for bit in sums[name].result] if name else []
        return sums[name] if name and max(read) == 1 == min(read) else None

    def _terms_of(
        self,
        inner: _Sum,
        term: _Term,
        width: int,
        sums: dict[str, _Sum],
        by_result: dict[tuple[Bit, ...], str],
    ) -> list[_Term]:
        """Terms that sum to ``term`` modulo 2^width, where ``inner`` wraps as well."""
        self._absorb(inner, sums, by_result)
        bits = len(inner.result)
        if bits >= width:
            return inner.terms
        (low, high), (least, greatest) = inner.range(), term.without_zeros().range()
        wraps = -((low - least) >> bits)  # what is shown is the sum plus so many times 2^bits
        if high + (wraps << bits) > greatest:
            return []
        times: list[Bit] = list(f"{abs(wraps):b}"[::-1])
        turn = _Term([*"0" * bits, *times], negated=wraps < 0)
        return [*inner.terms, *([turn] if wraps else [])]

    # Gates ---------------------------------------------------------------------------------------

    def _cell(self, kind: str, inputs: dict[str, Bit], outputs: dict[str, Bit]) -> None:
        self._cells[f"$sum${next(iter(outputs.values()))}"] = new_cell(kind, inputs, outputs)

    def _gate(self, kind: str, *inputs: Bit) -> Bit:
        output = next(self._free)
        self._cell(f"$_{kind}_", dict(zip("AB", inputs, strict=False)), {"Y": output})
        return output

    def _complex_gate(self, name: str, *inputs: Bit) -> Bit:
        cell, pins = self._adders.gates[name]
        output = next(self._free)
        (pin,) = cell.outputs
        self._cell(cell.name, dict(zip(pins, inputs, strict=True)), {pin: output})
        return output

    def _full_adder(self, x: Bit, y: Bit, z: Bit) -> tuple[Bit, Bit]:
        """Sum and carry; ``z`` is the latest input."""
        cell = self._adders.cell
        if cell is None:
            return self._adder_of_gates(x, y, z)
        pins: dict[str, Bit] = {pin: next(self._free) for pin in cell.tables}
        self._cell(cell.name, dict(zip(cell.inputs, (x, y, z), strict=True)), pins)
        parity, carry = sorted(cell.tables, key=lambda pin: cell.tables[pin] != PARITY3)
        return pins[parity], pins[carry]

    def _adder_of_gates(self, x: Bit, y: Bit, z: Bit) -> tuple[Bit, Bit]:
        half = self._gate("XOR", x, y)
        carry = self._gate("OR", self._gate("AND", x, y), self._gate("AND", half, z))
        return self._gate("XOR", half, z), carry

    # Heap ----------------------------------------------------------------------------------------

    def _emit(self, found: _Sum) -> None:
        """Bits of the sum, modulo its width."""
        width = len(found.result)
        columns = [_Column() for _ in range(width + 1)]
        constant = 0
        for term in found.terms:
            for column, bit in enumerate(term.bits[:width]):
                sign = term.signed and column == len(term.bits) - 1
                negative = term.negated != sign
                if isinstance(bit, str):
                    constant += (-1 if negative else 1) * (int(bit == "1") << column)
                else:
                    (columns[column].minus if negative else columns[column].plus).append((0.0, bit))
        rows: list[list[Bit]] = []  # of the columns that the prefix tree adds
        for column, bit in enumerate(found.result):
            this, above = columns[column], columns[column + 1]
            constant -= self._join(this, above) << column
            heap, top = _Heap(this.plus), column + 1 == width
            self._reduce(heap, above.plus, constant >> column & 1, top, 2 if rows else 1)
            if rows or len(heap) > 1:
                rows.append(heap.bits())
            else:
                self._cell("$_BUF_", {"A": heap.bits()[0]}, {"Y": bit})
        added = add_columns(rows, self._gate, self._complex_gate)
        for bit, made in zip(reversed(found.result), reversed(added), strict=False):
            self._cell("$_BUF_", {"A": made}, {"Y": bit})

    def _join(self, column: "_Column", above: "_Column") -> int:
        """Turn bits that count negatively into others; how often one must then be subtracted.

        Full adders serve them as well, three at a time; ``-b = (1 - b) - 1`` the last two.
        """
        heap = sorted(column.minus, key=lambda item: item[0])
        while len(heap) > 2:
            (_, x), (t1, y), (t2, z) = heap[:3]
            total, carry = self._full_adder(x, y, z)
            heap = sorted([*heap[3:], (t2 + SUM, total)], key=lambda item: item[0])
            above.minus.append((max(t2, t1) + CARRY, carry))
        column.plus += [(time + GATE, self._gate("NOT", bit)) for time, bit in heap]
        return len(heap)

    def _reduce(self, heap: _Heap, carries: list, one: int, top: bool, most: int) -> None:
        """Reduce a column, with a constant one or not, to at most ``most`` bits.

        Where the carry of three bits would come too late they stay, or the earliest two of them
        take a half adder; the top column has no carry.
        """

        def carry(time: float, bit: Bit) -> None:
            if not top:
                carries.append((time, bit))

        def half_adder(x: Bit, time: float, y: Bit) -> None:
            heap.put(time + GATE, self._gate("XNOR" if one else "XOR", x, y))
            carry(time + GATE, self._gate("OR" if one else "AND", x, y))

        if len(heap) > 1 and (one if most > 1 else len(heap) % 2 == 0):
            half_adder(heap.take()[1], *heap.take())
            one = 0
        while len(heap) > most:
            (t0, x), (t1, y), (t2, z) = heap.take(), heap.take(), heap.take()
            late = t2 >= self._depth and not heap and not one
            if top:
                heap.put(t2 + SUM, self._gate("XOR", self._gate("XOR", x, y), z))
            elif late and most == 1:
                for time, bit in ((t0, x), (t1, y), (t2, z)):
                    heap.put(time, bit)
                return
            elif late:
                half_adder(x, t1, y)
                heap.put(t2, z)
            else:
                total, out = self._full_adder(x, y, z)
                heap.put(t2 + SUM, total)
                carry(max(t2, t1 + 0.2) + CARRY, out)
        if one and heap and most == 1:
            time, bit = heap.take()
            heap.put(time, self._gate("NOT", bit))
            carry(time, bit)
        elif one:
            heap.put(0.0, "1")
