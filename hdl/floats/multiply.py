"""Floating-point multiplication."""

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.formats import FloatFormat
from lutcore.hdl.floats.numbers import Number, Pipeline, check_pipeline, fit, keep, pack, unpack

#: Places of the registers, for each pipeline depth.
STAGES = ((), ("product",), ("product", "fitted"))


def multiply(
    m: Module,
    a: Value,
    b: Value,
    format: FloatFormat,
    result: FloatFormat,
    pipeline: int = 0,
    power: Value | None = None,
    powers: tuple[int, int] = (0, 0),
) -> Value:
    """``a * b * 2^power`` in the format ``result``; see :class:`FloatMultiplier`."""
    cut = Pipeline(m, STAGES, pipeline).cut
    left, right = unpack(m, a, format, "a"), unpack(m, b, format, "b")
    invalid = (left.special & ~right.significand.any()) | (right.special & ~left.significand.any())
    offset = result.bias + 1 - 2 * format.bias
    exponent = left.exponent + right.exponent + offset
    number = Number(
        sign=left.sign ^ right.sign,
        exponent=keep(m, exponent if power is None else exponent + power, "exponent"),
        significand=keep(m, left.significand * right.significand, "product"),
        special=left.special | right.special,
        nan=left.nan | right.nan | invalid,
    )
    number = cut("product", number)
    number = cut("fitted", fit(m, number, result, lowest=2 + offset + powers[0]))
    return pack(m, number, result, highest=2 * format.max_exponent + offset + powers[1])


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
    powers : (int, int) or None
        Least and greatest ``power``, of which one is not positive and one not negative.

    Members
    -------
    a, b : In, bit patterns of ``format``
        A factor.
    power : In, signed, only where there are ``powers``
        The result is ``a * b * 2^power``, rounded once.
    result : Out, bit pattern of the result format
        The product.

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``pipeline`` is out of range.
    """

    def __init__(
        self,
        format: FloatFormat,
        result: FloatFormat | None = None,
        pipeline: int = 0,
        powers: tuple[int, int] | None = None,
    ):
        self._format = format
        self._result_format = result or format
        self._pipeline = check_pipeline(STAGES, pipeline)
        bits = format.bits
        self._powers = powers
        members = {"a": In(bits), "b": In(bits), "result": Out(self._result_format.bits)}
        if powers:
            members["power"] = In(range(powers[0], powers[1] + 1))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        """Multiply the significands, normalise the product, round."""
        m = Module()
        formats = self._format, self._result_format
        power, powers = getattr(self, "power", None), self._powers or (0, 0)
        product = multiply(m, self.a, self.b, *formats, self._pipeline, power, powers)
        m.d.comb += self.result.eq(product)
        return m
