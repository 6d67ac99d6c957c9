"""Quantised tensors: the order of columns, and some of the rows."""

import dataclasses

import numpy as np
import pytest

from lutcore.compiler.weights.stored import StoredTensor
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError


def test_columns_in_another_order_belong_to_their_inputs(make_tensor):
    plain = make_tensor(3, 20, 4, 8)
    order = np.random.default_rng(1).permutation(20).astype(np.int32)
    ordered = dataclasses.replace(plain, column_order=order)
    weights = plain.dequantise()
    for column, source in enumerate(order):
        np.testing.assert_array_equal(ordered.dequantise()[:, source], weights[:, column])


@pytest.mark.parametrize(
    "order",
    [
        np.arange(20),
        np.arange(19, dtype=np.int32),
        np.zeros(20, np.int32),
        np.arange(1, 21, dtype=np.int32),
    ],
)
def test_an_order_that_is_no_permutation_is_refused(order, make_tensor):
    with pytest.raises(InputError, match=r"column_order must be an int32 permutation of 0\.\.19"):
        dataclasses.replace(make_tensor(3, 20, 4, 8), column_order=order)


def test_rows_of_a_tensor_are_those_of_its_weights(make_tensor):
    plain = make_tensor(5, 20, 4, 8)
    minimums = np.random.default_rng(2).normal(size=plain.scales.shape).astype(np.float32)
    tensor = dataclasses.replace(plain, minimums=minimums)
    part = tensor.rows(slice(1, 4))
    np.testing.assert_array_equal(part.dequantise(), tensor.dequantise()[1:4])


def tensor(**changes):
    """Two rows of five codes of 2 bits, groups of 3 and 2."""
    fields = {
        "name": "t",
        "kind": "test",
        "bits": 2,
        "codes": np.array([[0, 1, 2, 3, 0], [3, 3, 1, 0, 2]], np.uint8),
        "scales": np.array([[0.5, 2], [-1, 0.25]], np.float32),
        "zero_points": np.array([[1, 0], [4, 2]], np.int16),
        "minimums": np.array([[0, -1], [10, 0.5]], np.float32),
        "group_size": 3,
    }
    return QuantTensor(**fields | changes)


def test_weights_by_hand():
    weights = [[-0.5, 0, 0.5, 5, -1], [11, 11, 13, 0, 0.5]]
    assert tensor().dequantise().tolist() == weights
    assert tensor().shape == (2, 5)
    plain = tensor(minimums=None).dequantise()
    assert plain.tolist() == [[-0.5, 0, 0.5, 6, 0], [1, 1, 3, -0.5, 0]]


def test_a_product_without_order_is_the_same():
    order = np.array([4, 0, 3, 1, 2], np.int32)
    ordered = tensor(column_order=order)
    activations = np.arange(10).reshape(2, 5)
    plain, moved = ordered.without_order(activations)
    assert plain.column_order is None and moved.tolist() == [[4, 0, 3, 1, 2], [9, 5, 8, 6, 7]]
    wanted = activations @ ordered.dequantise().T
    np.testing.assert_array_equal(moved @ plain.dequantise().T, wanted)
    same, unmoved = tensor().without_order(activations)
    assert unmoved is activations and same.column_order is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 9}, r"tensor 't': codes must have 1\.\.8 bits, not 9"),
        ({"codes": np.zeros(5, np.uint8)}, r"a non-empty uint8 matrix, not uint8 \[5\]"),
        ({"codes": np.zeros((2, 0), np.uint8)}, r"a non-empty uint8 matrix, not uint8 \[2, 0\]"),
        ({"codes": np.full((2, 5), 4, np.uint8)}, "codes must fit 2 bits, not 4"),
        ({"group_size": 0}, "group_size must be positive, not 0"),
        ({"group_size": 5}, r"scales must have shape \[2, 1\], not \[2, 2\]"),
        ({"minimums": np.zeros((2, 2))}, "minimums must be float32 arrays, not float64"),
        ({"minimums": np.zeros((1, 2), np.float32)}, r"minimums must have shape \[2, 2\]"),
        (
            {"minimums": np.array([[0, 0], [0, np.nan]], np.float32)},
            "minimums must be finite, not nan at row 1, group 1: the checkpoint is damaged",
        ),
        (
            {"scales": np.array([[0, np.inf], [0, np.nan]], np.float32)},
            "scales must be finite, not inf at row 0, group 1",
        ),
        ({"zero_points": np.array([[0, 5], [0, 0]], np.int16)}, r"in 0\.\.4, not 0\.\.5"),
        ({"zero_points": np.array([[0, -1], [0, 0]], np.int16)}, r"in 0\.\.4, not -1\.\.0"),
        ({"column_order": np.array([0, 1, 2, 3, 3], np.int32)}, r"permutation of 0\.\.4"),
    ],
)
def test_what_is_no_tensor_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        tensor(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"bits": 8, "codes": np.full((2, 5), 255, np.uint8)},
        {"bits": 1, "codes": np.ones((2, 5), np.uint8), "zero_points": np.full((2, 2), 2, "i2")},
        {"codes": np.array([[3]], np.uint8), "group_size": 1}
        | {name: np.ones((1, 1), np.float32) for name in ("scales", "minimums")}
        | {"zero_points": np.zeros((1, 1), np.int16)},
    ],
)
def test_the_ends_of_every_range_are_taken(changes):
    stored = StoredTensor.of(tensor(**changes))
    stored.check("t")
    assert stored.unpack("t").codes.size


@pytest.mark.parametrize("bits", range(1, 9))
def test_stored_codes_are_a_stream_of_bits(bits):
    """Bit i of code j is bit j * bits + i of the bytes."""
    codes = np.random.default_rng(bits).integers(0, 1 << bits, (3, 5)).astype(np.uint8)
    order = np.array([1, 0, 2, 4, 3], np.int32)
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    whole = tensor(
        bits=bits,
        codes=codes,
        scales=values,
        zero_points=np.ones((3, 2), np.int16),
        minimums=-values,
        column_order=order,
    )
    stored = StoredTensor.of(whole)
    stream = int.from_bytes(stored.parts["codes"].tobytes(), "little")
    assert stream == sum(int(code) << bits * j for j, code in enumerate(codes.ravel()))
    assert stored.parts["codes"].shape == (-(-15 * bits // 8),)
    stored.check("t")
    again = stored.unpack("t")
    for name in ("codes", "scales", "zero_points", "minimums", "column_order"):
        assert getattr(again, name).tolist() == getattr(whole, name).tolist()
        assert getattr(again, name).dtype == getattr(whole, name).dtype
    assert (again.bits, again.group_size, again.shape, again.kind) == (bits, 3, (3, 5), "test")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (0, 5)}, "matrix t is incomplete"),
        ({"shape": (2, 0)}, "matrix t is incomplete"),
        ({"shape": (2, -5)}, "matrix t is incomplete"),
        ({"shape": (-2, 5)}, "matrix t is incomplete"),
        ({"group_size": -3}, "matrix t is incomplete"),
        ({"bits": 0}, "matrix t is incomplete"),
        ({"bits": 9}, "matrix t is incomplete"),
        ({"group_size": 0}, "matrix t is incomplete"),
        ({"shape": (3, 5)}, "matrix t must have 3 x 5 codes of 2 bits"),
        ({"bits": 3}, "matrix t must have 2 x 5 codes of 3 bits"),
        ({"group_size": 2}, "scales must have shape"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(changes, message):
    stored = StoredTensor.of(tensor())
    with pytest.raises(InputError, match=message):
        dataclasses.replace(stored, **changes).check("t")


def test_parts_are_those_of_a_tensor():
    stored = StoredTensor.of(tensor(minimums=None))
    assert set(stored.parts) == {"codes", "scales", "zero_points"}
    for parts in (
        {name: part for name, part in stored.parts.items() if name != "scales"},
        dict(stored.parts) | {"odd": np.zeros(1)},
    ):
        with pytest.raises(InputError, match="matrix t is incomplete"):
            dataclasses.replace(stored, parts=parts).check("t")
    wide = dict(stored.parts) | {"codes": stored.parts["codes"].astype(np.uint16)}
    with pytest.raises(InputError, match="must have 2 x 5 codes of 2 bits"):
        dataclasses.replace(stored, parts=wide).check("t")
