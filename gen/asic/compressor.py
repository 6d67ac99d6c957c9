"""Sums of many terms as trees of full adders, in a Yosys netlist (its JSON format).

Yosys compresses additions word by word, and ABC never picks a library's full-adder cell. Here every
sum becomes one heap of bits by weight, partial products among them; each column is reduced to one
bit, the earliest bits first. A full adder removes one bit, so their number is the least possible,
and half adders are rare. From where the carry that then ripples upwards comes too late, columns
keep two bits, and a prefix tree adds them (Sklansky, 1960). Arrival times are estimates: what
counts is order. Where others read carries, as comparisons do, it is :mod:`lutcore.gen.asic.carries`
that adds.
"""

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from lutcore.gen.asic.carries import CARRY, GATE, SUM, add
from lutcore.gen.asic.gates import Gates
from lutcore.gen.asic.library import Cell
from lutcore.gen.asic.prefix import add_columns
from lutcore.gen.asic.sums import Sum, Sums
from lutcore.gen.tools.netlist import Bit, Json


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


def compress(design: Json, adders: Adders) -> None:
    """Replace the sums of every module of ``design``, in place."""
    for name, module in design["modules"].items():
        if module["cells"]:
            _compress(module, adders, adders.depths.get(name, float("inf")))


def _compress(module: Json, adders: Adders, depth: float) -> None:
    sums = Sums(module)
    gates = Gates(module, adders.cell, adders.gates)
    cells = module["cells"]
    if not adders.gates:
        depth = float("inf")
    alus = {name: cell for name, cell in cells.items() if cell["type"] == "$alu"}
    for name in {**alus, **dict.fromkeys(sums.parts), **sums.whole}:
        del cells[name]
    for found in sums.whole.values():
        _Compressor(gates, depth).emit(found)
    for name, cell in alus.items():
        if name not in sums.whole and name not in sums.parts:
            add(cell, sums.read, gates, depth)


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

    def latest(self) -> float:
        """When the last bit arrives."""
        return max(time for time, _, _ in self._items)

    def bits(self) -> list[Bit]:
        """The bits, the earliest first; a zero if there are none."""
        return [bit for _, _, bit in sorted(self._items)] or ["0"]


class _Compressor:
    """Writes a sum's gates."""

    def __init__(self, gates: Gates, depth: float):
        self._gates = gates
        self._depth = depth

    def emit(self, found: Sum) -> None:
        """Bits of the sum, modulo its width."""
        gates, width = self._gates, len(found.result)
        columns = [_Column() for _ in range(width + 1)]
        constant = 0
        for term in found.terms:
            time = GATE if term.factor else 0.0
            for column, negative, bit in term.weights(width, gates):
                if bit == "1":
                    constant += (-1 if negative else 1) << column
                else:
                    (columns[column].minus if negative else columns[column].plus).append(
                        (time, bit)
                    )
        rows: list[list[Bit]] = []  # of the columns that the prefix tree adds
        for column, bit in enumerate(found.result):
            this, above = columns[column], columns[column + 1]
            constant -= self._join(this, above) << column
            heap, top = _Heap(this.plus), column + 1 == width
            self._reduce(heap, above.plus, constant >> column & 1, top, 2 if rows else 1)
            if rows or len(heap) > 1:
                rows.append(heap.bits())
            else:
                gates.drive(bit, heap.bits()[0])
        added = add_columns(rows, gates)
        for bit, made in zip(reversed(found.result), reversed(added), strict=False):
            gates.drive(bit, made)

    def _join(self, column: "_Column", above: "_Column") -> int:
        """Turn bits that count negatively into others; how often one must then be subtracted.

        Full adders serve them as well, three at a time; ``-b = (1 - b) - 1`` the last two.
        """
        heap = sorted(column.minus, key=lambda item: item[0])
        while len(heap) > 2:
            (_, x), (t1, y), (t2, z) = heap[:3]
            total, carry = self._gates.full_adder(x, y, z)
            heap = sorted([*heap[3:], (t2 + SUM, total)], key=lambda item: item[0])
            above.minus.append((max(t2, t1) + CARRY, carry))
        column.plus += [(time + GATE, self._gates.invert(bit)) for time, bit in heap]
        return len(heap)

    def _too_late(self, heap: _Heap) -> bool:
        """Whether the carry of two bits would ripple on too late."""
        return len(heap) == 2 and heap.latest() >= self._depth

    def _reduce(self, heap: _Heap, carries: list, one: int, top: bool, most: int) -> None:
        """Reduce a column, with a constant one or not, to at most ``most`` bits.

        Where the carry of three bits would come too late they stay, or the earliest two of them
        take a half adder; nobody reads the carry of the top column.
        """
        gates = self._gates

        def half_adder(x: Bit, time: float, y: Bit) -> None:
            heap.put(time + GATE, gates.differ(x, y, invert=bool(one)))
            carries.append((time + GATE, (gates.either if one else gates.both)(x, y)))

        if not one and self._too_late(heap):
            return
        if len(heap) > 1 and (one if most > 1 else len(heap) % 2 == 0):
            half_adder(heap.take()[1], *heap.take())
            one = 0
        while len(heap) > most:
            (t0, x), (t1, y), (t2, z) = heap.take(), heap.take(), heap.take()
            late = t2 >= self._depth and not heap and not one
            if top:
                heap.put(t2 + SUM, gates.differ(gates.differ(x, y), z))
            elif late and most == 1:
                for time, bit in ((t0, x), (t1, y), (t2, z)):
                    heap.put(time, bit)
                return
            elif late:
                half_adder(x, t1, y)
                heap.put(t2, z)
            else:
                total, out = gates.full_adder(x, y, z)
                heap.put(t2 + SUM, total)
                carries.append((max(t2, t1 + 0.2) + CARRY, out))
        if one and heap and most == 1:
            time, bit = heap.take()
            heap.put(time, gates.invert(bit))
            carries.append((time, bit))
        elif one:
            heap.put(0.0, "1")
