"""Sums of carry chains against integers, exhaustively."""

from itertools import product

import pytest
from amaranth.hdl import Module, Signal, signed

from lutcore.hdl.fabric.carry_chains import AddSubtract, offset_value
from lutcore.verif.bench.contexts import evaluate


def reference(a, b, add):
    return a + b if add else a - b


@pytest.mark.parametrize(("bits", "more"), [(2, 0), (2, 1), (5, 0), (5, 1)])
def test_add_and_subtract(bits, more):
    """Modulo 2^bits of any numbers; with one bit more, exactly, of numbers in offset binary."""
    dut, half = AddSubtract(bits, bits + more), 1 << bits - 1
    cases = list(product(range(1 << bits), range(1 << bits), (0, 1)))
    found = evaluate(dut, [dut.a, dut.b, dut.add], [dut.high], cases)
    for (a, b, add), (high,) in zip(cases, found, strict=True):
        result = high << 1 | (a ^ b) & 1
        if more:
            assert result - 2 * half == reference(a - half, b - half, add)
        else:
            assert result == reference(a, b, add) % (1 << bits)


def test_offset_value():
    m, code, out = Module(), Signal(3), Signal(signed(3))
    m.d.comb += out.eq(offset_value(code))
    found = evaluate(m, [code], [out], [[c] for c in range(8)])
    assert found == [(value,) for value in range(-4, 4)]
