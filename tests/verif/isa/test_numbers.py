"""The ISA model's numbers: against fractions, and against the golden model's own."""

from fractions import Fraction

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import gemm
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.verif.golden import blocks, floats
from lutcore.verif.golden.epilogue import core_outputs
from lutcore.verif.golden.formats import bits_type, number_type
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.isa.numbers import (
    TYPES,
    aligned,
    byte_shifts,
    entry_sum,
    pair_sum,
    shift_right,
    to_bytes,
)
from lutcore.verif.samples.cores import SMALL_CORES

CORE = SMALL_CORES["fp16"]


def test_shifts_round_to_nearest_even():
    values = np.arange(-70, 71)
    for amount in range(8):
        found = shift_right(values, np.full_like(values, amount))
        assert found.tolist() == [round(Fraction(int(v), 1 << amount)) for v in values]
    assert shift_right(np.array([1 << 40, -(1 << 40)]), np.array([62, 62])).tolist() == [0, 0]


@pytest.mark.parametrize("activation", TYPES)
@pytest.mark.parametrize("bits", [12, 14, 24])
def test_floats_are_aligned_as_the_golden_model_aligns_them(activation, bits):
    config = CORE.replace(activation=activation, align_bits=bits)
    kind = bits_type(config.float_format)
    rng = np.random.default_rng(bits)
    top = 1 << config.float_format.bits
    rows = rng.integers(0, top, (3000, 5)).astype(kind)
    rows[:1000] = rng.integers(0, top >> 5, (1000, 5)).astype(kind)  # small, subnormal ones too
    rows[0] = 0
    values, exponents, invalid = aligned(rows, config)
    with np.errstate(invalid="ignore"):
        golden = blocks.align(rows.view(number_type(config.float_format)), config)
    np.testing.assert_array_equal(invalid, golden[2])
    assert 0 < invalid.sum() < len(rows)
    np.testing.assert_array_equal(values[~invalid], golden[0][~invalid])
    np.testing.assert_array_equal(exponents[~invalid], golden[1][~invalid])


def test_byte_tables_are_the_golden_ones():
    values = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, (400, 8))
    values[:200] >>= np.random.default_rng(2).integers(0, 15, (200, 1))
    shifts = byte_shifts(values, 4)
    np.testing.assert_array_equal(shifts, blocks.table_shift(values, 4))
    sums = values.reshape(400, 2, 4).sum(axis=2)
    np.testing.assert_array_equal(to_bytes(sums, shifts), blocks.rounded(sums, shifts))


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_entries_are_the_golden_ones(kind):
    format = CORE.replace(activation=kind).float_format
    patterns = np.random.default_rng(3).integers(0, 1 << 16, (20000, 5)).astype(np.uint16)
    patterns[:10000, 1:] = patterns[:10000, :1] ^ (patterns[:10000, 1:] & 0x8003)
    with np.errstate(all="ignore"):
        found = entry_sum(patterns.view(TYPES[kind])).astype(np.float32)
    golden = floats.widened(floats.entry_sum(patterns, np.ones_like(patterns, int), format), format)
    np.testing.assert_array_equal(found, golden)
    finite = np.isfinite(found)
    np.testing.assert_array_equal(np.signbit(found[finite]), np.signbit(golden[finite]))


@pytest.mark.parametrize("count", range(1, 10))
def test_pairs_are_summed_as_the_contract_says(count):
    terms = np.random.default_rng(count).standard_normal((50, count)).astype(np.float32)
    np.testing.assert_array_equal(pair_sum(terms), floats.tree_sum(terms))


@pytest.mark.parametrize(
    ("core", "broken", "wrong"),
    [
        ("int8-tables", "rounded", lambda sums, shifts: np.clip(sums >> shifts.max(), -127, 127)),
        ("int8-tables", "table_shift", lambda values, k: np.full(len(values), 3)),
        ("fp16", "align", lambda found, config: (found.astype(np.int64), np.ones(len(found), int),
                                                 np.zeros(len(found), bool))),
    ],
)  # fmt: skip
def test_a_broken_golden_model_is_found_by_the_isa_model(core, broken, wrong, monkeypatch):
    """Were the arithmetic shared, the two would agree on what is wrong."""
    config = SMALL_CORES[core]
    rng = np.random.default_rng(4)
    tensor = random_tensor((9, 64), 2, 32, rng)
    tensor.zero_points[:] = 1
    activations = random_activations(config, 3, 64, rng)

    def isa() -> np.ndarray:
        program = gemm(config, tensor, activations)
        memory = program.image()
        IsaModel(config, memory).run(program.address, len(program.words))
        return program.output.read(memory).view(np.float32)

    np.testing.assert_array_equal(isa(), core_outputs(config, activations, tensor))
    for module in (blocks, __import__("lutcore.verif.golden.expect", fromlist=["x"])):
        if hasattr(module, broken):
            monkeypatch.setattr(module, broken, wrong)
    assert (isa() != core_outputs(config, activations, tensor)).any()
