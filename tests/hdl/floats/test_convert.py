"""Conversions against fractions: between formats, and from integers."""

import itertools
import random

import plain_floats as plain
import pytest

from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats.convert import FloatConverter, IntegerToFloat
from lutcore.verif.bench.contexts import evaluate


def reference(number, target):
    return plain.encode(number, target)


@pytest.mark.parametrize("names", list(itertools.permutations(FORMATS, 2)), ids="-to-".join)
def test_floats(names):
    source, target = (FORMATS[name] for name in names)
    unit, cases = FloatConverter(source, target, 1), plain.patterns(source, 150)
    found = evaluate(unit, [unit.a], [unit.result], [[a] for a in cases], cycles=1)
    assert found == [(reference(plain.decode(a, source), target),) for a in cases]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("bits", [2, 9, 32, 64])
def test_integers(bits, name):
    unit, chance = IntegerToFloat(bits, FORMATS[name], 2), random.Random(bits)
    cases = [0, 1, -1, (1 << bits - 1) - 1, -(1 << bits - 1)]
    cases += [
        chance.getrandbits(bits) - (1 << bits - 1) >> chance.randrange(bits) for _ in range(99)
    ]
    found = evaluate(unit, [unit.a], [unit.result], [[a] for a in cases], cycles=2)
    assert found == [(reference(plain.integer(a), FORMATS[name]),) for a in cases]
