"""The float reference, against facts that it does not compute with."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lutcore.hdl.config.formats import BF16, FORMATS, FP8_E4M3, FP8_E5M2, FP16, FP32
from lutcore.verif.golden import formats as reference

each_format = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def patterns(format, count, seed):
    """Random bit patterns, a quarter of them subnormal or barely normal."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 1 << format.bits, count)
    tiny = drawn & (format.sign_mask | (2 * format.min_normal - 1))
    return np.where(rng.random(count) < 0.25, tiny, drawn).astype(reference.bits_type(format))


def exact(pattern, format):
    """Value of a finite bit pattern, from the definition of the format."""
    field = pattern >> format.fraction_bits & (1 << format.exponent_bits) - 1
    fraction = pattern & (1 << format.fraction_bits) - 1
    significand = fraction + (1 << format.fraction_bits if field else 0)
    value = Fraction(significand) * Fraction(2) ** (
        max(field, 1) - format.bias - format.fraction_bits
    )
    return -value if pattern & format.sign_mask else value


def nearest(value, format):
    """Bit pattern of the number nearest to a rational, ties to even, by search."""
    low, high = 0, format.overflow
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact(middle, format) <= abs(value) else (low, middle)
    tie = (exact(low, format) + exact(high, format)) / 2  # as if the range had no end
    up = abs(value) > tie or (abs(value) == tie and low & 1)
    magnitude = high if up else low
    if magnitude == format.quiet_nan:
        return magnitude
    return magnitude | (format.sign_mask if value < 0 else 0)


@each_format
def test_decode_follows_the_definition(format):
    some = np.unique(patterns(format, 3000, 1))
    some = some[(some & format.magnitude_mask) <= format.max_finite]
    values = reference.decode(some, format)
    assert [Fraction(v) for v in values] == [exact(int(p), format) for p in some]


@pytest.mark.parametrize(("format", "code"), [(FP16, "e"), (FP32, "f")])
def test_decode_agrees_with_struct(format, code):
    some = patterns(format, 3000, 2)
    expected = np.array(struct.unpack(f"<{len(some)}{code}", some.astype(some.dtype).tobytes()))
    np.testing.assert_array_equal(reference.decode(some, format), expected)


@pytest.mark.parametrize(
    ("format", "a", "b", "total", "product"),
    [
        (FP16, 0x3C00, 0x3C00, 0x4000, 0x3C00),  # 1, 1
        (FP16, 0x3C00, 0x1000, 0x3C00, 0x1000),  # 1 + 2^-11: a tie, to even
        (FP16, 0x3C01, 0x1000, 0x3C02, 0x1001),  # 1 + 2^-10 + 2^-11: a tie, to even
        (FP16, 0x7BFF, 0x4C00, 0x7C00, 0x7C00),  # 65504 + 16: a tie, to infinity
        (FP16, 0x7BFF, 0x4BFF, 0x7BFF, 0x7C00),  # 65504 + 15.99
        (FP16, 0x0001, 0x8001, 0x0000, 0x8000),  # least subnormals
        (FP16, 0x7C00, 0xFC00, 0x7E00, 0xFC00),  # infinities
        (FP16, 0x7C00, 0x0000, 0x7C00, 0x7E00),  # infinity, zero
        (FP16, 0xFD00, 0x3C00, 0x7E00, 0x7E00),  # negative signalling NaN
        (BF16, 0x3F80, 0x3B80, 0x3F80, 0x3B80),  # 1 + 2^-8: a tie, to even
        (BF16, 0x3F80, 0x3B81, 0x3F81, 0x3B81),  # just above it
        (BF16, 0x3F80, 0x0001, 0x3F80, 0x0001),  # exponents 133 apart
        (BF16, 0x7F7F, 0x7F7F, 0x7F80, 0x7F80),
        (FP32, 0x3F800000, 0x33800000, 0x3F800000, 0x33800000),  # 1 + 2^-24: a tie
        (FP32, 0x3F800000, 0x33800001, 0x3F800001, 0x33800001),
        (FP8_E5M2, 0x7B, 0x6C, 0x7C, 0x7C),  # 57344 + 4096: a tie, to infinity
        (FP8_E4M3, 0x7E, 0x58, 0x7E, 0x7F),  # 448 + 16: a tie, to even, which is 448
        (FP8_E4M3, 0x7E, 0x60, 0x7F, 0x7F),  # 448 + 32: too large, NaN
        (FP8_E4M3, 0xFE, 0xE0, 0x7F, 0x7F),  # the one NaN has no sign
        (FP8_E4M3, 0x01, 0x30, 0x30, 0x00),  # 2^-9, 1/2: both ties
    ],
)
def test_known_cases(format, a, b, total, product):
    kind = reference.bits_type(format)
    for x, y in ((a, b), (b, a)):
        x, y = np.array([x], kind), np.array([y], kind)
        assert reference.add(x, y, format).tolist() == [total]
        assert reference.multiply(x, y, format).tolist() == [product]


@each_format
def test_encoding_rounds_once(format):
    """Around each midpoint of neighbours; a cast by way of float32 would make ties of near ties."""
    low = patterns(format, 2000, 3) & format.magnitude_mask
    low = np.append(low[low < format.max_finite], [0, format.min_normal - 1])
    low = low.astype(reference.bits_type(format))
    high = low + low.dtype.type(1)
    middle = (reference.decode(low, format) + reference.decode(high, format)) / 2
    even = np.where(low & 1, high, low)
    np.testing.assert_array_equal(reference.encode(middle, format), even)
    np.testing.assert_array_equal(reference.encode(np.nextafter(middle, 0), format), low)
    np.testing.assert_array_equal(reference.encode(np.nextafter(middle, np.inf), format), high)
    minus = low.dtype.type(format.sign_mask)
    np.testing.assert_array_equal(reference.encode(-middle, format), even | minus)


@each_format
@given(data=st.data())
def test_sums_and_products_are_nearest(format, data):
    """Against exact rational arithmetic."""
    finite = st.integers(0, format.max_finite)
    signs = st.sampled_from([0, format.sign_mask])
    a, b = (data.draw(finite) | data.draw(signs) for _ in range(2))
    x, y = (np.array([v], reference.bits_type(format)) for v in (a, b))
    total = exact(a, format) + exact(b, format)
    if total:
        assert reference.add(x, y, format).tolist() == [nearest(total, format)]
    product = exact(a, format) * exact(b, format)
    if product:
        assert reference.multiply(x, y, format).tolist() == [nearest(product, format)]
        wide = reference.multiply(x, y, format, FP32)
        assert wide.tolist() == [nearest(product, FP32)]


@pytest.mark.parametrize(("format", "kind"), [(FP16, np.float16), (FP32, np.float32)])
def test_native_arithmetic_agrees(format, kind):
    """NumPy computes FP32 in hardware and FP16 by way of FP32, which is innocuous too."""
    a, b = patterns(format, 1 << 18, 4), patterns(format, 1 << 18, 5)
    nan = reference.bits_type(format).type(format.quiet_nan)
    with np.errstate(all="ignore"):
        for native, got in (
            (a.view(kind) + b.view(kind), reference.add(a, b, format)),
            (a.view(kind) * b.view(kind), reference.multiply(a, b, format)),
        ):
            expected = np.where(np.isnan(native), nan, native.view(a.dtype))
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("target", FORMATS.values(), ids=FORMATS)
@given(value=st.integers(-(1 << 63), (1 << 63) - 1), shift=st.integers(0, 62))
def test_integers_are_nearest(target, value, shift):
    for integer in {value, value >> shift, (value >> shift) << shift, ((value >> shift) | 1) << 9}:
        integer = max(-(1 << 63), min(integer, (1 << 63) - 1))
        got = reference.from_integer(np.array([integer]), target)
        assert got.tolist() == [nearest(Fraction(integer), target)]


def test_integers_that_float64_would_round_to_a_tie():
    tie = (1 << 62) + (1 << 38)  # halfway between FP32 numbers; its neighbours are not
    got = reference.from_integer(np.array([tie - 1, tie, tie + 1, -tie - 1]), FP32)
    assert got.tolist() == [0x5E800000, 0x5E800000, 0x5E800001, 0xDE800001]
    # The first of them, where float64 begins to lose the last bit.
    first = (1 << 53) + (1 << 29)
    got = reference.from_integer(np.array([first, first + 1, -first, -first - 1]), FP32)
    assert got.tolist() == [0x5A000000, 0x5A000001, 0xDA000000, 0xDA000001]


@pytest.mark.parametrize("source", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("target", FORMATS.values(), ids=FORMATS)
def test_conversion_is_exact_where_it_can_be(source, target):
    every = patterns(source, 4000, 6)
    converted = reference.convert(every, source, target)
    assert converted.dtype == reference.bits_type(target)
    values, results = reference.decode(every, source), reference.decode(converted, target)
    if target.fraction_bits >= source.fraction_bits and target.bits > 16:
        np.testing.assert_array_equal(results, values)
    assert not (np.isnan(values) & ~np.isnan(results)).any()
    assert (converted[np.isnan(values)] == target.quiet_nan).all()


@each_format
def test_doubling(format):
    some = patterns(format, 4000, 7)
    nan = np.isnan(reference.decode(some, format))
    doubled = reference.double(some, format)
    np.testing.assert_array_equal(doubled[~nan], reference.add(some, some, format)[~nan])
    expected = some[nan] if format.infinity else np.full(nan.sum(), format.quiet_nan)
    np.testing.assert_array_equal(doubled[nan], expected)
