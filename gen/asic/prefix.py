"""The upper part of an adder as a prefix tree of a library's own complex gates (Sklansky, 1960).

Given generic gates, ABC would find a smaller chain instead. Levels alternate in polarity: AND-OR-
INVERT of true spans, OR-AND-INVERT of inverted ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
class _Span:
    """Whether neighbouring columns generate a carry, or propagate it; None: they never do."""

    generate: Bit | None
    propagate: Bit | None
    inverted: bool = False


def add_columns(
    rows: Sequence[Sequence[Bit]], gate: Callable[..., Bit], complex_gate: Callable[..., Bit]
) -> list[Bit]:
    """Sum of columns of one or two bits, lowest first; the first may have a carry-in as its third.

    Parameters
    ----------
    rows : sequence of sequences of bits
    gate : callable
        Makes ``XOR``, ``XNOR`` or ``AND`` of its further arguments.
    complex_gate : callable
        Makes a gate of :func:`prefix_gates`.
    """

    def flipped(span: _Span) -> _Span:
        bits = (span.generate, span.propagate)
        generate, propagate = (None if b is None else complex_gate("NOT", b) for b in bits)
        return _Span(generate, propagate, not span.inverted)

    def joined(high: _Span, low: _Span) -> _Span:
        if high.inverted != low.inverted:
            high = flipped(high)
        plain, full = ("NOR", "OAI") if high.inverted else ("NAND", "AOI")
        generate = propagate = None
        if low.generate is not None:
            rest = () if high.generate is None else (high.generate,)
            generate = complex_gate(full if rest else plain, high.propagate, low.generate, *rest)
        elif high.generate is not None:
            generate = complex_gate("NOT", high.generate)
        if low.propagate is not None:
            propagate = complex_gate(plain, high.propagate, low.propagate)
        return _Span(generate, propagate, not high.inverted)

    if not rows:
        return []
    halves = [gate("XOR", *row[:2]) if row[1:] else row[0] for row in rows]
    spans = [_Span(bit, None) for bit in rows[0][2:]] or [_Span(None, None)]
    spans += [
        _Span(gate("AND", *row[:2]) if row[1:] else None, half)
        for row, half in zip(rows, halves, strict=True)
    ]
    distance = 1
    while distance < len(spans):
        spans = [
            joined(span, spans[i // distance * distance - 1]) if i & distance else span
            for i, span in enumerate(spans)
        ]
        distance *= 2
    return [
        half
        if span.generate is None
        else gate("XNOR" if span.inverted else "XOR", half, span.generate)
        for half, span in zip(halves, spans, strict=False)
    ]
