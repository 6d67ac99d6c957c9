"""Sums in a Yosys netlist: what is added and multiplied, and which sums are parts of others.

Yosys gathers additions, products and comparisons in ``$alu`` and ``$macc_v2`` cells.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from lutcore.gen.asic.gates import Gates
from lutcore.gen.tools.netlist import Bit, Json


@dataclass(frozen=True)
class Number:
    """Bits of a number, lowest first.

    Attributes
    ----------
    bits : list of bits
    signed : bool
        In two's complement.
    """

    bits: list[Bit]
    signed: bool = False

    def without_zeros(self) -> "Number":
        """The same number without leading zeros."""
        bits = self.bits
        while bits and bits[-1] == "0":
            bits = bits[:-1]
        return Number(bits, self.signed and len(bits) == len(self.bits))

    def range(self) -> tuple[int, int]:
        """Least and greatest value."""
        width = len(self.bits)
        if all(isinstance(bit, str) for bit in self.bits):
            value = sum(1 << i for i, bit in enumerate(self.bits) if bit == "1")
            value -= 1 << width if self.signed and self.bits[-1:] == ["1"] else 0
            return value, value
        half = (1 << width) >> 1
        return (-half, half - 1) if self.signed else (0, (1 << width) - 1)

    def weights(self) -> Iterator[tuple[int, bool, Bit]]:
        """Column of each bit that is not zero, whether it counts negatively, and the bit."""
        for column, bit in enumerate(self.bits):
            if bit == "1" or isinstance(bit, int):  # and neither "0" nor "x"
                yield column, self.signed and column == len(self.bits) - 1, bit


@dataclass(frozen=True)
class Term:
    """A number, or a product of two, that is added or subtracted.

    Attributes
    ----------
    number : Number
    factor : Number or None
    negated : bool
    """

    number: Number
    factor: Number | None = None
    negated: bool = False

    def range(self) -> tuple[int, int]:
        """Least and greatest value that is added."""
        ends = self.number.range()
        if self.factor is not None:
            ends = [x * y for x in ends for y in self.factor.range()]
        return (-max(ends), -min(ends)) if self.negated else (min(ends), max(ends))

    def weights(self, width: int, gates: Gates) -> Iterator[tuple[int, bool, Bit]]:
        """As of a number, modulo 2^width: partial products where there are two."""
        factor = self.factor or Number(["1"])
        for i, below, x in self.number.weights():
            for j, under, y in factor.weights():
                if i + j < width:
                    yield i + j, (below != under) != self.negated, gates.both(x, y)


@dataclass
class Sum:
    """What a net shows: a sum of terms, modulo its width.

    Attributes
    ----------
    terms : list of Term
    result : list of bits
    """

    terms: list[Term]
    result: list[Bit]

    def range(self) -> tuple[int, int]:
        """Least and greatest sum, before it wraps."""
        ranges = [term.range() for term in self.terms]
        return sum(low for low, _ in ranges), sum(high for _, high in ranges)


def number(cell: Json, name: str) -> int:
    """A parameter of a cell."""
    return int(cell["parameters"][name], 2)


def _sum(cell: Json, read: Counter[Bit]) -> Sum | None:
    """The sum that a cell computes, if that is all it does."""
    pins = cell["connections"]
    if cell["type"] == "$macc_v2":
        return Sum(list(_terms(cell)), pins["Y"])
    if cell["type"] != "$alu" or pins["BI"] not in (["0"], ["1"]):
        return None
    if any(read[bit] for pin in ("X", "CO") for bit in pins[pin]):
        return None
    negated = pins["BI"] == ["1"]
    terms = [
        Term(Number(pins["A"], bool(number(cell, "A_SIGNED")))),
        Term(Number(pins["B"], bool(number(cell, "B_SIGNED"))), negated=negated),
        Term(Number(pins["CI"])),  # A - B is A + ~B + 1
        *([Term(Number(["1"]), negated=True)] if negated else []),
    ]
    return Sum(terms, pins["Y"])


def _terms(cell: Json) -> Iterator[Term]:
    """Terms of a ``$macc_v2``: products of A and B, and addends of C."""
    pins, parameters = cell["connections"], cell["parameters"]
    starts = dict.fromkeys("ABC", 0)

    def operand(port: str, i: int) -> Number:
        width = int(parameters[f"{port}_WIDTHS"][::-1][16 * i : 16 * i + 16][::-1], 2)
        start = starts[port]
        starts[port] += width
        signed = parameters[f"{port}_SIGNED"][::-1][i] == "1"
        return Number(pins[port][start : starts[port]], signed)

    def negated(name: str, i: int) -> bool:
        return parameters[name][::-1][i] == "1"

    for i in range(number(cell, "NPRODUCTS")):
        yield Term(operand("A", i), operand("B", i), negated("PRODUCT_NEGATED", i))
    for i in range(number(cell, "NADDENDS")):
        yield Term(operand("C", i), None, negated("ADDEND_NEGATED", i))


class Sums:
    """Sums of a module.

    Parameters
    ----------
    module : dict
        Of a design in Yosys's JSON.

    Attributes
    ----------
    read : Counter
        How often each bit is read.
    whole : dict
        Cell -> its sum, where that is part of no other; a sum that only another one reads is.
    parts : list of str
        Cells of the others.
    """

    def __init__(self, module: Json):
        self.read = Counter(_read_bits(module))
        cells = module["cells"].items()
        self._sums = {name: found for name, cell in cells if (found := _sum(cell, self.read))}
        self._by_result = {tuple(found.result): name for name, found in self._sums.items()}
        for found in self._sums.values():
            self._absorb(found)
        whole = set(self._by_result.values())
        self.whole = {name: found for name, found in self._sums.items() if name in whole}
        self.parts = [name for name in self._sums if name not in whole]

    def _absorb(self, into: Sum) -> None:
        """Put the terms of sums that only ``into`` reads in their place."""
        terms: list[Term] = []
        for term in into.terms:
            inner = self._only_read_here(term)
            found = self._terms_of(inner, term, len(into.result)) if inner else []
            if inner and found:
                del self._by_result[tuple(inner.result)]
                terms += [replace(t, negated=t.negated != term.negated) for t in found]
            else:
                terms.append(term)
        into.terms = terms

    def _only_read_here(self, term: Term) -> Sum | None:
        """The sum that ``term`` shows, if nothing else reads it."""
        if term.factor is not None:
            return None
        name = self._by_result.get(tuple(term.number.without_zeros().bits))
        read = [self.read[bit] for bit in self._sums[name].result] if name else []
        return self._sums[name] if name and max(read) == 1 == min(read) else None

    def _terms_of(self, inner: Sum, term: Term, width: int) -> list[Term]:
        """Terms that sum to ``term`` modulo 2^width, where ``inner`` wraps as well."""
        self._absorb(inner)
        bits = len(inner.result)
        if bits >= width:
            return inner.terms
        (low, high), (least, greatest) = inner.range(), term.number.without_zeros().range()
        wraps = -((low - least) >> bits)  # what is shown is the sum plus so many times 2^bits
        if high + (wraps << bits) > greatest:
            return []
        times: list[Bit] = list(f"{abs(wraps):b}"[::-1])
        turn = Term(Number([*"0" * bits, *times]), negated=wraps < 0)
        return [*inner.terms, *([turn] if wraps else [])]


def _read_bits(module: Json) -> Iterator[Bit]:
    for cell in module["cells"].values():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"].get(pin) != "output":
                yield from bits
    for port in module["ports"].values():
        if port["direction"] != "input":
            yield from port["bits"]
