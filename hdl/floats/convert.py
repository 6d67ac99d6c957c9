"""Conversion between floating-point formats, and from integers."""

from amaranth.hdl import Const, Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.errors import InputError
from lutcore.hdl.config.formats import FloatFormat
from lutcore.hdl.floats.numbers import Number, Pipeline, check_pipeline, fit, keep, pack, unpack

#: Places of the registers, for each pipeline depth.
STAGES = ((), ("fitted",))
INTEGER_STAGES = ((), ("fitted",), ("magnitude", "fitted"))


def convert(
    m: Module, a: Value, source: FloatFormat, target: FloatFormat, pipeline: int = 0
) -> Value:
    """``a`` in the format ``target``; see :class:`FloatConverter`."""
    cut = Pipeline(m, STAGES, pipeline).cut
    fields = unpack(m, a, source, "a")
    offset = target.bias - source.bias
    number = Number(*fields)._replace(exponent=fields.exponent + offset)
    number = fit(m, number, target, lowest=1 + offset, normalised=True)
    return pack(m, cut("fitted", number), target, highest=source.max_exponent + offset)


def from_integer(m: Module, a: Value, target: FloatFormat, pipeline: int = 0) -> Value:
    """The signed integer ``a`` in the format ``target``; see :class:`IntegerToFloat`."""
    cut = Pipeline(m, INTEGER_STAGES, pipeline).cut
    bits = len(a)
    magnitude = keep(m, Mux(a[-1], -a, a).as_unsigned()[:bits], "magnitude")
    exponent = target.bias + bits - 1
    never = Const(0, 1)
    number = Number(a[-1], Const(exponent), magnitude, special=never, nan=never)
    number = fit(m, cut("magnitude", number), target, lowest=exponent)
    return pack(m, cut("fitted", number), target, highest=exponent)


class FloatConverter(wiring.Component):
    """Converts a number to another format.

    Exact where the target holds the number; else rounded once, to nearest, ties to even. What is
    too large becomes infinite, or NaN in a format without infinities, as do infinities there. Every
    NaN becomes the target's ``quiet_nan``.

    Parameters
    ----------
    source, target : FloatFormat
        Formats of operand and result.
    pipeline : int
        Register stages, 0..1: cycles from operand to result.

    Members
    -------
    a : In, bit pattern of ``source``
        The number to be converted.
    result : Out, bit pattern of ``target``
        The number in the target's format.

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``pipeline`` is out of range.
    """

    def __init__(self, source: FloatFormat, target: FloatFormat, pipeline: int = 0):
        self.source = source
        self.target = target
        self._pipeline = check_pipeline(STAGES, pipeline)
        super().__init__({"a": In(source.bits), "result": Out(target.bits)})

    def elaborate(self, platform: object) -> Module:
        """Move the significand, round."""
        m = Module()
        converted = convert(m, self.a, self.source, self.target, self._pipeline)
        m.d.comb += self.result.eq(converted)
        return m


class IntegerToFloat(wiring.Component):
    """Converts a signed integer to a float, rounded to nearest, ties to even.

    Zero becomes +0. What is too large becomes infinite, or NaN in a format without infinities.

    Parameters
    ----------
    bits : int
        Width of the integer, 2..64, two's complement.
    target : FloatFormat
        Format of the result.
    pipeline : int
        Register stages, 0..2: cycles from operand to result.

    Members
    -------
    a : In, signed of ``bits``
        The integer to be converted.
    result : Out, bit pattern of ``target``
        The integer as a float.

    Raises
    ------
    InputError
        (a :class:`ValueError`) if ``bits`` or ``pipeline`` is out of range.
    """

    def __init__(self, bits: int, target: FloatFormat, pipeline: int = 0):
        if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 64:
            raise InputError(f"bits must be an integer in 2..64, not {bits!r}")
        self._target = target
        self._pipeline = check_pipeline(INTEGER_STAGES, pipeline)
        super().__init__(
            {
                "a": In(signed(bits)),  # the integer to be converted
                "result": Out(target.bits),  # the integer as a float
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Take the magnitude, normalise, round."""
        m = Module()
        m.d.comb += self.result.eq(from_integer(m, self.a, self._target, self._pipeline))
        return m
