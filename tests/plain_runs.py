"""One run of a row and a column in whole numbers and fractions, from the numeric contract."""

import math
from fractions import Fraction

#: Float format -> exponent bias.
BIAS = {"fp16": 15, "bf16": 127, "fp8-e4m3": 7, "fp8-e5m2": 15}


def aligned(row, bias, align_bits):
    """Integers, biased exponent, and offset of a row of finite numbers."""
    exact = [Fraction(float(x)) for x in row]
    most = max(map(abs, exact))
    power = math.frexp(most)[1] - 1 if most else -bias
    exponent, offset = max(power + bias, 1), bias + align_bits - 2
    return [round(x / Fraction(2) ** (exponent - offset)) for x in exact], exponent, offset


def run_of(config, values, codes, zero, bits):
    """``P`` of one run of a row and a column, and the shift that it counts, by the definition."""
    if config.table != "int8":
        return 2 * sum(a * (int(q) - int(zero)) for a, q in zip(values, codes, strict=True)), 0
    values = [*values, *[0] * (-len(values) % config.k)]
    codes = [*map(int, codes), *[0] * (len(values) - len(codes))]
    tables = [range(t, t + config.k) for t in range(0, len(values), config.k)]
    shift = 0
    while max(sum(abs(values[t]) for t in table) for table in tables) > 127 << shift:
        shift += 1

    def entry(table, plane):
        signs = [1 if plane is None or codes[t] >> plane & 1 else -1 for t in table]
        total = sum(sign * values[t] for sign, t in zip(signs, table, strict=True))
        return max(-127, min(127, round(Fraction(total, 1 << shift))))

    dots = sum(entry(table, plane) << plane for plane in range(bits) for table in tables)
    rest = (2 * int(zero) + 1 - (1 << bits)) * sum(entry(table, None) for table in tables)
    return dots - rest, shift
