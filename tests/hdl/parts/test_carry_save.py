"""Sums whose carries are kept: the rows that are left mean what the addends do."""

import random

import pytest
from amaranth.hdl import Cat, Const, Signal, signed

from lutcore.hdl.parts.carry_save import Addend, CarrySave, Tree
from lutcore.verif.bench.contexts import evaluate

LEVELS = range(7)


def drawn(chance):
    """Forms of up to nine addends, narrow ones and such with zeros among them."""
    addends = []
    for _ in range(chance.randint(1, 9)):
        width = chance.randint(1, 8)
        zeros = {i for i in range(width - 1) if chance.random() < 0.2}
        addends.append(Addend(width, chance.random() < 0.5, frozenset(zeros)))
    return addends


def values(addends, chance):
    """A value of each, its extremes often, its zeros kept."""
    found = []
    for width, sign, zeros in addends:
        low, high = (-(1 << width - 1), (1 << width - 1) - 1) if sign else (0, (1 << width) - 1)
        value = chance.choice([low, high, chance.randint(low, high)])
        found.append(value & ~sum(1 << zero for zero in zeros))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_rows_sum_to_the_addends(seed):
    """Without wrapping; a level more never leaves more rows."""
    chance = random.Random(seed)
    addends = drawn(chance)
    rows = [len(Tree.of(addends, levels).rows) for levels in LEVELS]
    assert rows == sorted(rows, reverse=True)
    levels = chance.choice(LEVELS)
    tree = Tree.of(addends, levels)
    dut = CarrySave(tree)
    ports = [getattr(dut, f"row_{i}") for i in range(len(tree.rows))]
    assert sum(map(len, ports)) == sum(map(len, tree.columns))  # no zero goes through a register
    inputs = [getattr(dut, f"addend_{i}") for i in range(len(addends))]
    outputs = [tree.weighted(i, getattr(dut, f"row_{i}")) for i in range(len(tree.rows))]
    cases = [values(addends, chance) for _ in range(50)]
    given = [[v % (1 << a.width) for v, a in zip(c, addends, strict=True)] for c in cases]
    found = evaluate(dut, inputs, outputs, given)
    assert [sum(row) + tree.constant for row in found] == [sum(case) for case in cases]


def depth(tree):
    """Most full adders one behind the other, each as late as its latest input."""
    late = [0] * len(tree.places)
    for adder in tree.adders:
        late += [max(late[bit] for bit in adder) + 1] * 2
    return max(late, default=0)


@pytest.mark.parametrize("count", range(1, 30))
def test_levels_bound_the_depth_and_the_last_leaves_two_rows(count):
    addends = [Addend(8, True, frozenset())] * count
    for levels in LEVELS:
        # carries are faster than sums: three of them fit in two levels
        assert depth(Tree.of(addends, levels)) <= levels * 3 / 2
    assert len(Tree.of(addends, 15).rows) == min(count, 2)
    assert Tree.of(addends, 0).adders == []


def test_zeros_of_a_term_are_those_that_are_written():
    a = Signal(3)
    assert Addend.of(Cat(Const(0, 2), a)) == Addend(5, False, frozenset({0, 1}))
    assert Addend.of(a) == Addend(3, False, frozenset())
    assert Addend.of(Signal(signed(4))) == Addend(4, True, frozenset())
    assert Addend.of(Cat(a, Const(1, 1))) == Addend(4, False, frozenset())
