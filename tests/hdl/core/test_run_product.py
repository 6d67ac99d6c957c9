"""P of a run's results, against integers and fractions rounded by hand."""

import random

import plain_floats as plain
import pytest

from lutcore.hdl.config.formats import FP32
from lutcore.hdl.core.run_product import FloatProduct, IntegerProduct, product_kind
from lutcore.verif.bench.contexts import evaluate
from lutcore.verif.samples.cores import SMALL_CORES


def reference(scale, dot, row_sum, zero):
    return scale * dot - zero * row_sum


@pytest.mark.parametrize("name", ["w4a8", "w2a16", "ternary"])
def test_integers(name):
    config, chance = SMALL_CORES[name], random.Random(name)
    scale = 1 if name == "w4a8" else 2  # of the symmetric form; subset and ternary count twice
    cases = []
    for _ in range(80):
        ranges = []
        for bits in (config.accumulator_bits, config.row_sum_bits, config.zero_point_bits):
            low, high = -(1 << bits - 1), (1 << bits - 1) - 1
            ranges.append(chance.choice([low, high, 0, chance.randint(low, high)]))
        cases.append(ranges)
    dut = product_kind(config)(config)
    assert isinstance(dut, IntegerProduct)
    found = evaluate(dut, [dut.dot, dut.row_sum, dut.zero], [dut.product, dut.low], cases, cycles=2)
    for (product, low), case in zip(found, cases, strict=True):
        exact = reference(scale, *case)
        assert product == plain.encode(plain.integer(exact), FP32)
        assert low == exact % (1 << 32)


def test_floats():
    """z'' R is rounded, then its difference from D; nothing is subtracted where z'' is 0."""
    config, chance = SMALL_CORES["fp16-exact"], random.Random(0)
    dut = product_kind(config)(config)
    assert isinstance(dut, FloatProduct)
    values, (low, high) = plain.patterns(FP32, 40), config.zero_point_range
    cases = [(chance.choice(values), chance.choice(values), z) for z in range(low, high + 1)] * 3
    cases += [(d, d, z) for d in values for z in (0, 1)]
    found = evaluate(dut, [dut.dot, dut.row_sum, dut.zero], [dut.product], cases, cycles=6)
    for (product,), (dot, row_sum, zero) in zip(found, cases, strict=True):
        times = plain.multiply(plain.integer(zero), plain.decode(row_sum, FP32))
        rounded = plain.decode(plain.encode(times, FP32), FP32)
        number = plain.add(plain.decode(dot, FP32), plain.negate(rounded))
        wanted = plain.decode(dot, FP32) if zero == 0 else number
        assert product == plain.encode(wanted, FP32)
