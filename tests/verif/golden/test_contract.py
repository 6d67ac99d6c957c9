"""Golden models against the numeric contract, in whole numbers, fractions and NumPy's scalars."""

from fractions import Fraction

import numpy as np
import pytest
from plain_runs import BIAS, aligned, run_of

from lutcore.compiler.weights.pack import pack
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.blocks import align, int8_tensor_products, rounded
from lutcore.verif.golden.epilogue import core_outputs
from lutcore.verif.golden.expect import expected_results, run_spans
from lutcore.verif.golden.floats import exact_products, tree_sum
from lutcore.verif.golden.formats import bits_type, number_type
from lutcore.verif.golden.integers import integer_products
from lutcore.verif.golden.linear import GoldenLinear, spans
from lutcore.verif.golden.outputs import combine, error_bound, outputs, run_products


def parts(config, row, tensor, column):
    """P, power of two, scale group of each run of a row and a column."""
    longest = config.group_size // config.depth * config.depth
    k = tensor.shape[1]
    for group, start in enumerate(range(0, k, tensor.group_size)):
        stop = min(start + tensor.group_size, k)
        for low in range(start, stop, longest):
            part = slice(low, min(low + longest, stop))
            values, power = [int(a) for a in row[part]] if not config.is_float else [], 0
            if config.is_float:
                bias = BIAS[config.activation]
                values, exponent, offset = aligned(row[part], bias, config.align_bits)
                power = exponent - offset
            codes, zero = tensor.codes[column, part], tensor.zero_points[column, group]
            product, shift = run_of(config, values, codes, zero, tensor.bits)
            yield product, power + shift, group


def rows_of(config, m, k, seed):
    """Activations of many magnitudes."""
    reals = np.random.default_rng(seed).normal(size=(m, k)) * np.exp2(np.arange(m) % 5)[:, None]
    if config.is_float:
        return reals.astype(number_type(config.float_format))
    return np.clip(np.rint(20 * reals), -128, 127).astype(np.int8)


BASE = CoreConfig(
    precompute="buffered", zero_points="external", n=4, k=3, lookups=2, group_size=18, max_k=64,
    max_weight_bits=4,
)  # fmt: skip
MODES = {
    "int8": {},
    "int8 by subsets": {"table_form": "subset"},
    "int8 tables": {"table": "int8"},
    "fp16": {"activation": "fp16"},
    "bf16, 10 bits": {"activation": "bf16", "align_bits": 10},
    "fp8 tables": {"activation": "fp8-e5m2", "table": "int8"},
}


@pytest.fixture(params=MODES)
def problem(request, make_tensor):
    """A configuration, activations, weights with runs of 18, 4 and 6 elements, and an order."""
    config = BASE.replace(**MODES[request.param])
    tensor = make_tensor(5, 50, 3, 22, seed=4)
    order = np.random.default_rng(5).permutation(50).astype(np.int32)
    minimums = np.random.default_rng(6).normal(size=(5, 3)).astype(np.float32)
    plain = type(tensor)(**vars(tensor) | {"minimums": minimums, "column_order": order})
    rows = rows_of(config, 4, 50, 7)
    return config, rows, plain, rows[:, order]


def test_core_outputs_are_the_contracts(problem):
    """P to FP32, times scale and power with one rounding, added with another; no minimums."""
    config, rows, tensor, ordered = problem
    found = core_outputs(config, rows, tensor)
    for m, n in np.ndindex(found.shape):
        total = np.float32(0)
        for product, power, group in parts(config, ordered[m], tensor, n):
            scale = Fraction(float(tensor.scales[n, group])) / 2 * Fraction(2) ** power
            part = np.float32(float(Fraction(float(np.float32(product))) * scale))
            total = np.float32(total + part)
        assert found[m, n] == total


def test_outputs_are_the_contracts_without_rounding(problem):
    config, rows, tensor, ordered = problem
    found, bound = outputs(config, rows, tensor), error_bound(config, rows, tensor)
    weights = np.abs(tensor.dequantise()[:, tensor.column_order])
    ends = [(0, 18), (18, 22), (22, 40), (40, 44), (44, 50)]
    for m, n in np.ndindex(found.shape):
        total, off = Fraction(0), 0.0
        runs = list(parts(config, ordered[m], tensor, n))
        for (start, stop), (product, power, group) in zip(ends, runs, strict=True):
            scale, low = (float(x[n, group]) for x in (tensor.scales, tensor.minimums))
            shift = 0
            if config.table == "int8":
                one, shift = run_of(config, *whole(config, ordered[m, start:stop]), 0, 1)
                zero = 2 * int(tensor.zero_points[n, group]) - 7
                extra = abs(scale) / 2 * (7 + abs(zero)) + abs(low)
                off += (shift > 0) * 2.0**power * -(-(stop - start) // 3) * extra / 2
                # Codes of 1 and a zero point of 0: D' + R', each the tables' sum.
                sums = one // 2
            else:
                sums = sum(whole(config, ordered[m, start:stop])[0])
            if config.is_float:
                off += 2.0 ** (power - shift) * weights[n, start:stop].sum() / 2
            exact = Fraction(scale) / 2 * product + Fraction(low) * sums
            total += Fraction(2) ** power * exact
        assert found[m, n] == pytest.approx(float(total), rel=1e-12, abs=1e-12)
        assert bound[m, n] == pytest.approx(off, rel=1e-12)


def whole(config, part):
    """Integers of a part of a row, and codes of 1."""
    values = [int(a) for a in part] if not config.is_float else []
    if config.is_float:
        values = aligned(part, BIAS[config.activation], config.align_bits)[0]
    return values, [1] * len(values)


@pytest.mark.parametrize("table", ["exact", "int8"])
def test_networks_products_are_the_contracts(table, make_tensor):
    """Part by part in FP32; with tables of eight bits the power of two is part of one rounding."""
    config = BASE.replace(table=table)
    tensor = make_tensor(5, 50, 3, 22, seed=8)
    order = np.random.default_rng(5).permutation(50).astype(np.int32)
    ordered = type(tensor)(**vars(tensor) | {"column_order": order})
    rows = rows_of(config, 4, 50, 9)
    assert spans(config, 50, 22) == [
        (0, 18, 0), (18, 22, 0), (22, 40, 1), (40, 44, 1), (44, 50, 2)
    ]  # fmt: skip
    for given, seen in ((tensor, rows), (ordered, rows[:, order])):
        found = GoldenLinear(config, given)(rows)
        assert found.dtype == np.float32
        for m, n in np.ndindex(found.shape):
            total = np.float32(0)
            for product, power, group in parts(config, seen[m], given, n):
                scale = Fraction(float(given.scales[n, group])) / 2 * 2**power
                part = np.float32(float(Fraction(float(np.float32(product))) * scale))
                total = np.float32(total + part)
            assert found[m, n] == total


def test_large_sums_of_networks_are_exact(make_tensor):
    """Beyond 2^24, where float32 would round each step."""
    bits, k = 8, 4096
    config = CoreConfig(group_size=k, max_k=k, max_weight_bits=8)
    tensor = make_tensor(2, k, bits, k, seed=1)
    tensor.zero_points[:] = 0
    tensor.scales[:] = 2
    rows = np.full((1, k), -127, np.int8)
    rows[0, ::3] = -128
    exact = rows.astype(int) @ tensor.codes.astype(int).T * 2
    assert np.abs(exact).max() > 1 << 24
    np.testing.assert_array_equal(GoldenLinear(config, tensor)(rows), exact.astype(np.float32))


def test_the_first_run_replaces_what_was_there(make_tensor):
    """As the core's first ``lmma`` does: -0 is not added to 0."""
    tensor = make_tensor(3, 32, 2, 32)
    tensor.scales[:] = [[-1], [1], [-2]]
    found = GoldenLinear(CoreConfig(group_size=32, max_k=32), tensor)(np.zeros((1, 32), np.int8))
    assert not found.any() and np.signbit(found).tolist() == [[True, False, True]]


@pytest.mark.parametrize("activation", BIAS)
@pytest.mark.parametrize("bits", [13, 20])
def test_alignment_is_the_definitions(activation, bits):
    config = CoreConfig(activation=activation, group_size=32, align_bits=bits)
    format = config.float_format
    rng = np.random.default_rng(bits)
    patterns = rng.integers(0, 1 << format.bits, (300, 3))
    patterns[:100] &= (1 << format.bits - 1) | (1 << format.fraction_bits + 1) - 1  # subnormal
    patterns[0] = 0
    patterns[1] = [0, 1 << format.bits - 1, 0]
    rows = patterns.astype(bits_type(format)).view(number_type(format))
    values, exponents, invalid = align(rows, config)
    finite = np.isfinite(rows.astype(np.float32)).all(axis=1)
    np.testing.assert_array_equal(invalid, ~finite)
    assert 10 < finite.sum() < 300
    for m in np.flatnonzero(finite):
        wanted, exponent, offset = aligned(rows[m], BIAS[activation], bits)
        assert offset == config.scale_offset
        assert (values[m].tolist(), exponents[m]) == (wanted, exponent)


def test_entries_of_eight_bits_saturate():
    sums = np.array([[255, -255, 253, -253, 3, -3, 1, 1000]])
    assert rounded(sums, np.array([1])).tolist() == [[127, -127, 126, -126, 2, -2, 0, 127]]
    assert rounded(sums[0], np.zeros(8, int)).tolist() == [127, -127, 127, -127, 3, -3, 1, 127]


def test_runs_of_tables_are_padded_with_zeros(make_tensor):
    config = BASE.replace(table="int8")
    tensor = make_tensor(3, 50, 3, 22, seed=3)
    values = np.random.default_rng(0).integers(-99, 99, (2, 4))
    products, sums, shifts = int8_tensor_products(config, values, tensor, (18, 22))
    for m, n in np.ndindex(2, 3):
        row, codes = values[m].tolist(), tensor.codes[n, 18:22]
        assert run_of(config, row, codes, 0, 3) == (products[m, n] + 7 * sums[m], shifts[m])


def test_runs_and_their_results(make_tensor):
    """Spans by hand; of integers D and R of the definition, in whichever way zero points go."""
    tensor = make_tensor(5, 50, 3, 22, seed=4, shared=True)
    rows = rows_of(BASE, 4, 50, 7)
    ends = [(0, 18), (18, 22), (22, 40), (40, 44), (44, 50)]
    products = integer_products(rows, tensor, ends)
    for zero_points, scale in (("shared", 1), ("external", 1), ("external", 2)):
        form = "symmetric" if scale == 1 else "subset"
        config = BASE.replace(zero_points=zero_points, table_form=form)
        packed = pack(config, tensor)
        assert run_spans(packed) == ends
        results = expected_results(config, rows, tensor, packed)
        sums = np.stack([rows[:, a:b].astype(int).sum(axis=1) for a, b in ends], axis=1)
        np.testing.assert_array_equal(results.sums, sums)
        assert not results.exponents.any() and not results.invalid.any()
        if zero_points == "shared":
            np.testing.assert_array_equal(results.dots, products)
        codes = 2 * tensor.codes.astype(int) - 7 if scale == 1 else tensor.codes.astype(int)
        if zero_points == "external":
            dots = [rows[:, a:b].astype(int) @ codes[:, a:b].T for a, b in ends]
            np.testing.assert_array_equal(results.dots, np.stack(dots, axis=2))
        given = [part for part, _ in run_products(config, results, packed)]
        np.testing.assert_array_equal(np.stack(given, axis=2), products)
        half = combine(config, results, packed, tensor, np.float32)
        assert half.dtype == np.float32
        np.testing.assert_allclose(half, rows @ tensor.dequantise().T, rtol=1e-4, atol=1e-2)


def test_rows_with_infinities_are_nan(make_tensor):
    config = BASE.replace(activation="fp16")
    tensor = make_tensor(5, 50, 3, 22)
    rows = rows_of(config, 3, 50, 1)
    rows[1, 20] = np.inf
    rows[2, 45] = np.nan
    results = expected_results(config, rows, tensor, pack(config, tensor))
    assert np.argwhere(results.invalid).tolist() == [[1, 1], [2, 4]]
    for found in (outputs(config, rows, tensor), core_outputs(config, rows, tensor)):
        assert np.isnan(found[1:]).all() and np.isfinite(found[0]).all()


@pytest.mark.parametrize(
    ("count", "tree"),
    [
        (1, lambda x: x[0]),
        (2, lambda x: x[0] + x[1]),
        (3, lambda x: (x[0] + x[1]) + x[2]),
        (5, lambda x: ((x[0] + x[1]) + (x[2] + x[3])) + x[4]),
        (6, lambda x: ((x[0] + x[1]) + (x[2] + x[3])) + (x[4] + x[5])),
        (7, lambda x: ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + x[6])),
    ],
)
def test_trees_add_neighbours(count, tree):
    terms = np.random.default_rng(count).normal(size=(40, count)).astype(np.float32)
    assert tree_sum(terms).tolist() == [tree(row) for row in terms]


def entry(values, factors):
    """Upper half and lower half, each summed so, in the values' own type."""
    if len(values) == 1:
        return values[0] * type(values[0])(factors[0]) if factors[0] else None
    split = len(values) // 2
    low, high = entry(values[:split], factors[:split]), entry(values[split:], factors[split:])
    return low if high is None else high if low is None else high + low


ENGINES = {
    "lut": (lambda q, plane, bits: 2 * (q >> plane & 1) - 1, 3),
    "add": (lambda q, plane, bits: q >> plane & 1, 1),
    "mac": (lambda q, plane, bits: q - (1 << bits - 1), 1),
    "conventional-lut": (
        lambda q, plane, bits: -(~q >> plane & 1) if plane == bits - 1 else q >> plane & 1,
        3,
    ),
}


@pytest.mark.parametrize("activation", ["fp16", "bf16", "fp8-e4m3"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("bits", [1, 3])
def test_exact_engines_round_where_the_contract_says(engine, activation, bits):
    """Planes from the highest, doubled between; steps ascending; neighbours of a step first."""
    config = CoreConfig(
        engine=engine, activation=activation, float_mode="exact", k=3, lookups=2, group_size=12,
        max_weight_bits=3, zero_points="external",
    )  # fmt: skip
    digit, k = ENGINES[engine]
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3, 12)).astype(number_type(config.float_format))
    codes = rng.integers(0, 1 << bits, (4, 12), dtype=np.uint8)
    found, sums = exact_products(config, rows, codes, bits)
    kind = number_type(config.table_format).type
    planes = 1 if engine == "mac" else bits

    def step_sum(row, factors, step):
        places = range(step * 6, step * 6 + 6, k)
        terms = [entry(row[p : p + k], factors[p : p + k]) for p in places]
        terms = [np.float32(0 if term is None else term) for term in terms]
        while len(terms) > 1:
            pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + terms[2 * len(pairs) :]
        return terms[0]

    for m in range(3):
        row = [kind(x) for x in rows[m].astype(np.float64)]
        total = np.float32(0)
        for step in range(2):
            total = total + step_sum(row, [1] * 12, step)
        assert sums[m] == total.view(np.uint32)
        for n in range(4):
            total = np.float32(0)
            for plane in reversed(range(planes)):
                factors = [digit(int(q), plane, bits) for q in codes[n]]
                total = total + total
                for step in range(2):
                    if engine == "mac":
                        wide = [np.float32(x) for x in row]
                        total = total + step_sum(wide, factors, step)
                    else:
                        total = total + step_sum(row, factors, step)
            assert found[m, n] == total.view(np.uint32)


def test_exact_floats_of_whole_numbers_are_the_definitions(make_tensor):
    """Nothing is rounded, in runs of 18, 4 and 6 elements, with z'' of -7 to 9."""
    config = BASE.replace(activation="fp16", float_mode="exact")
    tensor = make_tensor(5, 50, 3, 22, seed=4)
    tensor.zero_points[:] = np.arange(15).reshape(5, 3) % 9
    tensor.scales[:] = np.random.default_rng(2).integers(-8, 9, tensor.scales.shape) / 4
    whole = np.random.default_rng(1).integers(-9, 10, (4, 50))
    rows = whole.astype(np.float16)
    packed = pack(config, tensor)
    ends = [(0, 18), (18, 22), (22, 40), (40, 44), (44, 50)]
    results = expected_results(config, rows, tensor, packed)
    codes = 2 * tensor.codes.astype(int) - 7
    for run, (start, stop) in enumerate(ends):
        part = slice(start, stop)
        dots = (whole[:, part] @ codes[:, part].T).astype(np.float32).view(np.uint32)
        sums = whole[:, part].sum(axis=1).astype(np.float32).view(np.uint32)
        np.testing.assert_array_equal(results.dots[..., run], dots)
        np.testing.assert_array_equal(results.sums[:, run], sums)
    assert not results.exponents.any() and not results.invalid.any()
    given = [part for part, _ in run_products(config, results, packed)]
    np.testing.assert_array_equal(np.stack(given, axis=2), integer_products(whole, tensor, ends))
    wanted = (whole @ tensor.dequantise().T).astype(np.float32)
    np.testing.assert_array_equal(core_outputs(config, rows, tensor), wanted)
    np.testing.assert_array_equal(outputs(config, rows, tensor), wanted)
