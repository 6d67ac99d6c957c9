"""Block-scaled golden models against their definitions, and the documented error bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutcore.gen.experiments.accuracy import relative_error
from lutcore.gen.run.tile import as_format, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FLOATS
from lutcore.verif.golden.blocks import align, int8_products, table_shift
from lutcore.verif.golden.outputs import error_bound, outputs


@pytest.mark.parametrize("activation", FLOATS)
def test_alignment_is_off_by_half_a_unit_at_most(activation):
    config = CoreConfig(activation=activation, group_size=32)
    rng = np.random.default_rng(0)
    reals = rng.standard_t(3, (50, 32)) * np.exp2(rng.integers(-20, 3, (50, 1)))
    activations = as_format(reals, config)
    values, exponents, invalid = align(activations, config)
    unit = np.ldexp(1.0, exponents - config.scale_offset)[:, None]
    assert not invalid.any()
    assert (np.abs(values * unit - activations.astype(np.float64)) <= unit / 2).all()
    assert np.abs(values).max() < 1 << config.align_bits - 1
    # The greatest magnitude of a row is exact and fills the width, unless it is subnormal.
    greatest = np.abs(values).max(axis=1)[exponents > 1]
    assert len(greatest) and (greatest >= 1 << config.align_bits - 2).all()


def test_alignment_rounds_ties_to_even():
    config = CoreConfig(activation="fp16", group_size=32, align_bits=12)
    # Unit 2^-10 for a greatest magnitude in [1, 2): halves of it are ties.
    activations = as_format(np.array([[1.0, 0.5 / 1024, 1.5 / 1024, 2.5 / 1024]]), config)
    values, _, _ = align(activations, config)
    assert values.tolist() == [[1024, 0, 2, 2]]


def test_table_shift_is_the_least_that_fits():
    values = np.array([[127, 0, 0, 0], [127, 1, 0, 0], [-127, 127, 0, 0], [100, 100, 100, -100]])
    assert table_shift(values, 4).tolist() == [0, 1, 1, 2]
    for kind in (np.int8, np.int16, np.int64):
        assert table_shift(np.full((1, 4), -128, kind), 4).tolist() == [3]
    assert table_shift(np.full((1, 4), -(1 << 15), np.int16), 4).tolist() == [11]


def test_int8_products_by_hand():
    values = np.array([[100, 100, 3, 0]])  # h = 1
    codes = np.array([[1, 1, 1, 0], [0, 1, 0, 0]], np.uint8)
    products, sums, shifts = int8_products(values, codes, 1, 4)
    assert shifts.tolist() == [1]
    assert products.tolist() == [[102, -2]]  # 203 / 2 = 101.5 -> 102; -3 / 2 = -1.5 -> -2
    assert sums.tolist() == [102]


MODES = {
    "int8": {},
    "int8-tables": {"table": "int8"},
    "fp16-aligned": {"activation": "fp16"},
    "bf16-aligned-10": {"activation": "bf16", "align_bits": 10},
    "fp8-e5m2-tables": {"activation": "fp8-e5m2", "table": "int8"},
}


@settings(max_examples=25, deadline=None)
@given(mode=st.sampled_from(sorted(MODES)), bits=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_errors_stay_within_the_documented_bound(mode, bits, seed):
    config = CoreConfig(group_size=32, max_weight_bits=5, zero_points="column").replace(
        **MODES[mode]
    )
    rng = np.random.default_rng(seed)
    tensor = random_tensor((4, 70), bits, 32, rng)
    reals = rng.standard_t(2, (3, 70)) * np.exp2(rng.integers(-8, 9))
    if config.is_float:
        activations = as_format(reals, config)
    else:
        activations = np.clip(np.rint(reals), -128, 127).astype(np.int64)
    exact = activations.astype(np.float64) @ tensor.dequantise().T
    error = np.abs(outputs(config, activations, tensor) - exact)
    bound = error_bound(config, activations, tensor)
    assert (error <= bound + 1e-9 * (1 + np.abs(exact))).all()
    assert mode != "int8" or not bound.any()


def test_the_bound_is_not_vacuous():
    """On ordinary data it is a small part of the result, and some error comes near to it."""
    rng = np.random.default_rng(5)
    tensor = random_tensor((8, 128), 2, 32, rng, shared=True)
    for changes, most, least in (
        ({"activation": "fp16"}, 2e-2, 2e-2),
        ({"activation": "fp16", "table": "int8"}, 2.0, 2e-2),
    ):
        config = CoreConfig(group_size=32).replace(**changes)
        activations = as_format(rng.standard_t(3, (16, 128)), config)
        exact = activations.astype(np.float64) @ tensor.dequantise().T
        error = np.abs(outputs(config, activations, tensor) - exact)
        bound = error_bound(config, activations, tensor)
        assert np.median(bound) < most * np.sqrt((exact**2).mean())
        assert (error / bound).max() > least


@pytest.mark.parametrize("name", ["blk.0.attn_k.weight", "blk.0.ffn_down.weight"])
@pytest.mark.parametrize(
    ("changes", "most"),
    [
        ({"activation": "fp16"}, 2e-4),
        ({"activation": "bf16"}, 2e-4),
        ({"activation": "fp8-e4m3"}, 5e-5),
        ({"activation": "fp16", "table": "int8"}, 1e-2),
    ],
)
def test_real_activations_are_as_accurate_as_the_manual_says(
    name, changes, most, example, example_activations
):
    config = CoreConfig(group_size=32, max_weight_bits=8, zero_points="column").replace(**changes)
    activations = as_format(example_activations[f"{name}/float"][:4], config)
    assert relative_error(config, activations, example.tensor(name)) < most
