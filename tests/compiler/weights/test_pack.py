"""Packing, read back bit by bit as its docstring describes it."""

import numpy as np
import pytest

from lutcore.compiler.weights.pack import (
    cut_steps,
    pack,
    reinterpret_scales,
    reinterpret_zero_points,
    remap,
)
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig


def test_reinterpretation_changes_nothing():
    """s (q - z) == s' (q' - z') with q' = 2q - (2^b - 1), for every code and zero point."""
    for bits in range(1, 9):
        q, z = np.meshgrid(np.arange(1 << bits), np.arange((1 << bits) + 1))
        scale = np.full(1, 0.375, np.float32)
        q_prime = 2 * q - ((1 << bits) - 1)
        z_prime = reinterpret_zero_points(z.astype(np.int16), bits)
        assert np.array_equal(scale * (q - z), reinterpret_scales(scale) * (q_prime - z_prime))


def test_remap_inverts_below_a_set_top_bit_in_every_plane():
    codes = np.array([0b01, 0b10, 0b11, 0b01], np.uint8)  # top element: plane 0 set, plane 1 clear
    assert remap(codes, 4).tolist() == [0b00, 0b11, 0b10, 0b01]


@pytest.mark.parametrize("form", ["symmetric", "subset"])
@pytest.mark.parametrize(("k", "lookups", "n"), [(4, 1, 8), (2, 8, 3), (3, 2, 5), (1, 1, 1)])
def test_every_bit_is_where_the_docstring_says(form, k, lookups, n, make_tensor):
    config = CoreConfig(n=n, k=k, lookups=lookups, table_form=form, max_weight_bits=3, max_k=128)
    tensor = make_tensor(n + 1, 53, 3, 20, shared=True)
    packed = pack(config, tensor)
    columns = packed.steps.columns
    for tile, step, plane in np.ndindex(packed.slices.shape[:3]):
        word = int.from_bytes(packed.slices[tile, step, plane].tobytes(), "little")
        for column, lookup in np.ndindex(n, lookups):
            row = tile * n + column
            bits = []
            for t in range(k):
                source = columns[step, lookup * k + t]
                inside = row < n + 1 and source < 53
                bits.append(int(tensor.codes[row, source]) >> plane & 1 if inside else 0)
            index = word >> (column * lookups + lookup) * k & (1 << k) - 1
            stored = [index >> t & 1 for t in range(k)]
            if form == "symmetric" and stored[-1]:
                stored = [1 - b for b in stored[:-1]] + [1]
            assert stored == bits
        assert word >> config.slice_bits == 0


def test_steps_cover_every_element_once_within_its_group():
    config = CoreConfig(k=4, lookups=2, group_size=24, max_k=512)
    steps = cut_steps(config, 150, 40)
    used = steps.columns[steps.columns < 150]
    assert sorted(used) == list(range(150))
    for step in range(steps.count):
        inside = steps.columns[step][steps.columns[step] < 150]
        assert set((inside // 40).tolist()) == {int(steps.group[steps.run[step]])}
    assert max(np.bincount(steps.run)) * config.depth <= 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"max_weight_bits": 2},
            r"has 4-bit codes, lut_tile takes 2 at most: set max_weight_bits=4",
        ),
        ({"max_k": 64}, r"has K = 96, lut_tile holds 64: set max_k=96 or more"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message, make_tensor):
    config = CoreConfig(**{"max_weight_bits": 4, **changes})
    with pytest.raises(InputError, match=message):
        pack(config, make_tensor(8, 96, 4))


def test_zero_points_of_columns_need_a_tile_that_takes_them(make_tensor):
    tensor = make_tensor(8, 64, 2)
    with pytest.raises(InputError, match="differ between columns: set zero_points=column"):
        pack(CoreConfig(), tensor)
    pack(CoreConfig(zero_points="column"), tensor)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("codes", np.full((2, 8), 9, np.uint8), "codes must fit 3 bits, not 9"),
        ("codes", np.zeros((2, 8), np.int8), "codes must be uint8 arrays, not int8"),
        ("scales", np.full((2, 2), np.inf, np.float32), "scales must be finite, not inf at row 0"),
        ("scales", np.ones((2, 3), np.float32), r"scales must have shape \[2, 2\], not \[2, 3\]"),
        ("zero_points", np.full((2, 2), 9, np.int16), r"zero points must be in 0\.\.8, not 9"),
        ("codes", np.zeros((0, 8), np.uint8), "codes must be a non-empty uint8 matrix"),
        ("scales", np.ones((2, 2)), "scales must be float32 arrays, not float64"),
        ("zero_points", np.ones((2, 2)), "zero_points must be int16 arrays, not float64"),
        ("zero_points", [[1, 1]] * 2, "zero_points must be int16 arrays, not list"),
        ("bits", 2.0, "bits must be an integer, not 2.0"),
        ("group_size", True, "group_size must be an integer, not True"),
        ("bits", 0, "codes must have 1..8 bits, not 0"),
    ],
)
def test_inconsistent_tensors_are_refused(field, value, message):
    fields = {
        "name": "t",
        "kind": "test",
        "bits": 3,
        "codes": np.zeros((2, 8), np.uint8),
        "scales": np.ones((2, 2), np.float32),
        "zero_points": np.zeros((2, 2), np.int16),
        "minimums": None,
        "group_size": 4,
    }
    with pytest.raises(InputError, match=message):
        QuantTensor(**{**fields, field: value})
