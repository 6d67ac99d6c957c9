"""The ISA model's arithmetic of one ``lmma`` and of a store, against whole numbers and by hand."""

import ml_dtypes
import numpy as np
import pytest
from plain_runs import BIAS, aligned, run_of

from lutcore.compiler.weights.pack import pack
from lutcore.gen.run.tile import random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.formats import number_type
from lutcore.verif.isa.arithmetic import (
    Decoded,
    RunProducts,
    accumulate,
    convert_outputs,
    run_products,
    scaled,
)
from lutcore.verif.isa.rings import put, take

BASE = CoreConfig(
    precompute="buffered", zero_points="external", n=4, k=3, lookups=2, group_size=18, max_k=64,
    max_weight_bits=4,
)  # fmt: skip
MODES = {
    "int8": {},
    "int16": {"activation": "int16"},
    "subset": {"table_form": "subset"},
    "ternary": {"weight_coding": "ternary", "max_weight_bits": 2},
    "pairs": {"k": 2, "lookups": 3, "weight_coding": "ternary", "max_weight_bits": 2},
    "int8 tables": {"table": "int8"},
    "fp16": {"activation": "fp16"},
    "bf16 by subsets": {"activation": "bf16", "table_form": "subset", "align_bits": 11},
    "fp8 tables": {"activation": "fp8-e5m2", "table": "int8"},
    "ternary fp16": {"activation": "fp16", "weight_coding": "ternary", "max_weight_bits": 2},
}


def activations(config, seed):
    reals = np.random.default_rng(seed).normal(size=(4, 18)) * [[1], [8], [0.1], [0]]
    if config.is_float:
        return reals.astype(number_type(config.float_format))
    return np.clip(np.rint(30 * reals), -128, 127).astype(f"i{config.activation_bits // 8}")


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("mode", MODES)
def test_a_run_is_the_contracts(mode, bits):
    """Two tiles of columns; zero points of all columns, or each its own in the records."""
    config = BASE.replace(**MODES[mode])
    ternary = config.weight_coding == "ternary"
    if ternary and bits != 2:
        return
    rng = np.random.default_rng(bits)
    tensor = random_tensor((8, 18), bits, 18, rng, ternary=ternary)
    packed = pack(config, tensor)
    rows = activations(config, bits)
    records = (packed.zero_points[:, 0].astype(np.int16).view(np.uint16).astype(np.uint32)) << 16
    given = rows.view(np.uint8).reshape(4, -1), packed.slices
    own = run_products(config, *given, None, records | 0x3C00, Decoded())
    first = int(packed.zero_points[0, 0])
    shared = run_products(config, *given, first, records * 0, Decoded())
    negative = run_products(config, *given, first & 0xFFFF, records * 0, Decoded())
    np.testing.assert_array_equal(shared.values, negative.values)
    assert own.values.shape == (4, 8) and not own.invalid.any()
    for m, n in np.ndindex(4, 8):
        values, power = [int(a) for a in rows[m]] if not config.is_float else [], 0
        if config.is_float:
            bias = BIAS[config.activation]
            values, exponent, offset = aligned(rows[m], bias, config.align_bits)
            power = exponent - offset
        for found, zero in ((own, tensor.zero_points[n, 0]), (shared, tensor.zero_points[0, 0])):
            product, shift = run_of(config, values, tensor.codes[n], zero, bits)
            assert (found.values[m, n], found.powers[m]) == (product, power + shift)


#: Trits of a table -> indices whose magnitude is none of a number of so many, or zero.
NOTHING = {3: (0, 14, 15, 16, 30, 31), 2: (0, 5, 6, 7, 8, 13, 14, 15)}


@pytest.mark.parametrize(("k", "index"), [(k, index) for k in NOTHING for index in NOTHING[k]])
def test_magnitudes_without_trits_count_nothing(k, index):
    config = BASE.replace(k=k, lookups=6 // k, weight_coding="ternary", max_weight_bits=2)
    bits, places = config.index_bits, 4 * config.lookups
    assert config.slice_bits == bits * places
    word = sum(index << bits * place for place in range(places)).to_bytes(places * bits // 8)[::-1]
    slices = np.tile(np.frombuffer(word, np.uint8), (2, 3, 1, 1))
    rows = activations(config, 1)
    found = run_products(config, rows.view(np.uint8), slices, 3, np.zeros(8, int), Decoded())
    np.testing.assert_array_equal(found.values, np.tile(-3 * rows.sum(axis=1), (8, 1)).T)


@pytest.mark.parametrize("activation", ["fp16", "bf16"])
def test_exact_floats_of_whole_numbers(activation):
    """Sums that need no rounding are those of integers; a zero point of 0 (z'') adds nothing."""
    config = BASE.replace(activation=activation, float_mode="exact")
    rng = np.random.default_rng(1)
    tensor = random_tensor((8, 18), 3, 18, rng)
    whole = rng.integers(-3, 4, (3, 18))
    rows = whole.astype(number_type(config.float_format))
    packed = pack(config, tensor)
    zeros = packed.zero_points[:, 0].astype(np.int16)
    records = zeros.view(np.uint16).astype(np.uint32) << 16
    given = config, rows.view(np.uint8).reshape(3, -1), packed.slices
    found = run_products(*given, None, records, Decoded())
    wanted = 2 * whole @ (tensor.codes.astype(int) - tensor.zero_points).T
    assert found.values.dtype == np.float32 and not found.powers.any()
    np.testing.assert_array_equal(found.values, wanted)
    rows[1, 4] = np.inf
    free = run_products(*given, 0, records, Decoded()).values[1]
    assert not np.isfinite(free).any()
    assert np.isnan(run_products(*given, 1, records, Decoded()).values[1]).any()


def products(values, powers, invalid=(False, False)):
    return RunProducts(np.array(values), np.array(powers), np.array(invalid))


def test_results_are_scaled_with_one_rounding():
    scales = np.array([0.5, 3], np.float32)
    plain = scaled(products([[1, -2], [(1 << 24) + 1, 5]], [0, 0]), scales)
    assert plain.dtype == np.float32
    assert plain.tolist() == [[0.5, -6], [2.0**23, 15]]
    # Half of the least subnormal is a tie; twice it is none after it was lost.
    powers = scaled(products([[1, -2], [3, 5]], [-149, 2]), scales)
    assert powers.tolist() == [[0, -6 * 2.0**-149], [6, 60]]
    marked = scaled(products([[1, 2], [3, 4]], [0, 1], [True, False]), scales)
    assert np.isnan(marked[0]).all() and marked[1].tolist() == [3, 24]
    alike = scaled(products([[1, 2], [3, 4]], [0, 0], [False, True]), scales)
    assert alike[0].tolist() == [0.5, 6] and np.isnan(alike[1]).all()


def test_sums_of_integers_wrap():
    run = products([[5, -1], [1 << 31, (1 << 32) + 7]], [0, 0])
    first = accumulate(None, run, np.zeros(2, np.uint32), half=False, integer=True)
    assert first.dtype == np.uint32
    assert first.tolist() == [[5, 0xFFFFFFFF], [1 << 31, 7]]
    again = accumulate(first, run, np.zeros(2, np.uint32), half=True, integer=True)
    assert again.tolist() == [[10, 0xFFFFFFFE], [0, 14]]


def test_sums_of_floats():
    """Halves in the records are scales before they are halved; NaN is one pattern."""
    run = products([[3, -1], [2, 4]], [0, 0])
    halves = np.array([0.5, -2], np.float16).view(np.uint16).astype(np.uint32) | 0xABCD0000
    first = accumulate(None, run, halves, half=True, integer=False)
    assert first.view(np.float32).tolist() == [[0.75, 1], [0.5, -4]]
    singles = np.array([10, np.inf], np.float32).view(np.uint32)
    second = accumulate(first, run, singles, half=False, integer=False)
    assert second.view(np.float32).tolist() == [[30.75, -np.inf], [20.5, np.inf]]
    third = accumulate(second, products([[0, 1], [0, 0]], [0, 0]), singles, False, False)
    assert third[:, 1].tolist() == [0x7FC00000, 0x7FC00000]


@pytest.mark.parametrize(
    ("type", "kind", "quiet"),
    [("fp16", np.float16, 0x7E00), ("bf16", ml_dtypes.bfloat16, 0x7FC0)],
)
def test_outputs_are_converted(type, kind, quiet):
    values = np.array([[1, -2.5, 1e30, 65519, 65520, 1e-8, np.inf, 1.00390625, 3]], np.float32)
    sums = values.view(np.uint32)
    with np.errstate(over="ignore"):
        wanted = values.astype(kind).view(np.uint16)
    found = convert_outputs(sums, type)
    assert found.dtype == np.uint16 and found.tolist() == wanted.tolist()
    odd = np.array([0x7F800001, 0xFFC12345, 0x7FC00000], np.uint32)
    assert convert_outputs(odd, type).tolist() == [quiet] * 3
    assert convert_outputs(sums[:, ::2], type).tolist() == wanted[:, ::2].tolist()
    for same in ("fp32", "int32"):
        assert convert_outputs(sums, same) is sums


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("start", [0, 1, 4, 5, 9, 23])
def test_rings_wrap(start, count):
    """As a list that is turned does; of more than there is room for, the last stay."""
    ring = np.arange(10).reshape(2, 5) + 1
    found = take(ring, start, count)
    wanted = [[row[(start + i) % 5] for i in range(count)] for row in ring.tolist()]
    assert found.tolist() == wanted
    one, content = np.zeros(5, int), np.arange(count) + 1
    put(one, start, content)
    turned = [0] * 5
    for i, value in enumerate(content.tolist()):
        turned[(start + i) % 5] = value
    assert one.tolist() == turned
