"""Quantised tensors: the order of columns, and some of the rows."""

import dataclasses

import numpy as np
import pytest

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
