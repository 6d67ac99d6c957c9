"""Adders of two numbers whose carries are read: comparisons, overflows, borrows.

A ``$alu`` of Yosys adds A and B, or A and not B, and shows besides the sum what each column
propagates (X) and every carry (CO). What nobody reads is not built: a comparison has no sums, and
its columns propagate by OR.
"""

from collections import Counter
from collections.abc import Sequence

from lutcore.gen.asic.gates import Gates
from lutcore.gen.asic.prefix import Span, carries
from lutcore.gen.asic.sums import Number, number
from lutcore.gen.tools.netlist import Bit, Json

#: Delays: through a full-adder cell to its sum and its carry, and through a gate.
SUM, CARRY, GATE = 1.5, 1.0, 0.6


def add(cell: Json, read: Counter[Bit], gates: Gates, depth: float) -> None:
    """Replace a ``$alu``, already taken out of its module.

    Parameters
    ----------
    cell : dict
    read : Counter
        How often each bit is read.
    gates : Gates
        Of the module.
    depth : float
        Estimated delay: carries that come later take a prefix tree.
    """
    pins = cell["connections"]
    (carry,), (flip,) = pins["CI"], pins["BI"]
    width = len(pins["Y"])
    given = [Number(pins[port], bool(number(cell, f"{port}_SIGNED"))) for port in "AB"]
    a, b = (_extended(operand, width) for operand in given)
    b = [gates.differ(bit, flip) for bit in b]
    read_on = [any(read[bit] for bit in bits) for bits in zip(pins["Y"], pins["CO"], strict=True)]
    #: Columns that both numbers have, and whose carry matters.
    whole = min(min(len(operand.bits) for operand in given), _last(read_on))
    columns = list(zip(a, b, pins["X"], pins["Y"], pins["CO"], strict=True))
    ripples = int(min(depth / CARRY, width))
    for i, (x, y, half, total, out) in enumerate(columns[:ripples]):
        gates.drive(half, gates.differ(x, y))
        if read[total] and i < whole:
            made, carry_on = gates.full_adder(x, y, carry)
        else:
            made = gates.differ(gates.differ(x, y), carry)
            carry_on = gates.majority(x, y, carry)
        gates.drive(total, made)
        gates.drive(out, carry_on)
        carry = carry_on
    _add_late(columns[ripples:], carry, read, gates)


def _extended(operand: Number, width: int) -> list[Bit]:
    """Its bits in so many columns; what is undefined is zero."""
    bits = [bit if isinstance(bit, int) or bit == "1" else "0" for bit in operand.bits[:width]]
    sign = bits[-1] if operand.signed and bits else "0"
    return bits + [sign] * (width - len(bits))


def _last(flags: Sequence[bool]) -> int:
    """Index of the last one that is set; -1 if none is."""
    return max((i for i, flag in enumerate(flags) if flag), default=-1)


def _add_late(
    columns: Sequence[tuple[Bit, ...]], carry: Bit, read: Counter[Bit], gates: Gates
) -> None:
    """Columns of A, B, X, Y and CO as a prefix tree."""
    halves, spans = [], [Span(carry, "0")]
    for x, y, half, total, _ in columns:
        halves.append(gates.differ(x, y))
        summed = read[half] or read[total]
        spans.append(Span(gates.both(x, y), halves[-1] if summed else gates.either(x, y)))
    found = carries(spans, gates)
    for (_, _, half, total, out), made, below, span in zip(
        columns, halves, found[:-1], found[1:], strict=True
    ):
        gates.drive(half, made)
        gates.drive(total, gates.differ(made, below.generate, below.inverted))
        gates.drive(out, gates.differ(span.generate, "0", span.inverted))
