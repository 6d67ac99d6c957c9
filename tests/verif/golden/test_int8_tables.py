"""Fast products with eight-bit tables are those of the golden model, integer by integer."""

import numpy as np
import pytest

from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config
from lutcore.verif.golden.expect import expected_results
from lutcore.verif.golden.int8_tables import entries, reads


def tensor_of(n: int, k: int, bits: int, zero: int, group: int) -> QuantTensor:
    rng = np.random.default_rng(bits * 100 + zero)
    grid = (n, k // group)
    return QuantTensor(
        name="w",
        kind="test",
        bits=bits,
        codes=rng.integers(0, 1 << bits, (n, k), dtype=np.uint8),
        scales=np.ones(grid, np.float32),
        zero_points=np.full(grid, zero, np.int16),
        minimums=None,
        group_size=group,
    )


def golden(config: CoreConfig, tensor: QuantTensor, values: np.ndarray) -> np.ndarray:
    """P summed over runs, in the activations' units."""
    results = expected_results(config, values, tensor, pack(config, tensor))
    wide = results.dots << results.exponents[:, None]
    return wide.sum(axis=2)


@pytest.mark.parametrize("bits, zero", [(2, 1), (1, 0), (2, 2)])
@pytest.mark.parametrize("group", [32, 64])
def test_products_are_the_golden_models(bits, zero, group):
    config = load_config("w2a8-int8-tables", [f"group_size={group}"])
    tensor = tensor_of(7, 192, bits, zero, group)
    rng = np.random.default_rng(1)
    values = rng.integers(-127, 128, (6, 192)).astype(np.int8)
    values[1] = 0
    values[2] = rng.integers(-3, 4, 192)
    values[3, :4] = (127, 127, 127, 127)
    values[4, :4] = (127, 127, 0, 0)  # 254: the greatest sum of a shift by one
    found = entries(values, config.k, group) @ reads(tensor, config.k).T
    np.testing.assert_array_equal(found, golden(config, tensor, values))


def test_rounding_happens():
    """With large activations the tables are not exact, or the test above tests nothing."""
    config = load_config("w2a8-int8-tables", [])
    tensor = tensor_of(7, 192, 2, 1, 32)
    values = np.random.default_rng(2).integers(-127, 128, (6, 192)).astype(np.int8)
    exact = 2 * values.astype(int) @ (tensor.codes.astype(int) - 1).T
    found = entries(values, config.k, 32) @ reads(tensor, config.k).T
    assert 0 < np.abs(found - exact).max() < 0.05 * np.abs(exact).max()
