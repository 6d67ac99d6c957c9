"""Parts of floating-point units against plain integers and fractions."""

import plain_floats as plain
import pytest
from amaranth.hdl import Module, Signal

from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats import numbers
from lutcore.verif.bench.contexts import evaluate


def outputs(m, *values):
    """Signals of their own for values, and a design that drives them."""
    signals = [Signal.like(value + 0) for value in values]
    m.d.comb += [signal.eq(value) for signal, value in zip(signals, values, strict=True)]
    return signals


def normal(value, room):
    """``value`` of 8 bits moved up until its top bit is 1, by ``room`` at most; what is left."""
    while value < 128 and room:
        value, room = value << 1, room - 1
    return value, room


def test_shift_right():
    m, value, amount, sticky = Module(), Signal(6), Signal(4), Signal()
    out = outputs(m, numbers.shift_right(m, value, amount, sticky, "shift"))
    cases = [(v, a, s) for v in range(64) for a in range(16) for s in (0, 1)]
    found = evaluate(m, [value, amount, sticky], out, cases)
    assert found == [((v >> a) << 1 | (s or v % (1 << a) > 0),) for v, a, s in cases]


def test_normalise():
    m, value, room = Module(), Signal(8), Signal(4)
    free, within = (numbers.normalise(m, value, "a"), numbers.normalise_within(m, value, room, "b"))
    cases = [(v, r) for v in range(1, 256) for r in range(16)]
    found = evaluate(m, [value, room], outputs(m, *free, *within), cases)
    for (v, r), (top, moved, *rest) in zip(cases, found, strict=True):
        assert (top, 15 - moved) == normal(v, 15) and tuple(rest) == normal(v, r)


def test_ties_to_even():
    m, bits = Module(), [Signal() for _ in range(3)]
    cases = [(last, guard, sticky) for last in (0, 1) for guard in (0, 1) for sticky in (0, 1)]
    found = evaluate(m, bits, outputs(m, numbers.ties_to_even(*bits)), cases)
    up = [round(plain.Fraction(4 * last + 2 * g + s, 4)) - last for last, g, s in cases]
    assert [value for (value,) in found] == up


@pytest.mark.parametrize("name", FORMATS)
def test_unpack_double_and_negate(name):
    f = FORMATS[name]
    m, a = Module(), Signal(f.bits)
    fields = numbers.unpack(m, a, f, "a")
    out = outputs(m, *fields, numbers.double(a, f), numbers.negate(a))
    cases = [p for p in plain.patterns(f, 100)]
    found = evaluate(m, [a], out, [[p] for p in cases])
    for p, (sign, exponent, significand, special, nan, twice, minus) in zip(
        cases, found, strict=True
    ):
        number = plain.decode(p, f)
        assert (sign, special, nan) == (
            number[0],
            number[1] == plain.INF or number[1] != number[1],
            number[1] != number[1],
        )
        assert minus == p ^ f.sign_mask
        if not special:
            scale = plain.Fraction(2) ** (exponent - f.bias - f.fraction_bits)
            assert significand * scale == number[1]
            assert twice == plain.encode((number[0], 2 * number[1]), f)
