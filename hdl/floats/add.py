"""Floating-point addition."""

# Amaranth has no types for Cat and slices: pyright takes them for I/O values, without operators.
# pyright: reportOperatorIssue=false

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.formats import FloatFormat
from lutcore.hdl.floats.numbers import (
    Number,
    Pipeline,
    check_pipeline,
    keep,
    normalise_within,
    pack,
    shift_right,
    shift_stages,
    unpack,
)

#: Places of the registers, for each pipeline depth.
STAGES = (
    (),
    ("sum",),
    ("aligned", "fine"),
    ("aligned", "sum", "fine"),
    ("aligned", "sum", "coarse", "fine"),
)


class _Aligned(NamedTuple):
    """Operands at the larger one's exponent; ``small`` has three bits more, the last one sticky."""

    sign: Value
    exponent: Value
    large: Value
    small: Value
    subtract: Value
    special: Value
    nan: Value


def _align(m: Module, a: Value, b: Value, format: FloatFormat) -> _Aligned:
    swap = keep(m, a[:-1] < b[:-1], "swap")
    large = unpack(m, keep(m, Mux(swap, b, a), "large"), format, "large")
    small = unpack(m, keep(m, Mux(swap, a, b), "small"), format, "small")
    subtract = keep(m, a[-1] ^ b[-1], "subtract")
    distance = keep(m, (large.exponent - small.exponent)[: format.exponent_bits], "distance")
    # Guard and round bit survive a normalisation by one, which is all there can be where anything
    # but zeros is shifted past them.
    wide = Cat(Const(0, 2), small.significand)
    return _Aligned(
        sign=large.sign,
        exponent=large.exponent,
        large=large.significand,
        small=keep(m, shift_right(m, wide, distance, Const(0, 1), "shifted"), "aligned"),
        subtract=subtract,
        # NaN is larger than infinity and infinity larger than the rest: `large` decides.
        special=large.special,
        nan=keep(m, large.nan | (small.special & subtract), "nan"),
    )


def _sum(m: Module, operands: _Aligned) -> Number:
    bits = len(operands.small)
    subtract = operands.subtract
    addend = operands.small ^ subtract.replicate(bits)
    total = keep(m, (Cat(Const(0, 3), operands.large) + addend + subtract)[: bits + 1], "total")
    # The smaller magnitude is subtracted from the larger: never negative, the carry no digit.
    significand = keep(m, Cat(total[:-1], total[-1] & ~subtract), "sum")
    # x - x is +0, but -0 - 0 is -0.
    sign = keep(m, operands.sign & (significand.any() | ~subtract), "sign")
    return Number(sign, operands.exponent, significand, operands.special, operands.nan)


def add(m: Module, a: Value, b: Value, format: FloatFormat, pipeline: int = 0) -> Value:
    """``a + b``, rounded to nearest, ties to even; see :class:`FloatAdder`."""
    cut = Pipeline(m, STAGES, pipeline).cut
    number = cut("sum", _sum(m, cut("aligned", _align(m, a, b, format))))
    # The sum's top bit counts twice the operand's: its exponent is one more, and the operand's is
    # the room to move left until the exponent is that of subnormals.
    stages = shift_stages(number.significand, number.exponent)
    middle = len(stages) // 2
    for name, shifts in (("coarse", stages[middle:]), ("fine", stages[:middle])):
        significand, room = normalise_within(m, number.significand, number.exponent, name, shifts)
        number = cut(name, number._replace(exponent=room, significand=significand))
    number = number._replace(exponent=number.exponent + 1)
    return pack(m, number, format, highest=format.max_exponent + 1)


class FloatAdder(wiring.Component):
    """Adds two numbers of a format.

    Rounds to nearest, ties to even. Subnormals, infinities and signed zeros as in IEEE 754:
    ``x + -x`` is +0, ``-0 + -0`` is -0. Every NaN result is the format's ``quiet_nan``.

    Parameters
    ----------
    format : FloatFormat
        Format of operands and result.
    pipeline : int
        Register stages, 0..4: cycles from operands to result.

    Members
    -------
    a, b : In, bit patterns of ``format``
        An operand.
    result : Out, bit pattern of ``format``
        The sum.

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``pipeline`` is out of range.
    """

    def __init__(self, format: FloatFormat, pipeline: int = 0):
        self._format = format
        self._pipeline = check_pipeline(STAGES, pipeline)
        super().__init__({"a": In(format.bits), "b": In(format.bits), "result": Out(format.bits)})

    def elaborate(self, platform: object) -> Module:
        """One path: swap, align, add, normalise, round."""
        m = Module()
        m.d.comb += self.result.eq(add(m, self.a, self.b, self._format, self._pipeline))
        return m
