# amaranth: UnusedElaboratable=no
"""Floating-point units: named cases in Amaranth's simulator, a slice of the compiled campaign."""

import itertools

import ml_dtypes
import numpy as np
import pytest
from amaranth.hdl import Cat, Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from sweeps import swept

import lutcore.hdl.floats.add
import lutcore.hdl.floats.numbers
from lutcore.errors import InputError
from lutcore.gen.campaigns import floats as float_campaign
from lutcore.hdl.config.formats import BF16, FORMATS, FP8_E4M3, FP8_E5M2, FP16, FP32, FloatFormat
from lutcore.hdl.floats.add import FloatAdder
from lutcore.hdl.floats.convert import FloatConverter, IntegerToFloat
from lutcore.hdl.floats.multiply import FloatMultiplier
from lutcore.verif.bench import contexts
from lutcore.verif.bench.contexts import evaluate
from lutcore.verif.golden import formats as float_reference

slow = pytest.mark.slow  # the campaign is compiled

SLICE = [
    "add fp8-e4m3",
    "add fp8-e5m2",
    "add fp16",
    "add bf16",
    "add fp32",
    "add fp32, 4 stages",
    "multiply fp8-e4m3",
    "multiply fp8-e5m2",
    "multiply fp16",
    "multiply bf16",
    "multiply fp16 to fp32",
    "multiply fp8-e4m3 to fp16",
    "convert fp16 to fp32",
    "convert fp32 to fp16",
    "convert fp32 to fp8-e4m3",
    "convert int32 to fp32",
    "double fp32",
]
UNITS = {unit.name: unit for unit in float_campaign.UNITS}

each_format = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def simulate(component, *cases):
    """Results of a combinational unit for tuples of operands."""
    ports = [getattr(component, port) for port in "ab"[: len(cases[0])]]
    return [result for (result,) in evaluate(component, ports, [component.result], cases)]


def special_values(format):
    """Magnitudes: zero, least and largest subnormal, least normal, one, largest finite."""
    one = format.bias << format.fraction_bits
    return [0, 1, format.min_normal - 1, format.min_normal, one, format.max_finite]


# Formats ------------------------------------------------------------------------------------------


def test_patterns_of_the_formats():
    assert (FP16.quiet_nan, FP16.max_finite, FP16.overflow) == (0x7E00, 0x7BFF, 0x7C00)
    assert (BF16.quiet_nan, BF16.max_finite, BF16.overflow) == (0x7FC0, 0x7F7F, 0x7F80)
    assert (FP32.quiet_nan, FP32.max_finite) == (0x7FC00000, 0x7F7FFFFF)
    assert (FP8_E5M2.quiet_nan, FP8_E5M2.max_finite, FP8_E5M2.overflow) == (0x7E, 0x7B, 0x7C)
    assert (FP8_E4M3.quiet_nan, FP8_E4M3.max_finite, FP8_E4M3.overflow) == (0x7F, 0x7E, 0x7F)


@pytest.mark.parametrize("field", ["exponent_bits", "fraction_bits"])
@pytest.mark.parametrize("value", [0, 99, 4.0, True])
def test_impossible_format(field, value):
    bits = {"exponent_bits": 5, "fraction_bits": 10} | {field: value}
    with pytest.raises(InputError, match=rf"{field} must be an integer in \d+\.\.\d+, not {value}"):
        FloatFormat("odd", bits["exponent_bits"], bits["fraction_bits"])


# Named cases --------------------------------------------------------------------------------------


@each_format
def test_zero_times_anything(format):
    cases, expected = [], []
    for magnitude, a_sign, b_sign in itertools.product(special_values(format), (0, 1), (0, 1)):
        cases.append((a_sign * format.sign_mask, magnitude | b_sign * format.sign_mask))
        expected.append((a_sign ^ b_sign) * format.sign_mask)
    cases.append((0, format.overflow))  # infinity, or the only NaN
    expected.append(format.quiet_nan)
    assert simulate(FloatMultiplier(format), *cases) == expected
    swapped = [(b, a) for a, b in cases]
    assert simulate(FloatMultiplier(format), *swapped) == expected


@each_format
def test_one_times_anything_is_itself(format):
    one = format.bias << format.fraction_bits
    values = special_values(format) + [v | format.sign_mask for v in special_values(format)]
    assert simulate(FloatMultiplier(format), *[(one, v) for v in values]) == values


@each_format
def test_largest_finite_and_overflow(format):
    largest = format.max_finite
    ulp = (format.max_exponent - format.fraction_bits) << format.fraction_bits
    half, quarter = ulp - format.min_normal, ulp - 2 * format.min_normal
    # The tie goes to the even neighbour: infinity, where the last bit of the largest number is 1.
    tie = format.overflow if largest & 1 else largest
    cases = [(largest, 0), (largest, quarter), (largest, half), (largest, ulp), (largest, largest)]
    expected = [largest, largest, tie, format.overflow, format.overflow]
    assert simulate(FloatAdder(format), *cases) == expected
    negative = [(a | format.sign_mask, b | format.sign_mask) for a, b in cases]
    sign = format.sign_mask if format.infinity else 0
    assert simulate(FloatAdder(format), *negative) == [
        pattern | (format.sign_mask if pattern == largest else sign) for pattern in expected
    ]
    products = [(largest, largest), (largest, largest | format.sign_mask)]
    assert simulate(FloatMultiplier(format), *products) == [format.overflow, format.overflow | sign]


@each_format
def test_nan_propagates_and_is_canonical(format):
    nans = {format.magnitude_mask, format.magnitude_mask | format.sign_mask, format.quiet_nan}
    if format.infinity:
        nans.add(format.overflow + 1)  # signalling
    others = [*special_values(format), format.overflow, format.overflow | format.sign_mask, *nans]
    cases = [*itertools.product(nans, others), *itertools.product(others, nans)]
    expected = [format.quiet_nan] * len(cases)
    assert simulate(FloatAdder(format), *cases) == expected
    assert simulate(FloatMultiplier(format), *cases) == expected
    for target in FORMATS.values():
        results = simulate(FloatConverter(format, target), *[(nan,) for nan in nans])
        assert results == [target.quiet_nan] * len(nans)


@each_format
def test_signed_zeros(format):
    minus = format.sign_mask
    cases = [(0, 0), (0, minus), (minus, 0), (minus, minus)]
    assert simulate(FloatAdder(format), *cases) == [0, 0, 0, minus]
    cancelling = [(v, v | minus) for v in special_values(format)]
    cancelling += [(b, a) for a, b in cancelling]
    assert simulate(FloatAdder(format), *cancelling) == [0] * len(cancelling)
    for target in FORMATS.values():
        converter = FloatConverter(format, target)
        assert simulate(converter, (0,), (minus,)) == [0, target.sign_mask]


@pytest.mark.parametrize("format", [FP8_E5M2, FP16, BF16, FP32], ids=lambda f: f.name)
def test_infinities(format):
    infinity, minus = format.overflow, format.sign_mask
    for finite in special_values(format):
        assert simulate(
            FloatAdder(format), (infinity, finite), (finite, infinity | minus), (infinity, infinity)
        ) == [infinity, infinity | minus, infinity]
    opposite = [(infinity, infinity | minus), (infinity | minus, infinity)]
    assert simulate(FloatAdder(format), *opposite) == [format.quiet_nan] * 2
    one = format.bias << format.fraction_bits
    cases = [(infinity, one), (infinity, one | minus), (1, infinity), (infinity, infinity)]
    assert simulate(FloatMultiplier(format), *cases) == [
        infinity,
        infinity | minus,
        infinity,
        infinity,
    ]
    assert (
        simulate(FloatConverter(format, FP8_E4M3), (infinity,), (infinity | minus,)) == [0x7F] * 2
    )


@each_format
def test_subnormals(format):
    minus, normal = format.sign_mask, format.min_normal
    cases = [(1, 1), (normal - 1, 1), (normal, minus | 1), (normal + 1, minus | normal), (1, 0)]
    assert simulate(FloatAdder(format), *cases) == [2, normal, normal - 1, 1, 1]
    two = (format.bias + 1) << format.fraction_bits
    half = (format.bias - 1) << format.fraction_bits
    # Halves of subnormals: 1/2 and 3/2 of the least are ties, to 0 and to 2.
    cases = [(1, two), (normal - 1, two), (normal, half), (1, half), (3, half), (normal + 1, half)]
    assert simulate(FloatMultiplier(format), *cases) == [
        2,
        2 * (normal - 1),
        normal >> 1,
        0,
        2,
        normal >> 1,
    ]


def test_exact_product_of_subnormals():
    # 2^-24 * 2^-24 = 2^-48: exponent field 127 - 48.
    assert simulate(FloatMultiplier(FP16, FP32), (1, 1)) == [(127 - 48) << 23]


def test_ties_of_integers():
    cases = [(0,), (-1,), (1 << 24,), ((1 << 24) + 1,), ((1 << 24) + 3,), (-(1 << 31),)]
    expected = [0.0, -1.0, 16777216.0, 16777216.0, 16777220.0, -2147483648.0]
    results = simulate(IntegerToFloat(32, FP32), *cases)
    assert np.array(results, np.uint32).view(np.float32).tolist() == expected


class Signed(wiring.Component):
    """Doubling and negation side by side."""

    def __init__(self, format):
        self._format = format
        super().__init__({"a": In(format.bits), "result": Out(2 * format.bits)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.result[: self._format.bits].eq(
                lutcore.hdl.floats.numbers.double(self.a, self._format)
            ),
            self.result[self._format.bits :].eq(lutcore.hdl.floats.numbers.negate(self.a)),
        ]
        return m


@each_format
def test_doubling_and_negation(format):
    minus, normal, largest = format.sign_mask, format.min_normal, format.max_finite
    below = largest - normal  # half the largest
    expected = {
        0: 0,
        minus: minus,
        1: 2,
        normal - 1: 2 * (normal - 1),
        normal | minus: 2 * normal | minus,
        below: largest,
        largest: format.overflow,
        largest | minus: format.overflow | (minus if format.infinity else 0),
        format.overflow: format.overflow,
        format.quiet_nan: format.quiet_nan,
    }
    results = simulate(Signed(format), *[(value,) for value in expected])
    mask = (1 << format.bits) - 1
    assert [result & mask for result in results] == list(expected.values())
    assert [result >> format.bits for result in results] == [value ^ minus for value in expected]


# Pipelines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "depth"),
    [
        *((lambda depth: FloatAdder(FP16, depth), depth) for depth in range(1, 5)),
        *((lambda depth: FloatMultiplier(FP16, FP16, depth), depth) for depth in range(1, 3)),
        (lambda depth: FloatConverter(FP16, FP8_E5M2, depth), 1),
        *((lambda depth: IntegerToFloat(16, FP16, depth), depth) for depth in range(1, 3)),
    ],
)
def test_a_pipeline_delays_the_same_results(make, depth):
    rng = np.random.default_rng(depth)
    component = make(depth)
    ports = [port for port in "ab" if port in component.signature.members]
    cases = rng.integers(0, 1 << 16, (60, len(ports))).tolist()
    expected = simulate(make(0), *cases)
    results = []

    async def bench(ctx):
        for case in [*cases, *[cases[-1]] * depth]:
            for port, operand in zip(ports, case, strict=True):
                ctx.set(getattr(component, port), operand)
            results.append(ctx.get(component.result))
            await ctx.tick()

    contexts.simulate(component, bench)
    assert results[depth:] == expected


@pytest.mark.parametrize("pipeline", [-1, 5, True, "1"])
@pytest.mark.parametrize(
    "make",
    [
        lambda pipeline: FloatAdder(FP16, pipeline),
        lambda pipeline: FloatMultiplier(FP16, pipeline=pipeline),
        lambda pipeline: FloatConverter(FP16, FP32, pipeline),
        lambda pipeline: IntegerToFloat(8, FP32, pipeline),
    ],
)
def test_impossible_pipeline(make, pipeline):
    with pytest.raises(InputError, match=r"pipeline must be an integer in 0\.\.\d, not "):
        make(pipeline)


@pytest.mark.parametrize("bits", [1, 65, 8.0])
def test_impossible_integer(bits):
    with pytest.raises(InputError, match=r"bits must be an integer in 2\.\.64, not "):
        IntegerToFloat(bits, FP32)


# Campaign -----------------------------------------------------------------------------------------


@slow
@pytest.mark.parametrize("name", swept(SLICE, 2))
def test_slice_of_the_campaign(name):
    outcome = float_campaign.check(UNITS[name], float_campaign.SLICE)
    assert outcome.mismatches == 0, outcome.example
    assert outcome.sets >= 1 << 16


@slow
@pytest.mark.parametrize("operation", ["add", "multiply"])
def test_any_split_of_the_bits(operation, monkeypatch):
    e3m4 = FloatFormat("fp8-e3m4", 3, 4)
    types = float_reference._TYPES | {e3m4: np.dtype(ml_dtypes.float8_e3m4)}
    monkeypatch.setattr(float_reference, "_TYPES", types)
    if operation == "add":
        unit = float_campaign.adder(e3m4)
    else:
        unit = float_campaign.multiplier(e3m4, e3m4)
    outcome = float_campaign.check(unit, float_campaign.SLICE)
    assert (outcome.sets, outcome.mismatches) == (1 << 16, 0), outcome.example


FAULTS = {
    "ties up": ("ties_to_even", lambda last, guard, sticky: guard),
    "ties down": ("ties_to_even", lambda last, guard, sticky: guard & sticky),
    "truncation": ("ties_to_even", lambda last, guard, sticky: guard & ~guard),
}


@slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", swept(["add fp8-e4m3", "multiply fp16"], 2))
def test_the_campaign_notices_a_fault(name, fault, monkeypatch):
    monkeypatch.setattr(lutcore.hdl.floats.numbers, *FAULTS[fault])
    outcome = float_campaign.check(UNITS[name], float_campaign.SLICE)
    assert outcome.mismatches > 0
    assert ", not 0x" in outcome.example


@slow
def test_the_campaign_notices_a_lost_sticky_bit(monkeypatch):
    def without_sticky(m, value, amount, sticky, name):
        return Cat(
            Const(0, 1), lutcore.hdl.floats.numbers.shift_right(m, value, amount, sticky, name)[1:]
        )

    monkeypatch.setattr(lutcore.hdl.floats.add, "shift_right", without_sticky)
    assert float_campaign.check(UNITS["add fp16"], float_campaign.SLICE).mismatches > 0


@slow
def test_exit_status(monkeypatch, capsys):
    assert float_campaign.main(["add", "e4m3"]) == 0
    assert "65,536" in capsys.readouterr().out
    monkeypatch.setattr(lutcore.hdl.floats.numbers, *FAULTS["ties up"])
    assert float_campaign.main(["add", "e4m3"]) == 1
    assert "add fp8-e4m3: 0x" in capsys.readouterr().out
    assert float_campaign.main(["divide"]) == 2
    assert capsys.readouterr().err == "no unit has 'divide' in its name\n"
