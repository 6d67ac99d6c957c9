"""Entries of tables, which the same code builds of plain integers."""

import operator
import random
from itertools import product
from types import SimpleNamespace

import pytest

from lutcore.hdl.parts.entries import ENTRIES

MATH = SimpleNamespace(add=operator.add, subtract=operator.sub, negate=operator.neg)
#: Form -> the factors of a group's activations in each entry, by the definition.
FACTORS = {
    "symmetric": lambda k: [(*low[::-1], -1) for low in product((-1, 1), repeat=k - 1)],
    "subset": lambda k: [x[::-1] for x in product((0, 1), repeat=k)][1:],
    "twos-complement": lambda k: [x[::-1] for x in product((0, 1), repeat=k)][1:],
    "ternary": lambda k: [x[::-1] for x in product((-1, 0, 1), repeat=k)][3**k // 2 + 1 :],
    "product": lambda k: [(1,)],
    "trit": lambda k: [(1,)],
}


def reference(form, group):
    return [sum(f * a for f, a in zip(x, group, strict=True)) for x in FACTORS[form](len(group))]


@pytest.mark.parametrize("k", range(1, 7))
@pytest.mark.parametrize("form", ENTRIES)
def test_entries(form, k):
    chance = random.Random(k)
    for _ in range(20):
        group = [chance.choice([-128, 127, chance.randrange(-128, 128)]) for _ in range(k)]
        group = group[:1] if form in ("product", "trit") else group
        assert ENTRIES[form](group, MATH) == reference(form, group)


def test_all_forms_are_here():
    assert list(FACTORS) == list(ENTRIES)
