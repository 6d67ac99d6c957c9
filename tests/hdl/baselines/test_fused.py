# amaranth: UnusedElaboratable=no
"""Products and an addend in one window, rounded once, against fractions."""

import math
from fractions import Fraction

import pytest
from plain_floats import INF, add, decode, encode, multiply
from plain_products import cases

from lutcore.errors import InputError
from lutcore.hdl.baselines.fused import FusedDotProduct
from lutcore.hdl.config.formats import FP16, FP32
from lutcore.verif.bench.contexts import evaluate


def exponent(pattern, f):
    return max(1, pattern >> f.fraction_bits & (1 << f.exponent_bits) - 1) - f.bias


def reference(a, b, c, guard):
    """Magnitudes cut below 2^(E - 23 - guard), E the largest exponent of what is not zero."""
    pairs = list(zip(a, b, strict=True))
    terms = [multiply(decode(x, FP16), decode(y, FP16)) for x, y in pairs]
    exponents = [exponent(x, FP16) + exponent(y, FP16) + 1 for x, y in pairs]
    terms, exponents = [*terms, decode(c, FP32)], [*exponents, exponent(c, FP32)]
    if not all(magnitude < INF for _, magnitude in terms):
        total = (0, 0)
        for term in terms:
            total = add(total, term)
        return encode(total, FP32)
    present = [e for e, (_, magnitude) in zip(exponents[:-1], terms, strict=False) if magnitude]
    unit = Fraction(2) ** (max([*present, exponents[-1]]) - 23 - guard)
    cut = [(-1 if sign else 1) * math.floor(magnitude / unit) for sign, magnitude in terms]
    minus = sum(cut) < 0 or (not sum(cut) and all(sign for sign, _ in terms))
    return encode((int(minus), abs(sum(cut)) * unit), FP32)


@pytest.mark.parametrize(
    ("guard", "pipeline", "terms", "booth"),
    [(3, 5, 4, False), (0, 2, 4, True), (8, 3, 2, False), (3, 6, 16, True), (5, 1, 7, False)],
)
def test_results(guard, pipeline, terms, booth):
    dut = FusedDotProduct(guard, pipeline, terms, booth)
    given = cases(terms=terms)
    found = evaluate(dut, [dut.a, dut.b, dut.c], [dut.result], given, pipeline)
    assert [result for (result,) in found] == [reference(*case, guard) for case in given]


@pytest.mark.parametrize("terms", [0, 65, True, 2.0])
def test_number_of_products(terms):
    with pytest.raises(InputError, match=r"terms must be an integer in 1\.\.64"):
        FusedDotProduct(terms=terms)
