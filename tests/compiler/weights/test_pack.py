"""Packing, read back bit by bit as its docstring describes it."""

from itertools import product

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


def test_steps_by_hand():
    """Groups of 5 cut into runs of 4 and 1, the last group of 2; steps are of 2 elements."""
    config = CoreConfig(k=2, lookups=1, group_size=4, max_k=64)
    steps = cut_steps(config, 7, 5)
    assert steps.columns.tolist() == [[0, 1], [2, 3], [4, 7], [5, 6]]
    assert (steps.run.tolist(), steps.group.tolist()) == ([0, 0, 1, 2], [0, 0, 1])
    assert steps.count == 4
    assert [bool(steps.is_first(step)) for step in range(4)] == [True, False, True, True]
    assert [bool(steps.is_last(step)) for step in range(4)] == [False, True, True, True]
    found = steps.gather(np.arange(1, 15, dtype=np.uint8).reshape(2, 7))
    assert found[:, 0].tolist() == [[1, 2], [3, 4], [5, 0], [6, 7]]
    assert found[:, 1].tolist() == [[8, 9], [10, 11], [12, 0], [13, 14]]


def test_a_row_without_padding_is_only_cut():
    steps = cut_steps(CoreConfig(k=2, lookups=2, group_size=8, max_k=64), 8, 8)
    found = steps.gather(np.arange(16, dtype=np.uint8).reshape(2, 8))
    assert found.tolist() == [[[0, 1, 2, 3], [8, 9, 10, 11]], [[4, 5, 6, 7], [12, 13, 14, 15]]]


def digits(index, k):
    """Bits of an index, activation 0 first."""
    return [index >> t & 1 for t in range(k)]


def symmetric_weights(indices, k):
    """Bits are -1 and +1; all but the top one stand inverted where that is 1."""
    planes = []
    for index in indices:
        *low, top = digits(index, k)
        planes.append([2 * (bit ^ top) - 1 for bit in low] + [2 * top - 1])
    return [sum(signs[t] << p for p, signs in enumerate(planes)) for t in range(k)]


def subset_weights(indices, k):
    """Bits are 0 and 1."""
    planes = [digits(index, k) for index in indices]
    return [sum(bits[t] << p for p, bits in enumerate(planes)) for t in range(k)]


def signed_weights(indices, k):
    """The same, the top plane counting negatively."""
    high = 1 << len(indices) - 1
    return [w - 2 * (w & high) for w in subset_weights(indices, k)]


def ternary_weights(indices, k):
    """Sign (the top bit) and magnitude of ``t0 + 3 t1 + 9 t2``."""
    (index,) = indices
    sign = {2: 8, 3: 16}[k]
    number = (index % sign) * (1 - 2 * (index // sign))
    assert index != sign  # zero has one pattern
    digits = product((-1, 0, 1), repeat=k)
    (found,) = [t for t in digits if sum(d * 3**i for i, d in enumerate(t)) == number]
    return found


def whole_weights(indices, k):
    """A two's-complement number of the widest weights, 4 bits here."""
    (index,) = indices
    return [index - 2 * (index & 8)]


#: Form -> configuration, weights of a table by its indices of all planes, factor of D.
READ = {
    "symmetric": ({"k": 3}, symmetric_weights, 1),
    "subset": ({"k": 3, "table_form": "subset"}, subset_weights, 2),
    "twos-complement": ({"k": 3, "engine": "conventional-lut"}, signed_weights, 2),
    "ternary": ({"k": 3, "weight_coding": "ternary", "max_weight_bits": 2}, ternary_weights, 2),
    "pairs": ({"k": 2, "weight_coding": "ternary", "max_weight_bits": 2}, ternary_weights, 2),
    "product": ({"k": 3, "engine": "mac"}, whole_weights, 2),
}


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
@pytest.mark.parametrize("form", READ)
def test_packed_weights_mean_the_tensor(form, bits, make_tensor):
    """``2 s sum A (q - z) == 2 s' (scale D - z'' R) / 2`` of each run, D from the bits alone."""
    changes, read, scale = READ[form]
    ternary = "weight_coding" in changes
    if ternary and bits != 2:
        return
    given = {"n": 4, "lookups": 2, "max_weight_bits": 4, "max_k": 64, "zero_points": "column"}
    config = CoreConfig(**given | {"group_size": 12} | changes)
    tensor = make_tensor(6, 32, bits, 18, ternary=ternary)
    packed = pack(config, tensor)
    assert (packed.bits, packed.shape) == (bits, (6, 32))
    assert packed.nbytes == np.prod(packed.slices.shape)
    np.testing.assert_array_equal(packed.scales, tensor.scales / 2)
    activations = np.append(np.random.default_rng(bits).integers(-128, 128, 32), 0)
    size = config.index_bits
    k = config.table_k
    dots = np.zeros((8, len(packed.steps.group)), int)
    sums = np.zeros(len(packed.steps.group), int)
    wanted = np.zeros((6, len(packed.steps.group)), int)
    for step, columns in enumerate(packed.steps.columns):
        run = packed.steps.run[step]
        sums[run] += activations[columns].sum()
        inside = columns[columns < 32]
        zeros = tensor.zero_points[:, packed.steps.group[run]].astype(int)
        codes = tensor.codes[:, inside].astype(int)
        wanted[:, run] += 2 * (codes - zeros[:, None]) @ activations[inside]
        for tile, column in np.ndindex(2, 4):
            words = [int.from_bytes(w.tobytes(), "little") for w in packed.slices[tile, step]]
            tables = config.depth // k
            for table in range(tables):
                place = (column * tables + table) * size
                weights = read([word >> place & (1 << size) - 1 for word in words], k)
                part = activations[columns[table * k : table * k + k]]
                dots[tile * 4 + column, run] += int(np.dot(part, weights))
    zeros = packed.zero_points[:, packed.steps.group]
    np.testing.assert_array_equal(scale * dots[:6] - zeros * sums, wanted)


def test_what_a_tile_lacks_is_refused(make_tensor):
    ternary = CoreConfig(weight_coding="ternary", k=3, max_weight_bits=2, zero_points="column")
    binary = make_tensor(4, 32, 2)
    binary.codes[2, 5] = 3
    with pytest.raises(InputError, match="is not ternary: set weight_coding=binary"):
        pack(ternary, binary)
    with pytest.raises(InputError, match="is not ternary: set weight_coding=binary"):
        pack(ternary, make_tensor(4, 32, 1))
    with pytest.raises(InputError, match="tensor must be a QuantTensor, not ndarray"):
        pack(ternary, binary.codes)  # pyright: ignore[reportArgumentType]
    exact = CoreConfig(max_weight_bits=4, max_k=96, zero_points="column")
    assert pack(exact, make_tensor(4, 96, 4)).shape == (4, 96)
