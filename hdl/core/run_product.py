"""From the results of a run to P as an FP32 number: ``P = scale * D - z'' R``."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FP32
from lutcore.hdl.floats.add import FloatAdder
from lutcore.hdl.floats.convert import IntegerToFloat
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.hdl.floats.numbers import negate
from lutcore.hdl.isa.pace import FLOAT_PRODUCT, INTEGER_PRODUCT
from lutcore.hdl.parts.pieces import delayed


def product_members(config: CoreConfig) -> dict[str, wiring.Member]:
    """Ports of :class:`IntegerProduct` and :class:`FloatProduct`."""
    return {
        "dot": In(config.accumulator_bits),
        "row_sum": In(config.row_sum_bits),
        "zero": In(config.zero_point_bits),
        "product": Out(32),
    }


class IntegerProduct(wiring.Component):
    """P of integers: exact, then rounded to FP32.

    Members
    -------
    dot : In
        D, the sum of a run, signed.
    row_sum : In
        R, the sum of the run's activations, signed.
    zero : In
        Zero point z'', signed.
    product : Out, :data:`~lutcore.hdl.isa.pace.INTEGER_PRODUCT` cycles later
        P, rounded to FP32.
    low : Out, a cycle later
        The low 32 bits of P.
    """

    def __init__(self, config: CoreConfig):
        self._scale = config.form.scale
        super().__init__(product_members(config) | {"low": Out(32)})

    def elaborate(self, platform: object) -> Module:
        """Multiply and subtract, then convert."""
        m = Module()
        correction = self.zero.as_signed() * self.row_sum.as_signed()
        value = self._scale * self.dot.as_signed() - correction
        exact = Signal(value.shape(), reset_less=True)  # P, not rounded
        m.d.sync += exact.eq(value)
        m.submodules.to_float = to_float = IntegerToFloat(
            len(exact), FP32, pipeline=INTEGER_PRODUCT - 1
        )
        m.d.comb += [
            to_float.a.eq(exact),
            self.product.eq(to_float.result),
            self.low.eq(exact),
        ]
        return m


class FloatProduct(wiring.Component):
    """P of FP32 results: ``z'' R`` is rounded, and so is its difference from D.

    Where z'' is 0 nothing is subtracted, so that P is D even if R is infinite.

    Members
    -------
    dot : In
        D, the sum of a run, FP32.
    row_sum : In
        R, the sum of the run's activations, FP32.
    zero : In
        Zero point z'', signed.
    product : Out, :data:`~lutcore.hdl.isa.pace.FLOAT_PRODUCT` cycles later
        P, FP32.
    """

    def __init__(self, config: CoreConfig):
        assert config.form.scale == 1
        super().__init__(product_members(config))

    def elaborate(self, platform: object) -> Module:
        """Convert z'' in one cycle, multiply in two, add in three."""
        m = Module()
        before = FLOAT_PRODUCT - 3
        m.submodules.to_float = to_float = IntegerToFloat(len(self.zero), FP32)
        m.submodules.multiplier = multiplier = FloatMultiplier(FP32, pipeline=before - 1)
        m.submodules.adder = adder = FloatAdder(FP32, pipeline=3)
        none = delayed(m, self.zero == 0, before, "none")
        m.d.comb += [
            to_float.a.eq(self.zero),
            multiplier.a.eq(delayed(m, to_float.result, 1, "factor")),
            multiplier.b.eq(delayed(m, self.row_sum, 1, "row_sum")),
            adder.a.eq(delayed(m, self.dot, before, "dot")),
            # Adding -0 changes nothing.
            adder.b.eq(Mux(none, FP32.sign_mask, negate(multiplier.result))),
            self.product.eq(adder.result),
        ]
        return m


def product_kind(config: CoreConfig) -> type[IntegerProduct] | type[FloatProduct]:
    """The one that a configuration's results need."""
    return FloatProduct if config.exact_floats else IntegerProduct
