"""Every legal combination of engine, activation, table mode and precompute, bit-exact."""

from itertools import product

import numpy as np
import pytest
from sweeps import swept

from lutcore.errors import InputError
from lutcore.gen.run.tile import as_format, random_activations
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FLOATS, FORMATS, INTEGERS
from lutcore.verif.golden.formats import number_type
from lutcore.verif.sim.job import Stalls, tile_job
from lutcore.verif.sim.layout import PLANE_ORDERS

pytestmark = pytest.mark.slow

BUSY = Stalls(activations=0.2, weights=0.2, zero_points=0.3, results=0.3)
ENGINES = ("lut", "mac", "add", "conventional-lut")
EXACT = {"float_mode": "exact", "zero_points": "external"}
ALIGNED = {"float_mode": "aligned", "group_size": 32}
TERNARY = {"weight_coding": "ternary", "k": 3, "max_weight_bits": 2}
PAIRS = {**TERNARY, "k": 2, "lookups": 2}


def combinations():
    """Name -> changes of a small tile, for everything that is legal."""
    found = {}

    def add(*parts, **changes):
        found["-".join(parts)] = changes

    for engine, activation in product(ENGINES, INTEGERS):
        add(engine, activation, engine=engine, activation=activation)
    for engine, activation in product(ENGINES, FLOATS):
        add(engine, activation, "aligned", engine=engine, activation=activation, **ALIGNED)
        bits = min(3, FORMATS[activation].precision + 1)
        exact = {"engine": engine, "activation": activation, "max_weight_bits": bits}
        add(engine, activation, "exact", **exact, **EXACT)
    for activation in (*INTEGERS, *FLOATS):
        add("int8-tables", activation, activation=activation, table="int8", group_size=32)
        scaled = ALIGNED if activation in FLOATS else {}
        add("ternary", activation, activation=activation, **scaled, **TERNARY)
        add("pairs", activation, activation=activation, **scaled, **PAIRS)
    for precompute in ("buffered", "external"):
        common = {"precompute": precompute, "group_size": 32}
        add(precompute, "int8", **common)
        add(precompute, "subset", table_form="subset", **common)
        add(precompute, "int8-tables", table="int8", **common)
        add(precompute, "ternary", **common, **TERNARY)
        add(precompute, "fp16", activation="fp16", **common)
        add(precompute, "fp16-int8-tables", activation="fp16", table="int8", **common)
        add(precompute, "fp16-exact", activation="fp16", **common, **EXACT)
    add("lookups-exact", activation="fp16", lookups=3, k=2, pipeline=1, **EXACT)
    add("mac-pipelined", engine="mac", k=4, lookups=2, pipeline=2, max_weight_bits=8)
    add("conventional-lookups", engine="conventional-lut", k=2, lookups=2, pipeline=2)
    add("ternary-lookups", lookups=2, pipeline=1, **TERNARY)
    for kind, bits in (("select", 2), ("select", 1), ("booth", 3), ("rows", 6)):
        fields = {"multiplier": kind, "max_weight_bits": bits}
        add("mac", kind, str(bits), engine="mac", k=5, pipeline=1, **fields)
    add("mac-ternary", engine="mac", lookups=2, pipeline=1, multiplier="select", **TERNARY)
    for cut in (0, 1, 3):  # the default is in others
        add(f"cut-{cut}", lookups=5, k=2, pipeline=1, pipeline_cut=cut)
        add(f"cut-{cut}-mac", engine="mac", k=3, pipeline=1, pipeline_cut=cut, max_weight_bits=6)
        add(f"cut-{cut}-pairs", pipeline=2, pipeline_cut=cut, **PAIRS)
    for engine in ("lut", "add", "conventional-lut"):
        add("doubling", engine, engine=engine, plane_order="descending", k=2, lookups=2)
    add("doubling-subset", plane_order="descending", k=2, lookups=2, table_form="subset")
    add("subset-bf16", activation="bf16", table_form="subset", k=2, lookups=2, **ALIGNED)
    return found


COMBINATIONS = combinations()


def tile(**changes):
    rows = 1 if changes.get("float_mode") == "exact" else 2  # float units take long to compile
    return CoreConfig(**{"m": rows, "n": 2, "max_weight_bits": 3, "max_k": 128, **changes})


def fitting(config, make_tensor, n, k, bits, seed=0):
    """Random weights that the configuration takes."""
    ternary = config.weight_coding == "ternary"
    shared = config.zero_points == "shared"
    return make_tensor(n, k, 2 if ternary else bits, 32, seed, shared=shared, ternary=ternary)


#: Every fifth combination; `make long` has the others.
SLICE = 5
SLICED = swept(COMBINATIONS, SLICE)


def test_the_slice_has_every_word():
    """Engines, activations, tables, codings and precomputes are all in `make test`."""
    sliced = list(COMBINATIONS.values())[::SLICE]
    for field in ("engine", "activation", "table", "precompute", "float_mode", "weight_coding"):
        words = {changes.get(field) for changes in COMBINATIONS.values()}
        assert {changes.get(field) for changes in sliced} == words, field


@pytest.mark.parametrize("name", SLICED)
def test_bit_exact(name, make_tensor, run_tile):
    """All weight widths, ragged sizes, plane orders where they are free, stalls or none."""
    config = tile(**COMBINATIONS[name])
    rng = np.random.default_rng(len(name))
    free = not config.doubles and not config.exact_floats
    jobs = []
    for seed in range(2 * config.max_weight_bits):
        tensor = fitting(config, make_tensor, 3, 70, 1 + seed // 2, seed)
        activations = random_activations(config, 3, 70, rng)
        order = PLANE_ORDERS[seed % 4] if free else None
        stalls = BUSY if seed % 2 else Stalls()
        jobs.append(tile_job(config, activations, tensor, order=order, stalls=stalls, seed=seed))
    for job, verdict in zip(jobs, run_tile(config, jobs), strict=True):
        assert verdict["mismatches"] == 0, verdict["problems"]
        assert verdict["beats"] == job.beats
        assert verdict["checked"] == sum(int(c.sum()) for c in job.checked.values()) > 0


def test_engines_agree_on_integers(make_tensor):
    """The same problem expects the same results of every engine, table form and coding."""
    activations = np.random.default_rng(1).integers(-128, 128, (2, 96))
    tensor = make_tensor(4, 96, 2, 32, shared=True, ternary=True)
    variants = [{"engine": engine, "k": 3} for engine in ENGINES]
    variants += [{"table_form": "subset", "k": 3}, TERNARY, {"precompute": "external", "k": 3}]
    dots = []
    for changes in variants:
        job = tile_job(tile(n=4, result_columns=4, **changes), activations, tensor)
        dots.append(job.expected["dot"])
        assert job.checked["dot"].all()
    for other in dots[1:]:
        np.testing.assert_array_equal(other, dots[0])


# Special values ----------------------------------------------------------------------------------

FLOAT_ENGINES = {
    "lut-fp16": {"activation": "fp16", **EXACT},
    "lut-fp8-e5m2": {"activation": "fp8-e5m2", **EXACT},
    "mac-fp16": {"activation": "fp16", "engine": "mac", **EXACT},
    "lut-bf16-aligned": {"activation": "bf16", **ALIGNED},
}
POSITIVE_INFINITY, QUIET_NAN = 0x7F800000, 0x7FC00000


def special_job(config, make_tensor, values):
    """One row of activations, three bits, all codes on every plane: 0 .. 7 in turn."""
    tensor = make_tensor(8, 32, 3, 32, shared=True)
    tensor.codes[:] = np.arange(8)[:, None]
    tensor.zero_points[:] = 0
    return tile_job(config, as_format(np.atleast_2d(values), config), tensor)


@pytest.mark.parametrize("engine", FLOAT_ENGINES)
def test_zero_on_every_plane_is_zero(engine, make_tensor, run_tile):
    """0.0 and -0.0 stay zero whatever the weight: no exponent trick adds anything to them."""
    config = tile(n=8, result_columns=8, **FLOAT_ENGINES[engine])
    jobs = [special_job(config, make_tensor, np.full(32, zero)) for zero in (0.0, -0.0)]
    for job in jobs:
        assert not (job.expected["dot"] & 0x7FFFFFFF)[job.checked["dot"]].any()
    assert [v["mismatches"] for v in run_tile(config, jobs)] == [0, 0]


@pytest.mark.parametrize("engine", FLOAT_ENGINES)
def test_largest_finite_on_every_plane(engine, make_tensor, run_tile):
    """The largest finite activation, once and in every place, either sign."""
    config = tile(n=8, result_columns=8, **FLOAT_ENGINES[engine])
    largest = float(_largest(config))
    single = np.zeros(32)
    single[5] = largest
    mixed = largest * np.where(np.arange(32) % 2, 1, -1)
    jobs = [special_job(config, make_tensor, v) for v in (single, mixed, np.full(32, -largest))]
    assert [v["mismatches"] for v in run_tile(config, jobs)] == [0, 0, 0]


def _largest(config):
    bits = np.array([config.float_format.max_finite], f"u{config.float_format.bits // 8}")
    return bits.view(number_type(config.float_format))[0]


def test_overflow_to_infinity(make_tensor, run_tile):
    """Sums of BF16 beyond FP32's range become infinite, and stay so."""
    config = tile(n=8, activation="bf16", engine="add", **EXACT)
    job = special_job(config, make_tensor, np.full(32, float(_largest(config))))
    assert (job.expected["dot"] == POSITIVE_INFINITY).any()
    assert [v["mismatches"] for v in run_tile(config, [job])] == [0]


@pytest.mark.parametrize("engine", ["lut-fp16", "lut-fp8-e5m2", "mac-fp16"])
def test_nan_propagates_to_every_column(engine, make_tensor, run_tile):
    config = tile(n=8, result_columns=8, **FLOAT_ENGINES[engine])
    values = np.ones(32)
    values[7] = np.nan
    job = special_job(config, make_tensor, values)
    row = job.expected["dot"][:, 0]
    assert (row == QUIET_NAN)[job.checked["dot"][:, 0]].all()
    assert (job.expected["row_sum"][:, 0] == QUIET_NAN).all()
    assert [v["mismatches"] for v in run_tile(config, [job])] == [0]


def test_zero_times_infinity_is_nan_in_a_multiplier(make_tensor, run_tile):
    """Weight 0 (code 4 of three bits) times infinity: NaN; other weights: infinite."""
    config = tile(n=8, result_columns=8, **FLOAT_ENGINES["mac-fp16"])
    values = np.zeros(32)
    values[3] = np.inf
    job = special_job(config, make_tensor, values)
    dots = job.expected["dot"][:, 0].ravel()
    assert dots[4] == QUIET_NAN
    assert (np.delete(dots, 4) & 0x7FFFFFFF == POSITIVE_INFINITY).all()
    assert [v["mismatches"] for v in run_tile(config, [job])] == [0]


def test_aligned_runs_say_that_they_hold_infinity_or_nan(make_tensor, run_tile):
    """Only the run and row that hold one are invalid; all others are right."""
    config = tile(n=8, activation="fp16", **ALIGNED)
    values = np.ones((2, 96))
    values[1, 40] = np.inf
    values[0, 95] = np.nan
    tensor = make_tensor(8, 96, 2, 32, shared=True)
    job = tile_job(config, as_format(values, config), tensor)
    beats = config.drain_beats
    invalid = job.expected["invalid"][::beats]
    assert invalid.tolist() == [[0, 0], [0, 1], [1, 0]]
    assert job.checked["invalid"].all()
    assert [v["mismatches"] for v in run_tile(config, [job])] == [0]


# What makes no sense is refused, and says why ----------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"engine": "mac", "table_form": "subset"},
            "table_form is for engine lut; mac has its own",
        ),
        (
            {"engine": "add", **TERNARY},
            "weight_coding = ternary needs engine lut, or mac with multiplier = select, not add",
        ),
        ({"engine": "mac", "table": "int8", "group_size": 32}, "table = int8 needs engine lut"),
        (
            {"engine": "mac", "precompute": "buffered"},
            "precompute = buffered needs engine lut: mac",
        ),
        ({"weight_coding": "ternary", "max_weight_bits": 2}, "ternary needs k = 2 or 3, not 4"),
        ({"weight_coding": "ternary", "k": 3}, "ternary needs max_weight_bits = 2, not 3"),
        (
            {"table": "int8", "group_size": 32, **TERNARY},
            "table = int8 needs weight_coding = binary",
        ),
        (
            {"table": "int8", "table_form": "subset", "group_size": 32},
            "need table_form = symmetric",
        ),
        ({"activation": "fp16", **EXACT, **TERNARY}, "ternary needs float_mode = aligned"),
        ({"activation": "fp16", "table": "int8", **EXACT}, "int8 needs integers: set float_mode"),
        ({"table": "int8"}, "table = int8 shares a scale within a run: set group_size"),
        (
            {"activation": "bf16"},
            "float_mode = aligned shares a scale within a run: set group_size",
        ),
        ({"activation": "fp16", "align_bits": 11, **ALIGNED}, "align_bits must be at least 12"),
        ({"activation": "fp16", "table_form": "subset", **EXACT}, "exact needs table_form"),
        (
            {"activation": "fp16", "float_mode": "exact"},
            "float_mode = exact needs zero_points = external",
        ),
        (
            {"activation": "fp8-e5m2", "engine": "mac", "max_weight_bits": 5, **EXACT},
            "holds weights in fp8-e5m2: max_weight_bits must be at most 4, not 5",
        ),
        ({"precompute": "buffered", "max_k": 16384}, "keeps a run of at most 1024 steps, not 4096"),
    ],
)
def test_illegal_combinations_say_why(changes, reason):
    with pytest.raises(InputError) as refused:
        tile(**changes)
    assert reason in str(refused.value)


def test_ternary_weights_must_be_ternary(make_tensor):
    config = tile(**TERNARY)
    tensor = make_tensor(2, 30, 2, 32, shared=True)
    tensor.codes[0, 0] = 3
    with pytest.raises(InputError, match="is not ternary: set weight_coding=binary"):
        tile_job(config, np.ones((1, 30), int), tensor)


@pytest.mark.parametrize(
    "change", [{"activation": "fp16", **EXACT}, {"plane_order": "descending"}], ids=["float", "int"]
)
def test_accumulators_that_double_take_one_order_of_planes(change, make_tensor):
    config = tile(**change)
    activations = np.ones((1, 32), np.float16 if config.is_float else np.int8)
    with pytest.raises(InputError, match="take planes in order plane-major, not 'ascending'"):
        tile_job(config, activations, make_tensor(2, 32, 2, 32), order="ascending")


def test_float_activations_must_have_the_format(make_tensor):
    config = tile(activation="bf16", **ALIGNED)
    with pytest.raises(InputError, match=r"must be a non-empty bf16 matrix \[M, K\], not float32"):
        tile_job(config, np.ones((1, 32), np.float32), make_tensor(2, 32, 2, 32, shared=True))
