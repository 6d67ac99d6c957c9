"""Rounding of matrices, against a search by hand and NumPy's least squares."""

from itertools import product

import numpy as np
import pytest

from lutcore.compiler.weights.quantise import Rounding
from lutcore.errors import InputError

SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def searched(group, most):
    """Scale, zero point, codes of the least squared error of one group, the first of equals."""
    low, high = min(group.min(), 0), max(group.max(), 0)
    best = None
    for share in SHARES:
        scale = np.float32(np.float16((high - low) * np.float32(share / most))) or np.float32(1)
        zero = min(max(round(float(-low * np.float32(share) / scale)), 0), most + 1)
        codes = [min(max(round(float(w / scale)) + zero, 0), most) for w in group]
        error = sum(
            (float(w) - float(scale) * (c - zero)) ** 2 for w, c in zip(group, codes, strict=True)
        )
        if best is None or error < best[0] * (1 - 1e-5):
            best = error, scale, zero, codes
    assert best is not None
    return best


@pytest.mark.parametrize(("bits", "ternary"), [(2, False), (2, True), (3, False), (8, False)])
def test_each_group_has_the_least_error_of_a_few(bits, ternary):
    rng = np.random.default_rng(bits)
    weights = rng.standard_t(3, (6, 22)).astype(np.float32)
    weights[1] = np.abs(weights[1])  # no zero point within its values
    weights[2] = -np.abs(weights[2])
    weights[3] = 0
    # Where scales are coarse, below FP16's normal numbers, zero points end with the codes.
    weights[4] = np.linspace(0, -1.45 * 2.0**-24 * ((1 << bits) - 1), 22)
    found = Rounding(bits, 8, ternary).apply("w", weights)
    assert (found.bits, found.group_size, found.kind) == (bits, 8, f"W{bits}")
    assert found.minimums is None and found.shape == (6, 22)
    most = 2 if ternary else (1 << bits) - 1
    assert found.codes.max() == most
    differ = 0
    for n, start in np.ndindex(6, 3):
        group = weights[n, 8 * start : 8 * start + 8]
        padded = np.pad(group, (0, 8 - len(group)), mode="edge")
        _, scale, zero, codes = searched(padded, most)
        got = found.scales[n, start], found.zero_points[n, start]
        differ += got != (scale, zero)
        part = found.codes[n, 8 * start : 8 * start + len(group)]
        assert got != (scale, zero) or part.tolist() == codes[: len(group)]
    assert differ <= 1  # sums in float32 may be equal where these are not


def test_every_share_is_the_best_somewhere():
    """Heavy tails are cut off the more, the more of the values are small."""
    rng = np.random.default_rng(0)
    used = set()
    for count, tail in product((3, 31, 255), np.linspace(1, 6, 20)):
        group = np.append(rng.uniform(-1, 1, count), [tail]).astype(np.float32)
        found = Rounding(2, 256).apply("w", group[None])
        _, scale, zero, _ = searched(group, 3)
        assert (found.scales[0, 0], found.zero_points[0, 0]) == (scale, zero)
        whole = (max(group.max(), 0) - min(group.min(), 0)) / 3
        used.add(round(float(scale / whole), 1))
    assert used == set(SHARES)


def test_one_bit_is_sign_and_mean_magnitude():
    weights = np.array([[1, -2, 3, 0, -4], [-1, -1, 1, 8, 0.5]], np.float32)
    found = Rounding(1, 3).apply("w", weights)
    assert found.codes.tolist() == [[1, 0, 1, 1, 0], [0, 0, 1, 1, 1]]
    assert found.scales.tolist() == [[4, 4], [2, 8.5]]
    values = [[2, -2, 2, 2, -2], [-1, -1, 1, 4.25, 4.25]]
    assert found.dequantise().tolist() == values
    assert (found.kind, found.bits, found.group_size) == ("W1", 1, 3)


def test_groups_are_no_longer_than_rows():
    weights = np.array([[1, -1, 0.5]], np.float32)
    for bits in (1, 4):
        found = Rounding(bits, 32).apply("w", weights)
        assert found.group_size == 3 and found.scales.shape == (1, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0,), r"--bits must be 1\.\.8, not 0"),
        ((9,), r"--bits must be 1\.\.8, not 9"),
        ((4, 0), "--group must be positive, not 0"),
        ((3, 32, True), "ternary codes have 2 bits, not 3"),
        ((1, 32, True), "ternary codes have 2 bits, not 1"),
    ],
)
def test_what_cannot_be_rounded_to_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        Rounding(*given)


@pytest.mark.parametrize(("bits", "unit"), [(1, 2), (2, 3), (8, 255)])
def test_scales_must_be_normal_halves(bits, unit):
    """``unit`` is the greatest scale's share of a group's range, from 0 to its value."""
    for scale in (65504.0, 2.0**-14):
        Rounding(bits, 1).apply(
            "w", np.array([[scale * unit]], np.float32) / (4 if bits == 1 else 1)
        )
    above = np.array([[65600.0 * unit]], np.float32)
    with pytest.raises(InputError, match="tensor 'w': its values are beyond FP16 scales: scale it"):
        Rounding(bits, 1).apply("w", above)
    below = np.array([[2.0**-15 * unit / 4]], np.float32)
    with pytest.raises(
        InputError, match="tensor 'w': its values are beneath FP16 scales: scale it"
    ):
        Rounding(bits, 1).apply("w", below)
    assert not Rounding(bits, 1).apply("w", np.zeros((1, 2), np.float32)).scales.ravel()[0] > 1
