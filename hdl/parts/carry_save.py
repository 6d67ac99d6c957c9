"""Sums that keep their carries: full adders in front of a register, the rest of the sum behind."""

import heapq
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Delays of a full adder's sum and carry, in thirds of a level.
_SUM, _CARRY = 3, 2

#: Attribute of a signal whose name is that of the lowest bits of a wider sum.
NAMES_BITS = "names_bits"


class Addend(NamedTuple):
    """Form of one addend: its width, whether it has a sign bit, and which bits are always zero."""

    width: int
    signed: bool
    zeros: frozenset[int]

    @classmethod
    def of(cls, term: Value) -> "Addend":
        """Form of ``term``, whose zeros are those that are written into it."""
        zeros: set[int] = set()
        start = 0
        for part in term.parts if isinstance(term, type(Cat())) else (term,):
            if isinstance(part, Const) and part.value == 0:
                zeros |= set(range(start, start + len(part)))
            start += len(part)
        return cls(len(term), Shape.cast(term.shape()).signed, frozenset(zeros))


def _reduced(
    columns: list[list[int]], levels: int
) -> tuple[list[tuple[int, int, int]], list[list[int]]]:
    """Full adders that take the earliest three bits of a weight until two are left, or too late.

    No adder's sum is later than that of so many ``levels`` one behind the other. ``columns`` are
    bits of each weight, numbered from 0 without gaps; an adder's two outputs get the next two.
    """
    inputs = sum(map(len, columns))
    arrivals = [[(0, i, bit) for i, bit in enumerate(bits)] for bits in columns]
    order = itertools.count(inputs)
    adders: list[tuple[int, int, int]] = []
    for column, heap in enumerate(arrivals):
        heapq.heapify(heap)
        while len(heap) > 2:
            three = heapq.nsmallest(3, heap)
            latest = three[-1][0]
            if latest + _SUM > _SUM * levels:
                break
            for _ in three:
                heapq.heappop(heap)
            adders.append((three[0][2], three[1][2], three[2][2]))
            heapq.heappush(heap, (latest + _SUM, next(order), inputs + 2 * len(adders) - 2))
            if column + 1 < len(arrivals):  # else it is never set
                carry = (latest + _CARRY, next(order), inputs + 2 * len(adders) - 1)
                arrivals[column + 1].append(carry)
    return adders, [[bit for _, _, bit in sorted(heap)] for heap in arrivals]


@dataclass(frozen=True)
class Tree:
    """Full adders for some addends, and what they leave.

    Attributes
    ----------
    places : list of (int, int)
        Of each input bit, by its number: its addend and its weight there.
    adders : list of (int, int, int)
        Numbers of the bits that each adder takes; its sum and its carry get the next two numbers.
    columns : list of lists of int
        Bits that are left of each weight, lowest weight first.
    addends : tuple of Addend
    """

    addends: tuple[Addend, ...]
    places: list[tuple[int, int]]
    adders: list[tuple[int, int, int]]
    columns: list[list[int]]

    @classmethod
    def of(cls, addends: Iterable[Addend], levels: int) -> "Tree":
        """Full adders in at most so many levels; no bit is lost, so sums need not wrap."""
        addends = tuple(addends)
        places = [
            (number, column)
            for number, addend in enumerate(addends)
            for column in range(addend.width)
            if column not in addend.zeros
        ]
        width = sum(1 << column for _, column in places).bit_length()
        columns: list[list[int]] = [[] for _ in range(width)]
        for bit, (_, column) in enumerate(places):
            columns[column].append(bit)
        return cls(addends, places, *_reduced(columns, levels))

    @property
    def constant(self) -> int:
        """What to add to the rows: a sign counts ``-2^(w-1)``, but inverted ``2^(w-1)`` more."""
        return -sum(1 << addend.width - 1 for addend in self.addends if addend.signed)

    @property
    def rows(self) -> list[list[int]]:
        """Weights that have a bit of each row that is left, ascending."""
        most = max(map(len, self.columns))
        return [[c for c, bits in enumerate(self.columns) if len(bits) > r] for r in range(most)]

    def weighted(self, row: int, bits: Value) -> Value:
        """The number of which ``bits`` are those that the row has."""
        weights = self.rows[row]
        placed = {weight: bits[i] for i, weight in enumerate(weights)}
        zero = Const(0, 1)
        return Cat(*(placed.get(c, zero) for c in range(weights[-1] + 1)))


class CarrySave(wiring.Component):
    """Fewer unsigned rows that sum to the addends, less the tree's constant.

    A row has bits of some weights only (:meth:`Tree.weighted`): a zero that went through here would
    cost a register and an adder, since synthesis keeps the hierarchy.

    Each full adder is written as an addition of three bits, which synthesis maps to a full-adder
    cell.

    Parameters
    ----------
    tree : Tree

    Members
    -------
    addend_0, addend_1, ... : In
        The addends.
    row_0, row_1, ... : Out
        Bits of the rows, lowest first.
    """

    def __init__(self, tree: Tree):
        self._tree = tree
        members = {f"addend_{i}": In(addend.width) for i, addend in enumerate(tree.addends)}
        super().__init__(members | {f"row_{i}": Out(len(row)) for i, row in enumerate(tree.rows)})

    def elaborate(self, platform: object) -> Module:
        """No state."""
        m = Module()
        tree = self._tree
        bits: list[Value] = []
        for number, column in tree.places:
            addend, bit = tree.addends[number], getattr(self, f"addend_{number}")[column]
            bits.append(~bit if addend.signed and column == addend.width - 1 else bit)
        for i, (a, b, c) in enumerate(tree.adders):
            # sum and carry of one full adder
            total = Signal(2, name=f"adder_{i}", attrs={NAMES_BITS: 1})
            m.d.comb += total.eq(bits[a] + bits[b] + bits[c])
            bits += [total[0], total[1]]
        for row, weights in enumerate(tree.rows):
            left = [bits[tree.columns[weight][row]] for weight in weights]
            m.d.comb += getattr(self, f"row_{row}").eq(Cat(*left))
        return m
