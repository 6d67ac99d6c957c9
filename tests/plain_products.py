"""Operands for units of some products and an addend: corners, cancelling sums, near exponents."""

import random

import plain_floats as plain

from lutcore.hdl.config.formats import FP16, FP32


def cases(count=16, terms=4):
    """Values of ``a[terms]``, ``b[terms]`` (FP16) and ``c`` (FP32); few: these units are slow."""
    one, minus = 0x3C00, 0x8000
    # x - x is +0 whatever comes first, and only a sum of -0 alone is -0.
    ones, rest = [one] * terms, [minus] * (terms - 2)
    found = [([a, one, *rest], ones, 1 << 31) for a in (minus | one, minus)]
    found.append(([minus] * terms, ones, 1 << 31))
    # What is left of 1 - 1 stands at the lowest place that a window can have.
    found.append(([one, 0x0200, *rest], [one, 0x0200, *rest], 0xBF800000))
    chance = random.Random(0)
    halves, singles = plain.patterns(FP16, 60), plain.patterns(FP32, 60)
    near = [s << 15 | e << 10 | f for s in (0, 1) for e in (14, 15, 16) for f in (0, 1, 0x3FF)]
    for number in range(count):
        pool = near if number % 3 else halves
        a, b = ([chance.choice(pool) for _ in range(terms)] for _ in range(2))
        if number % 4 == 1:
            a[1], b[1] = a[0], b[0] ^ 0x8000
        c = chance.choice(singles)
        if number % 3 and number % 2:
            c = chance.getrandbits(1) << 31 | chance.randrange(118, 132) << 23 | c & 0x7FFFFF
        found.append((a, b, c))
    return found
