"""Lookup, signs and sums against plain integers."""

import random
from itertools import product

import pytest
from amaranth.hdl import Module, Signal, signed

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.parts.lookup import Select, negated, tree_sum, without_sign_extension
from lutcore.verif.bench.contexts import evaluate

FORMS = {
    **{f"symmetric-{k}": {"k": k} for k in range(1, 7)},
    **{f"subset-{k}": {"k": k, "table_form": "subset"} for k in range(1, 6)},
    "ternary": {"k": 3, "weight_coding": "ternary", "group_size": 33},
    "conventional": {"k": 3, "engine": "conventional-lut"},
}


def reference(form, table, index):
    """The entry that an index means: the top bit negates where entries have signs."""
    if form.startswith("symmetric"):
        sign, x = divmod(index, len(table))
        return -table[x] if sign else table[x]
    if form == "ternary":
        sign, x = divmod(index, 16)
        return (-1 if sign else 1) * (table[x - 1] if x else 0)
    return table[index - 1] if index else 0


@pytest.mark.parametrize("name", FORMS)
def test_every_index(name):
    config, chance = CoreConfig(**FORMS[name]), random.Random(0)
    table = [chance.choice([-512, 511, chance.randrange(-512, 512)]) for _ in range(config.entries)]
    m, index, out = Module(), Signal(config.index_bits), Signal(signed(14))
    select = Select(m, config, index, "0")
    entries = [Signal(signed(10), name=f"entry_{x}", init=e) for x, e in enumerate(table)]
    if config.inverted:
        entries = [~entry for entry in entries]
    m.d.comb += out.eq(sum(negated(select.read(entries), select.negate)))
    cases = [i for i in range(1 << config.index_bits) if name != "ternary" or i % 16 < 14]
    found = evaluate(m, [index], [out], [[i] for i in cases], cycles=1)
    assert found == [(reference(name, table, i),) for i in cases]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_sums_without_sign_extension(count):
    terms = [Signal(signed(3 + i % 3), name=f"t{i}") for i in range(count)] + [Signal(name="carry")]
    m, plainly, narrowly = Module(), Signal(signed(12)), Signal(signed(12))
    m.d.comb += plainly.eq(tree_sum(terms))
    m.d.comb += narrowly.eq(tree_sum(without_sign_extension(terms)))
    ends = [(-(1 << len(t) - 1), (1 << len(t) - 1) - 1) for t in terms[:-1]]
    cases = list(product(*ends, (0, 1)))
    assert evaluate(m, terms, [plainly, narrowly], cases) == [(sum(c), sum(c)) for c in cases]
