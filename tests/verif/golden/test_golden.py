"""The golden model against the definition, written out."""

import numpy as np

from lutcore.verif.golden import integers as golden


def test_integer_products_by_hand(make_tensor):
    tensor = make_tensor(3, 10, 3, 4)
    activations = np.random.default_rng(0).integers(-128, 128, (2, 10)).astype(np.int8)
    got = golden.integer_products(activations, tensor)
    assert got.shape == (2, 3, 3)
    for m, n, g in np.ndindex(got.shape):
        total = 0
        for k in range(4 * g, min(4 * g + 4, 10)):
            weight = int(tensor.codes[n, k]) - int(tensor.zero_points[n, g])
            total += 2 * int(activations[m, k]) * weight
        assert got[m, n, g] == total


def test_scaled_groups_add_up_to_the_dequantised_product(make_tensor):
    tensor = make_tensor(5, 70, 4, 32)
    activations = np.random.default_rng(1).integers(-128, 128, (3, 70))
    products = golden.integer_products(activations, tensor)
    total = (products * (tensor.scales.astype(np.float64) / 2)[None]).sum(axis=-1)
    np.testing.assert_allclose(total, golden.mpgemm(activations, tensor), rtol=1e-12)


def test_row_sums():
    activations = np.array([[1, -2, 3, 100]], np.int8)
    assert golden.row_sums(activations, [(0, 2), (2, 4)]).tolist() == [[-1, 103]]
