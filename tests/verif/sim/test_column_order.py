"""Every model takes activations in the order of a tensor's inputs, whatever its columns' order."""

import dataclasses

import numpy as np
import pytest

from lutcore.gen.run.tile import as_format
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden import integers as golden
from lutcore.verif.golden.outputs import error_bound, outputs
from lutcore.verif.sim.job import tile_job

pytestmark = pytest.mark.slow


@pytest.fixture
def problem(make_tensor):
    """Activations, a tensor with an order, and both as the codes stand."""
    plain = make_tensor(5, 48, 3, 16, shared=True)
    rng = np.random.default_rng(1)
    order = rng.permutation(48).astype(np.int32)
    activations = rng.integers(-128, 128, (3, 48))
    ordered = dataclasses.replace(plain, column_order=order)
    return activations, ordered, activations[:, order], plain


def test_the_golden_model(problem):
    activations, ordered, moved, plain = problem
    np.testing.assert_array_equal(
        golden.integer_products(activations, ordered), golden.integer_products(moved, plain)
    )
    np.testing.assert_allclose(
        golden.mpgemm(activations, ordered), golden.mpgemm(moved, plain), rtol=1e-12
    )


def test_what_a_tile_is_given_and_must_return(problem):
    activations, ordered, moved, plain = problem
    config = CoreConfig(n=8, max_weight_bits=3, group_size=16)
    found, wanted = tile_job(config, activations, ordered), tile_job(config, moved, plain)
    for name, values in wanted.inputs.items():
        np.testing.assert_array_equal(found.inputs[name], values)
    for name, values in wanted.expected.items():
        np.testing.assert_array_equal(found.expected[name], values)


@pytest.mark.parametrize("table", ["exact", "int8"])
def test_outputs_and_their_bound(problem, table):
    activations, ordered, moved, plain = problem
    config = CoreConfig(n=8, max_weight_bits=3, group_size=16, table=table, activation="fp16")
    reals = as_format(activations / 7, config)
    moved = as_format(moved / 7, config)
    np.testing.assert_array_equal(outputs(config, reals, ordered), outputs(config, moved, plain))
    bound = error_bound(config, reals, ordered)
    np.testing.assert_array_equal(bound, error_bound(config, moved, plain))
    error = outputs(config, reals, ordered) - golden.mpgemm(reals, ordered)
    assert (np.abs(error) <= bound + 1e-9).all()
