"""Fast products with eight-bit tables are those of the golden model, integer by integer."""

from dataclasses import replace

import numpy as np
import pytest

from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config
from lutcore.verif.golden.expect import expected_results
from lutcore.verif.golden.int8_tables import Int8TableLinear, entries, reads


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


class Kept:
    """A checkpoint of one tensor, which counts how often it is read."""

    def __init__(self, tensor):
        self.found, self.count = tensor, 0

    def tensor(self, name):
        self.count += 1
        return self.found


def test_networks_products_have_the_matrices_scale():
    """Half of it, as P is twice the product; a matrix is read once."""
    config = load_config("w2a8-int8-tables", ["group_size=32"])
    tensor = tensor_of(7, 192, 2, 1, 64)
    tensor.scales[:] = 0.75
    values = np.random.default_rng(3).integers(-127, 128, (3, 192)).astype(np.int8)
    kept = Kept(tensor)
    linear = Int8TableLinear(kept, config)  # pyright: ignore[reportArgumentType]
    wanted = 0.375 * golden(config, tensor, values)
    for _ in range(2):
        found = linear("w", values)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, wanted)
    assert kept.count == 1


@pytest.mark.parametrize(
    ("k", "group", "block", "wrong", "message"),
    [
        (192, 64, 32, "scales", "must have one scale and an integer zero point"),
        (192, 64, 32, "minimums", "must have one scale and an integer zero point"),
        (192, 32, 64, "", "must be a multiple of 4 that divides 32 and 192, not 64"),
        (96, 96, 64, "", "must be a multiple of 4 that divides 96 and 96, not 64"),
        (80, 160, 32, "", "must be a multiple of 4 that divides 160 and 80, not 32"),
    ],
)
def test_matrices_that_tables_do_not_fit_are_refused(k, group, block, wrong, message):
    config = load_config("w2a8-int8-tables", [f"group_size={block}"])
    tensor = tensor_of(3, k, 2, 1, min(group, k))
    if group > k:
        tensor = replace(tensor, group_size=group)
    if wrong == "scales":
        tensor.scales[1, 1] = 2
    if wrong == "minimums":
        tensor = replace(tensor, minimums=np.zeros(tensor.scales.shape, np.float32))
    with pytest.raises(InputError, match=message):
        Int8TableLinear(Kept(tensor), config)("w", np.zeros((1, k), np.int8))  # pyright: ignore
