"""Floats in Python's fractions: bit patterns to numbers and back, and the sums of numbers.

A number is a sign and a magnitude: a fraction, or infinity or NaN.
"""

import math
import random
from fractions import Fraction

INF, NAN = math.inf, math.nan


def decode(pattern, f):
    """Number of a bit pattern of the format ``f``."""
    sign = pattern >> f.exponent_bits + f.fraction_bits
    field = pattern >> f.fraction_bits & (1 << f.exponent_bits) - 1
    fraction = pattern & (1 << f.fraction_bits) - 1
    ones = field == (1 << f.exponent_bits) - 1
    if ones and f.infinity:
        return sign, NAN if fraction else INF
    if ones and fraction == (1 << f.fraction_bits) - 1:
        return sign, NAN
    significand = fraction + (bool(field) << f.fraction_bits)
    bias = (1 << f.exponent_bits - 1) - 1
    return sign, significand * Fraction(2) ** (max(field, 1) - bias - f.fraction_bits)


def encode(number, f):
    """Bit pattern of a number, rounded to nearest even; the one NaN that units give."""
    sign, magnitude = number
    ones = ((1 << f.exponent_bits) - 1) << f.fraction_bits
    top, least = sign << f.exponent_bits + f.fraction_bits, 2 - (1 << f.exponent_bits - 1)
    nan = ones | 1 << f.fraction_bits - 1 if f.infinity else ones | (1 << f.fraction_bits) - 1
    if magnitude != magnitude:
        return nan
    if magnitude == INF:
        return top | ones if f.infinity else nan
    exponent = least
    while magnitude >= Fraction(2) ** (exponent + 1):
        exponent += 1
    digits = round(magnitude / Fraction(2) ** (exponent - f.fraction_bits))
    pattern = (exponent - least << f.fraction_bits) + digits
    largest = ones - 1 if f.infinity else nan - 1
    return top | pattern if pattern <= largest else encode((sign, INF), f)


def add(a, b):
    """Sum of two numbers; ``x - x`` is +0."""
    (a_sign, x), (b_sign, y) = a, b
    if x != x or y != y or (x == y == INF and a_sign != b_sign):
        return 0, NAN
    if INF in (x, y):
        return (a_sign if x == INF else b_sign), INF
    total = (-x if a_sign else x) + (-y if b_sign else y)
    return (int(total < 0) if total else a_sign & b_sign), abs(total)


def multiply(a, b):
    """Product of two numbers."""
    (a_sign, x), (b_sign, y) = a, b
    if x != x or y != y or {x, y} == {0, INF}:
        return 0, NAN
    return a_sign ^ b_sign, INF if INF in (x, y) else x * y


def negate(a):
    """``-a``."""
    return a[0] ^ 1, a[1]


def integer(value):
    """The number of an integer."""
    return int(value < 0), Fraction(abs(value))


def patterns(f, count, seed=0):
    """Zeros, subnormals, the least and greatest of each kind, infinity, NaN; random ones."""
    chance, bits = random.Random(seed), 1 + f.exponent_bits + f.fraction_bits
    ones = ((1 << f.exponent_bits) - 1) << f.fraction_bits
    corners = [0, 1, (1 << f.fraction_bits) - 1, 1 << f.fraction_bits, ones - 1, ones]
    corners += [ones + 1, (1 << bits - 1) - 1, (1 << bits - 2) - (1 << f.fraction_bits)]
    corners += [corner | 1 << bits - 1 for corner in corners]
    return corners + [chance.getrandbits(bits) for _ in range(count)]


def pairs(f, count=30):
    """Corners with all corners; other patterns with their neighbours, and with near opposites."""
    values, chance = patterns(f, count), random.Random(1)
    sign = 1 << f.exponent_bits + f.fraction_bits
    corners = [(a, b) for a in values[:18] for b in values[:18]]
    opposites = [(a, a ^ sign ^ chance.getrandbits(2)) for a in values]
    neighbours = zip(values, values[9:] + values[:9], strict=True)
    return [*chance.sample(corners, 120), *opposites, *neighbours]
