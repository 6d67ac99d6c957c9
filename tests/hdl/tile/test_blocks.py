"""Runs that share a scale: their buffer, aligned floats, eight-bit tables; against fractions."""

import random
from fractions import Fraction

import plain_floats as plain
import pytest

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.tile.blocks import Aligner, ExponentKeys, MagnitudeKeys, RunBuffer, TableRounder
from lutcore.verif.bench.contexts import evaluate, simulate
from lutcore.verif.bench.streams import expect, put

INT8 = CoreConfig(m=2, n=1, k=3, lookups=2, table="int8", group_size=24)


def aligned(activation):
    return CoreConfig(m=1, n=1, k=2, lookups=2, activation=activation, group_size=24)


def exponent(pattern, f):
    """Biased; 1 for subnormals and zero."""
    return max(1, pattern >> f.fraction_bits & (1 << f.exponent_bits) - 1)


def reference(patterns, key, f, bits):
    """The greatest magnitude of the run fills ``bits`` with its sign; nearest even."""
    values = []
    for sign, magnitude in (plain.decode(p, f) for p in patterns):
        count = round(magnitude * Fraction(2) ** (bits - 2 + f.bias - key))
        values.append(-count if sign else count)
    return values


def halves(entry, shift):
    return round(Fraction(entry, 1 << shift))


@pytest.mark.parametrize("lengths", [(4, 1, 2, 3, 4, 4), (1,) * 5])
def test_a_run_leaves_with_its_greatest_keys(lengths):
    dut, chance = RunBuffer(INT8, 8, 6), random.Random(0)  # runs of 4 steps at most
    given, wanted = [], []
    for length in lengths:
        keys = [[chance.randrange(64) for _ in range(2)] for _ in range(length)]
        greatest = [max(row) for row in zip(*keys, strict=True)]
        for step, key in enumerate(keys):
            ends = step == length - 1
            word = {"payload": chance.randrange(256), "keys": key, "last": ends and length < 4}
            given.append(word)
            wanted.append(word | {"keys": greatest, "last": ends})
    simulate(dut, put(dut.steps, given), expect(dut.results, wanted))


@pytest.mark.parametrize("name", ["fp8-e4m3", "fp8-e5m2", "fp16", "bf16"])
def test_aligned_floats(name):
    config, f, chance = aligned(name), FORMATS[name], random.Random(1)
    finite = [p for p in plain.patterns(f, 200) if plain.decode(p, f)[1] < plain.INF]
    groups = [chance.choices(finite, k=4) for _ in range(100)]
    keys = [max(exponent(p, f) for p in group) + chance.choice([0, 0, 1]) for group in groups]
    keys = [min(key, f.max_exponent) for key in keys]
    dut = Aligner(config)
    cases = [([group], [key]) for group, key in zip(groups, keys, strict=True)]
    found = evaluate(dut, [dut.activations, dut.keys], [dut.values, dut.scales], cases)
    for (values, scales), group, key in zip(found, groups, keys, strict=True):
        assert list(values[0]) == reference(group, key, f, config.align_bits)
        assert (scales[0].exponent, scales[0].invalid) == (key, 0)


@pytest.mark.parametrize("name", ["fp8-e4m3", "fp16"])
def test_exponents_and_what_is_not_finite(name):
    f, chance = FORMATS[name], random.Random(2)
    groups = [chance.choices(plain.patterns(f, 100), k=4) for _ in range(100)]
    dut = ExponentKeys(aligned(name))
    found = evaluate(dut, [dut.activations], [dut.keys], [([group],) for group in groups])
    for (keys,), group in zip(found, groups, strict=True):
        special = any(not plain.decode(p, f)[1] < plain.INF for p in group)
        assert keys[0] == max(exponent(p, f) for p in group) | special << f.exponent_bits


def test_magnitudes():
    dut, chance = MagnitudeKeys(INT8), random.Random(3)
    pick = lambda: chance.choice([-128, 127, 0, chance.randrange(-128, 128)])  # noqa: E731
    cases = [[[pick() for _ in range(6)] for _ in range(2)] for _ in range(100)]
    found = evaluate(dut, [dut.values], [dut.keys], [(case,) for case in cases])
    for (keys,), case in zip(found, cases, strict=True):
        sums = [[sum(map(abs, row[i : i + 3])) for i in (0, 3)] for row in case]
        assert list(keys) == list(map(max, sums))


def test_rounded_tables():
    chance = random.Random(4)
    for key in (0, 127, 128, 254, 255, 384):
        pick = lambda: chance.choice([-key, key, chance.randint(-key, key)])  # noqa: B023, E731
        tables = [[[pick() for _ in range(4)] for _ in range(2)] for _ in range(2)]
        dut = TableRounder(INT8)
        ports = [dut.rounded, dut.shifts]
        ((rounded, shifts),) = evaluate(dut, [dut.tables, dut.keys], ports, [(tables, [key] * 2)])
        shift = next(h for h in range(9) if key <= 127 << h)
        assert list(shifts) == [shift] * 2
        for row, table, x in ((r, t, x) for r in range(2) for t in range(2) for x in range(4)):
            assert rounded[row][table][x] == halves(tables[row][table][x], shift)
