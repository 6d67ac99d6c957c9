"""The multiplier of floats against fractions, with and without a power of two."""

import plain_floats as plain
import pytest

from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.verif.bench.contexts import evaluate


def reference(a, b, f, target, power=0):
    product = plain.multiply(plain.decode(a, f), plain.decode(b, f))
    return plain.encode(plain.multiply(product, (0, plain.Fraction(2) ** power)), target)


@pytest.mark.parametrize("pipeline", [0, 2])
@pytest.mark.parametrize(
    "formats", [*((n, n) for n in FORMATS), ("fp16", "fp32"), ("fp8-e5m2", "bf16")]
)
def test_products(formats, pipeline):
    f, target = (FORMATS[name] for name in formats)
    unit = FloatMultiplier(f, target, pipeline)
    found = evaluate(unit, [unit.a, unit.b], [unit.result], plain.pairs(f), cycles=pipeline)
    assert found == [(reference(a, b, f, target),) for a, b in plain.pairs(f)]


@pytest.mark.parametrize("power", [-40, 30])
def test_products_times_a_power_of_two(power):
    f = FORMATS["fp32"]
    unit = FloatMultiplier(f, powers=(-40, 30))
    cases = [(a, b, power) for a, b in plain.pairs(f)]
    found = evaluate(unit, [unit.a, unit.b, unit.power], [unit.result], cases)
    assert found == [(reference(a, b, f, f, power),) for a, b, power in cases]
