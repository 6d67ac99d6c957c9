"""The upper part of an adder as a prefix tree of a library's own complex gates (Sklansky, 1960).

Given generic gates, ABC would find a smaller chain instead. Levels alternate in polarity: AND-OR-
INVERT of true spans, OR-AND-INVERT of inverted ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lutcore.gen.asic.gates import Gates
from lutcore.gen.asic.library import AOI21, INVERTER, NAND2, NOR2, OAI21, Cell, Library
from lutcore.gen.tools.netlist import Bit

#: Gates of a prefix tree: name -> inputs and truth table.
_GATES = {
    "NOT": (1, INVERTER),
    "NAND": (2, NAND2),
    "NOR": (2, NOR2),
    "AOI": (3, AOI21),
    "OAI": (3, OAI21),
}


def prefix_gates(library: Library) -> dict[str, tuple[Cell, tuple[str, ...]]]:
    """Gates of a prefix tree with their pins in order; empty if the library lacks one."""
    found = {name: library.gate(*function) for name, function in _GATES.items()}
    return {name: gate for name, gate in found.items() if gate} if all(found.values()) else {}


@dataclass(frozen=True)
class Span:
    """Whether neighbouring columns generate a carry, or propagate it.

    Attributes
    ----------
    generate, propagate : bit
        Constants where they never or always do.
    inverted : bool
        Both stand for their opposites.
    """

    generate: Bit
    propagate: Bit
    inverted: bool = False


def carries(spans: Sequence[Span], gates: Gates) -> list[Span]:
    """Spans that each reach down to the first, from columns' own; what carries come from."""

    def flipped(span: Span) -> Span:
        generate, propagate = gates.own_invert(span.generate), gates.own_invert(span.propagate)
        return Span(generate, propagate, not span.inverted)

    def joined(high: Span, low: Span) -> Span:
        if high.inverted != low.inverted:
            high = flipped(high)
        dual, never = high.inverted, "1" if high.inverted else "0"
        generate = gates.and_or_invert(high.propagate, low.generate, high.generate, dual)
        propagate = gates.and_or_invert(high.propagate, low.propagate, never, dual)
        return Span(generate, propagate, not high.inverted)

    found, distance = list(spans), 1
    while distance < len(found):
        found = [
            joined(span, found[i // distance * distance - 1]) if i & distance else span
            for i, span in enumerate(found)
        ]
        distance *= 2
    return found


def add_columns(rows: Sequence[Sequence[Bit]], gates: Gates) -> list[Bit]:
    """Sum of columns of one or two bits, lowest first; a third bit of the first is a carry-in."""
    if not rows:
        return []
    pairs: list[tuple[Bit, Bit]] = [(row[0], (*row, "0")[1]) for row in rows]
    halves = [gates.differ(x, y) for x, y in pairs]
    spans = [Span((*rows[0], "0", "0")[2], "0")]
    spans += [Span(gates.both(x, y), half) for (x, y), half in zip(pairs, halves, strict=True)]
    return [
        gates.differ(half, span.generate, span.inverted)
        for half, span in zip(halves, carries(spans[:-1], gates), strict=True)
    ]
