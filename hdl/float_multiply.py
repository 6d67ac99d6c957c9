"""Floating-point multiplication."""

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.floats import Number, Pipeline, check_pipeline, fit, keep, pack, unpack
from hdl.formats import FloatFormat

#: Places of the registers, for each pipeline depth.
STAGES = ((), ("product",), ("product", "fitted"))


def multiply(
    m: Module,
    a: Value,
    b: Value,
    format: FloatFormat,
    result: FloatFormat,
    pipeline: int = 0,
) -> Value:
    """``a * b`` in the format ``result``; see :class:`FloatMultiplier`."""
    cut = Pipeline(m, STAGES, pipeline).cut
    left, right = unpack(m, a, format, "a"), unpack(m, b, format, "b")
    invalid = (left.special & ~right.significand.any()) | (right.special & ~left.significand.any())
    offset = result.bias + 1 - 2 * format.bias
    number = Number(
        sign=left.sign ^ right.sign,
        exponent=keep(m, left.exponent + right.exponent + offset, "exponent"),
        significand=keep(m, left.significand * right.significand, "product"),
        special=left.special | right.special,
        nan=left.nan | right.nan | invalid,
    )
    number = cut("product", number)
    number = cut("fitted", fit(m, number, result, lowest=2 + offset))
    return pack(m, number, result, highest=2 * format.max_exponent + offset)


class FloatMultiplier(wiring.Component):
    """Multiplies two numbers of a format, into the same or another format.

    Rounds once, to nearest, ties to even; no rounding logic is built where the result format holds
    every product, as FP32 does for FP16. Subnormals, infinities and signed zeros as in IEEE 754;
    zero times infinity is NaN. Every NaN result is the result format's ``quiet_nan``.

    Parameters
    ----------
    format : FloatFormat
        Format of the operands.
    result : FloatFormat or None
        Format of the product; None is ``format``.
    pipeline : int
        Register stages, 0..2: cycles from operands to product.

    Members
    -------
    a, b : In, bit patterns of ``format``
    result : Out, bit pattern of the result format

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``pipeline`` is out of range.
    """

    def __init__(self, format: FloatFormat, result: FloatFormat | None = None, pipeline: int = 0):
        self._format = format
        self._result_format = result or format
        self._pipeline = check_pipeline(STAGES, pipeline)
        bits = format.bits
        super().__init__({"a": In(bits), "b": In(bits), "result": Out(self._result_format.bits)})

    def elaborate(self, platform: object) -> Module:
        """Multiply the significands, normalise the product, round."""
        m = Module()
        product = multiply(m, self.a, self.b, self._format, self._result_format, self._pipeline)
        m.d.comb += self.result.eq(product)
        return m
