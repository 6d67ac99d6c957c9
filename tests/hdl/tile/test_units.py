"""What columns do with operands, a slice at a time: lookups and products against plain numbers."""

import random

import plain_floats as plain
import pytest
from amaranth.hdl import Module, Signal, signed

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.parts.lookup import tree_sum
from lutcore.hdl.tile.units import BoothDigits, Lookups, Multiples, Products, SignedBits
from lutcore.verif.bench.contexts import evaluate


def reference(weight, activation):
    return weight * activation


KINDS = [(kind, bits) for kind in (SignedBits, BoothDigits) for bits in range(1, 9)]


@pytest.mark.parametrize(("kind", "bits"), [*KINDS, (Multiples, 1), (Multiples, 2)])
def test_partial_products(kind, bits):
    m, code, a, out = Module(), Signal(signed(bits)), Signal(signed(8)), Signal(signed(20))
    rows, constant = kind(m, code, "w").times(~a)
    m.d.comb += out.eq(tree_sum(rows) + constant)
    low = -(1 << bits - 1)
    cases = [(w, x) for w in range(low, -low) for x in (-128, -127, -1, 0, 1, 85, 127)]
    found = evaluate(m, [code, a], [out], cases, cycles=1)
    assert found == [(reference(w, x),) for w, x in cases]


def test_multiples_of_ternary_weights():
    m, code, a, out = Module(), Signal(signed(2)), Signal(signed(8)), Signal(signed(20))
    rows, constant = Multiples(m, code, "w", ternary=True).times(~a)
    assert max(map(len, rows)) == len(a), "no row is longer than an activation"
    m.d.comb += out.eq(tree_sum(rows) + constant)
    cases = [(w, x) for w in (-1, 0, 1) for x in range(-128, 128)]
    found = evaluate(m, [code, a], [out], cases, cycles=1)
    assert found == [(reference(w, x),) for w, x in cases]


@pytest.mark.parametrize("pipeline", [0, 2])
@pytest.mark.parametrize(
    ("bits", "kind"),
    [(2, "auto"), (8, "auto"), (2, "select"), (2, "booth"), (8, "rows"), (1, "select")],
)
def test_products_of_a_slice(bits, kind, pipeline):
    fields = {"engine": "mac", "k": 4, "max_weight_bits": bits, "pipeline": pipeline}
    fields["multiplier"] = kind
    config, chance, m = CoreConfig(m=1, n=1, **fields), random.Random(bits), Module()
    index, out = Signal(4 * bits), Signal(signed(24))
    activations = [Signal(signed(8), name=f"a{i}") for i in range(4)]
    unit = Products(m, None, config, index)
    m.d.comb += out.eq(tree_sum(unit.terms([[~a] for a in activations], 0)))
    cases, wanted = [], []
    for _ in range(60):
        weights = [chance.randrange(-(1 << bits - 1), 1 << bits - 1) for _ in range(4)]
        values = [chance.choice([-128, 127, chance.randrange(-128, 128)]) for _ in range(4)]
        packed = sum((w % (1 << bits)) << i * bits for i, w in enumerate(weights))
        cases.append((packed, *values))
        wanted.append((sum(map(reference, weights, values)),))
    assert evaluate(m, [index, *activations], [out], cases, cycles=1) == wanted


@pytest.mark.parametrize("name", ["fp8-e4m3", "fp16"])
@pytest.mark.parametrize("engine", ["lut", "mac"])
def test_float_terms(engine, name):
    """Entries with the index's sign, or activations times small weights, exact in FP32."""
    fields = {"engine": engine, "activation": name, "float_mode": "exact", "k": 1}
    config = CoreConfig(m=1, n=1, max_weight_bits=3, zero_points="external", **fields)
    f, m = config.table_format, Module()
    index, entry, out = Signal(config.index_bits), Signal(f.bits), Signal(32)
    kind = Products if engine == "mac" else Lookups
    m.d.comb += out.eq(kind(m, None, config, index).terms([[entry]], 0)[0])
    cases = [(i, p) for i in range(1 << config.index_bits) for p in plain.patterns(f, 20)]
    found = evaluate(m, [index, entry], [out], cases, cycles=1)
    for (i, p), (result,) in zip(cases, found, strict=True):
        weight = (i ^ 4) - 4 if engine == "mac" else 1 - 2 * i
        number = plain.multiply(plain.decode(p, f), plain.integer(weight))
        assert result == plain.encode(number, FORMATS["fp32"]) or number[1] != number[1]
