"""Sums as FPGAs have them: one carry chain for two operands, with a sign that costs nothing."""

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.parts.sharing import add_shared


class AddSubtract(wiring.Component):
    """``a + b`` or ``a - b``, all but its lowest bit, which is ``a[0] ^ b[0]`` in both cases.

    Callers make the lowest bit themselves: in sums of table entries it is the same for all columns.
    One chain of ``result_bits`` positions, the lowest of which only makes the carry. FPGA flows may
    put cells of the family in place of this module (:mod:`lutcore.gen.luts.adders`).

    Parameters
    ----------
    bits : int
        Width of the operands.
    result_bits : int
        Width of the result with its lowest bit. ``bits``: modulo 2^bits, of any numbers. One more:
        of numbers in offset binary (:func:`offset_value`), whose carry-out is the top bit.

    Members
    -------
    a, b : In, ``bits``
        An operand.
    add : In
        1: ``a + b``. 0: ``a - b``.
    high : Out, ``result_bits - 1``
        The sum or difference without its lowest bit.
    """

    def __init__(self, bits: int, result_bits: int):
        members = {"a": In(bits), "b": In(bits), "add": In(1), "high": Out(result_bits - 1)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Add one's complements, and the carry of the lowest bits from one more position."""
        m = Module()
        a, b = self.a, self.b
        # a[0] + b[0], or a[0] + ~b[0] + 1.
        carry = Mux(b[0], a[0], ~self.add)
        other = b[1:] ^ (~self.add).replicate(len(b) - 1)
        total = Signal(len(self.high) + 1)  # the chain; its lowest position makes the carry
        m.d.comb += [total.eq(Cat(1, a[1:]) + Cat(carry, other)), self.high.eq(total[1:])]
        return m


def add_subtract(
    m: Module, platform: object, name: str, a: Value, b: Value, add: Value, result_bits: int
) -> Value:
    """``(a +- b) >> 1`` by an :class:`AddSubtract` named ``name``."""
    bits = len(a)
    make: Callable[[], AddSubtract] = lambda: AddSubtract(bits, result_bits)  # noqa: E731
    adder = add_shared(m, platform, name, f"add_subtract_{bits}_{result_bits}", make)
    m.d.comb += [adder.a.eq(a), adder.b.eq(b), adder.add.eq(add)]
    return adder.high


def offset_value(code: Value) -> Value:
    """Signed value of a number in offset binary: of w bits, it counts from ``-2^(w-1)`` on."""
    return Cat(code[:-1], ~code[-1]).as_signed()
