"""Small pieces of hardware that many blocks are made of."""

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import Out


def delayed(m: Module, value: Value, cycles: int, name: str, reset: bool = False) -> Value:
    """``value`` some cycles later, in registers without reset unless asked for."""
    for stage in range(cycles):
        # delayed, by one stage more than its number
        held = Signal(value.shape(), name=f"{name}_{stage}", reset_less=not reset)
        m.d.sync += held.eq(value)
        value = held
    return value


def captured(m: Module, value: Value, capture: Value, name: str) -> Signal:
    """``value`` as it was in the last cycle with ``capture``."""
    # as it was when it was captured last
    held = Signal(value.shape(), name=f"held_{name}", reset_less=True)
    with m.If(capture):
        m.d.sync += held.eq(value)
    return held


def choose(options: Sequence[Value], number: Value) -> Value:
    """The option of that number by a tree of multiplexers; beyond the last one, any."""
    options = list(options)
    for bit in number:
        options += options[-1:] * (len(options) % 2)
        pairs = zip(options[::2], options[1::2], strict=True)
        options = [Mux(bit, high, low) for low, high in pairs]
    return options[0]


def parts(value: Value, unit: int) -> Value:
    """How many of ``unit`` hold ``value``.

    A product with the reciprocal: for N-bit numbers, ``N + log2(unit)`` places are enough.
    """
    raised = value + unit - 1
    places = (unit - 1).bit_length()
    if 1 << places == unit:
        return raised >> places
    places += len(raised)
    return (raised * -(-(1 << places) // unit)) >> places


def forward(m: Module, ours: Value, theirs: Value, flow: Any) -> None:
    """Connect a port to that of a block inside, whose direction is ``flow``."""
    m.d.comb += ours.eq(theirs) if flow == Out else theirs.eq(ours)
