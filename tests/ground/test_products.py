"""``lutcore.matmul`` against NumPy, for shapes, types and configurations drawn at random."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweeps import swept

import lutcore
from lutcore import InputError, QuantTensor, matmul, preset
from lutcore.compiler.weights.quantise import Rounding
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS
from lutcore.verif.samples.cores import SMALL_CORES

INTEGER_TYPES = ["i1", "u1", "i2", "i4", "i8", "u8", ml_dtypes.int4]
FLOAT_TYPES = ["f2", "f4", "f8", ml_dtypes.bfloat16]
_ALL = PRESETS | CORE_PRESETS


def whole(rng: np.random.Generator, shape, low: int, high: int, dtype) -> np.ndarray:
    """Integers of the range that the type holds."""
    info = ml_dtypes.iinfo(dtype)
    low, high = max(low, int(info.min)), min(high, int(info.max))
    return rng.integers(low, high, shape, endpoint=True).astype(dtype)


@st.composite
def products(draw):
    """A configuration's name, and operands that it takes."""
    name = draw(st.sampled_from(sorted(_ALL)))
    config = _ALL[name]
    m, n, k = (draw(st.integers(1, high)) for high in (5, 40, 150))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    integer = st.sampled_from(INTEGER_TYPES)
    real = st.sampled_from(FLOAT_TYPES)
    if draw(st.booleans()):
        low, high = (-100, 100) if config.is_float else config.activation_range
        A = whole(rng, (m, k), low, high, np.dtype(draw(integer)))
    else:
        A = rng.standard_t(3, (m, k)).clip(-50, 50).astype(np.dtype(draw(real)))
    if draw(st.booleans()):
        ternary = config.weight_coding == "ternary"
        levels = 3 if ternary else 1 << draw(st.integers(1, config.max_weight_bits))
        lowest, step = draw(st.integers(-levels, 1)), draw(st.sampled_from([1, 1, 2, 5]))
        W = (lowest + step * rng.integers(0, levels, (n, k))).astype(np.int64)
        group = draw(st.sampled_from([None, 1, 7, 32]))
        return name, A, W, None, group
    W = (rng.standard_normal((n, k)) * 2.0 ** draw(st.integers(-6, 6))).astype(np.dtype(draw(real)))
    bits = draw(st.integers(1, config.max_weight_bits))
    if config.weight_coding == "ternary":
        bits = 2
    return name, A, W, bits, draw(st.sampled_from([None, 3, 32, 64]))


def rounded_activations(A: np.ndarray, config) -> tuple[np.ndarray, np.ndarray]:
    """The rule of docs/compiler.md, written out: integers, and a bound of what is lost."""
    wide = np.asarray(A, np.float32)
    if np.issubdtype(A.dtype, np.integer) or A.dtype == ml_dtypes.int4:
        return wide, np.zeros((len(A), 1))
    most = config.activation_range[1]
    step = np.maximum(np.abs(wide).max(axis=1, keepdims=True), np.float32(1e-5)) / np.float32(most)
    return np.rint(wide / step).astype(np.float64) * step, step / 2


def judge(name: str, A: np.ndarray, W: np.ndarray, bits: int | None, group: int | None, values):
    """Exact where all is exact; else within what rounding of operands and of tables may lose."""
    config = _ALL[name]
    a, w = np.asarray(A, np.float64), np.asarray(W, np.float64)
    exact = a @ w.T
    integers = W.dtype.kind in "iu" and (A.dtype.kind in "iu" or A.dtype == ml_dtypes.int4)
    if integers and config.integer_results:
        assert values.dtype == np.int64
        np.testing.assert_array_equal(values, exact.astype(np.int64))
        return
    assert values.dtype == np.float32
    k = a.shape[1]
    w_loss = np.zeros_like(w)
    if W.dtype.kind not in "iu":
        size = group or 32
        most = 2 if config.weight_coding == "ternary" else (1 << (bits or 0)) - 1
        for low in range(0, k, size):
            part = w[:, low : low + size]
            span = np.maximum(part.max(axis=1), 0) - np.minimum(part.min(axis=1), 0)
            # Half a step and what a whole zero point costs; cut ranges only make errors smaller in
            # their squares' sum, which is at most that of the whole range.
            w_loss[:, low : low + size] = (span / most + 1e-7)[:, None] * np.sqrt(part.shape[1])
            if bits == 1:  # signs times the mean magnitude
                w_loss[:, low : low + size] = 2 * np.abs(part).max(axis=1)[:, None] + 1e-7
    if config.is_float:
        eps = float(ml_dtypes.finfo(config_type(config)).eps)
        smallest = float(ml_dtypes.finfo(config_type(config)).smallest_subnormal)
        # Alignment keeps 14 bits of a group's greatest; FP16 table entries and FP32 sums lose less
        # than a few units of the format each.
        a_loss = eps * np.abs(a) + smallest + 2.0**-12 * np.abs(a).max(axis=1, keepdims=True)
        a_loss = a_loss + (8 * eps * np.abs(a).max(axis=1, keepdims=True))
    else:
        a_loss = np.broadcast_to(rounded_activations(A, config)[1], a.shape)
    if config.table == "int8":  # half a unit of 2^h in every table entry
        a_loss = a_loss + np.abs(a).max(axis=1, keepdims=True) * 4 / 127
    if config.integer_results and W.dtype.kind not in "iu":  # what rounding leaves is exact
        ternary = config.weight_coding == "ternary"
        rounding = Rounding(bits or 8, group or 32, ternary)
        near = (
            rounded_activations(A, config)[0]
            @ rounding.apply("W", w.astype(np.float32)).dequantise().T
        )
        scale = np.abs(a).max() * np.abs(w).max() * k
        np.testing.assert_allclose(values, near, rtol=1e-5, atol=2e-6 * scale)
    bound = np.abs(a) @ w_loss.T + a_loss @ (np.abs(w) + w_loss).T
    spread = np.abs(w).max() + w_loss.max()
    if config.table == "int8" or config.is_float:  # entries are sums, of weights of all planes
        bound = bound + a_loss.sum(axis=1, keepdims=True) * 2 * spread
    bound = bound + 1e-5 * (np.abs(a) @ np.abs(w).T) + 1e-30
    assert (np.abs(values - exact) <= bound).all()


def config_type(config):
    return {
        "fp16": np.float16,
        "bf16": ml_dtypes.bfloat16,
        "fp8-e4m3": ml_dtypes.float8_e4m3fn,
        "fp8-e5m2": ml_dtypes.float8_e5m2,
    }[config.activation]


@settings(
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(products())
def test_golden_is_numpy(drawn):
    name, A, W, bits, group = drawn
    if group is not None and W.dtype.kind in "iu" and not _ALL[name].integer_results:
        group = None
    result = matmul(A, W, name, bits=bits, group=group)
    judge(name, A, W, bits, group, result.values)
    assert result.report.shape == (*A.shape[:1], *W.shape)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(products().filter(lambda drawn: drawn[0] in CORE_PRESETS))
def test_the_isa_model_is_numpy_and_golden(drawn):
    name, A, W, bits, group = drawn
    result = matmul(A, W, name, on="isa", bits=bits, group=group)
    judge(name, A, W, bits, group, result.values)
    assert (result.report.checked, result.report.mismatches) == (result.values.size, 0)
    assert result.report.cycles is None


#: Configurations that build fast, of each kind.
TILE = preset("w2a8").replace(name="tile", n=4, max_k=256)
CORE = SMALL_CORES["w4a8"]


@pytest.mark.slow
@pytest.mark.parametrize("name", swept(["w4a8", "ternary", "fp16-exact", "int8-tables", "fp16"], 2))
def test_a_core_in_rtl_is_golden(name):
    rng = np.random.default_rng(3)
    A, W = rng.standard_normal((3, 40)), rng.standard_normal((9, 40))
    config = SMALL_CORES[name]
    golden, found = matmul(A, W, config), matmul(A, W, config, on="rtl")
    np.testing.assert_array_equal(found.values, golden.values)
    assert found.report.checked == 27 and found.report.mismatches == 0
    assert found.report.cycles and found.report.cycles > 40


@pytest.mark.slow
def test_whole_numbers_on_every_place_are_numpy():
    rng = np.random.default_rng(4)
    A, W = rng.integers(-128, 128, (5, 60)), rng.integers(-8, 8, (9, 60))
    for on in ("golden", "isa", "rtl", "board"):
        result = matmul(A, W, CORE, on=on)
        np.testing.assert_array_equal(result.values, A @ W.T)
        assert result.report.mismatches == 0, on
        assert (result.report.cycles is not None) == (on in ("rtl", "board"))


@pytest.mark.slow
@pytest.mark.parametrize("tile", swept(["w2a8", "w2-fp16-exact", "w2a8-int8-tables", "w4-fp16"], 2))
def test_a_tile_in_rtl_is_golden(tile):
    rng = np.random.default_rng(5)
    A, W = rng.standard_normal((3, 70)), rng.standard_normal((5, 70))
    config = preset(tile).replace(n=4, max_k=256)
    golden, found = matmul(A, W, config, bits=2), matmul(A, W, config, on="rtl", bits=2)
    np.testing.assert_allclose(found.values, golden.values, rtol=1e-6)
    assert found.report.checked > 15 and found.report.mismatches == 0


def test_a_wrong_tile_is_reported(monkeypatch):
    """Values are those of the RTL, and the report says that they are wrong."""
    from lutcore.gen.run import tile as module

    A, W = np.ones((2, 64), np.int8), np.ones((4, 64), np.int8)
    sound = module.verilog(TILE)
    broken = sound.replace(" ^ ", " ~^ ", 1)
    assert broken != sound
    monkeypatch.setattr(module, "verilog", lambda config: broken)
    result = matmul(A, W, TILE, on="rtl")
    assert result.report.mismatches > 0
    assert (result.values != A @ W.T.astype(np.int64)).any()


def test_long_sums_of_extremes_are_exact_on_the_core():
    """K beyond what 32 bits hold is summed in parts."""
    A, W = np.full((1, 70_000), -128), np.full((3, 70_000), -8)
    W[0] = 7
    config = preset("edge")
    result = matmul(A, W, config, on="isa")
    np.testing.assert_array_equal(result.values, A @ W.T)
    assert result.report.mismatches == 0 and result.values.max() == 128 * 8 * 70_000


def test_a_tensor_of_a_checkpoint_keeps_its_codes(example):
    tensor = example.tensor("blk.0.ffn_down.weight")
    A = np.random.default_rng(6).integers(-100, 100, (2, tensor.shape[1]))
    result = matmul(A, tensor)
    assert result.values.dtype == np.float32 and result.report.weight_bits == tensor.bits
    np.testing.assert_allclose(result.values, A @ tensor.dequantise().T, rtol=1e-3, atol=1e-2)
    with pytest.raises(InputError, match="W is quantised already: leave out bits and group"):
        matmul(A, tensor, bits=2)


def test_minimums_are_added_on_the_core(example):
    tensor = example.tensor("blk.0.attn_k.weight")
    assert isinstance(tensor, QuantTensor) and tensor.minimums is not None
    A = np.random.default_rng(6).integers(-100, 100, (2, tensor.shape[1]))
    result = matmul(A, tensor, "default", on="isa")
    np.testing.assert_allclose(result.values, A @ tensor.dequantise().T, rtol=1e-3, atol=1e-2)
    assert result.report.mismatches == 0


@pytest.mark.parametrize("power", [-100, -30, -20, 0, 40, 90])
def test_floats_of_any_size_keep_their_accuracy(power):
    """FP16 scales are used where they are at their best; the rest is a power of two."""
    rng = np.random.default_rng(8)
    A, W = rng.integers(-128, 128, (3, 64)), rng.standard_normal((5, 64))
    scaled = matmul(A, W * 2.0**power, "w8a8").values
    np.testing.assert_array_equal(scaled, np.ldexp(matmul(A, W, "w8a8").values, power))
    assert np.abs(scaled).max() > 0


@pytest.mark.parametrize("config", ["w1a8", "default", "w4-fp16"])
def test_signs_are_exact_at_one_bit(config):
    rng = np.random.default_rng(9)
    A, W = rng.integers(-100, 100, (3, 64)), rng.choice([-0.5, 0.5], (5, 64))
    found = matmul(A, W, config, bits=1)
    np.testing.assert_allclose(found.values, A @ W.T, rtol=1e-3, atol=0.1)


def test_groups_longer_than_k_are_k():
    A, W = np.ones((2, 8)), np.ones((3, 8))
    whole = matmul(A, W, group=8).values
    np.testing.assert_array_equal(matmul(A, W, group=10**12).values, whole)


def test_golden_refuses_what_programs_cannot_hold():
    rng = np.random.default_rng(10)
    tensor = QuantTensor(
        name="odd", kind="W2", bits=2, codes=rng.integers(0, 4, (4, 64), np.uint8),
        scales=rng.uniform(1, 2, (4, 2)).astype(np.float32), minimums=None,
        zero_points=rng.integers(0, 4, (4, 2)).astype(np.int16), group_size=32,
    )  # fmt: skip
    for on in ("golden", "isa"):
        with pytest.raises(InputError, match="round the scales to FP16"):
            matmul(np.ones((1, 64), int), tensor, "edge", on=on)


def test_the_other_functions_name_what_they_need(example):
    tensor = example.tensor("blk.0.attn_k.weight")
    name: Any = "w2a8"
    matrix: Any = np.ones((2, 2))
    checkpoint: Any = None
    for call in (
        lambda: lutcore.pack(name, tensor),
        lambda: lutcore.simulate(name, tensor, np.ones((1, 384), np.int8)),
        lambda: lutcore.synthesise(name),
        lambda: lutcore.energy(name, "demo", period=1.0),
        lambda: lutcore.generate(name, Path("out")),
        lambda: lutcore.compile_network(checkpoint, name),
    ):
        with pytest.raises(InputError, match="config must be a CoreConfig, not 'w2a8'"):
            call()
    with pytest.raises(InputError, match="tensor must be a QuantTensor, not ndarray"):
        lutcore.pack(preset("w2a8"), matrix)


def test_the_report_is_a_table_for_notebooks():
    result = matmul(np.eye(3, dtype=np.int8), np.eye(3, dtype=np.int8), "w1a8")
    page = result._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == len(result.report.to_dict()) + 1
    assert "w1a8" in page and "int64 [3, 3]" in page and "none" in page


ONES = np.ones((2, 8), np.int8)
REFUSED = {
    "a tile on isa": ((ONES, ONES, "w2a8"), {"on": "isa"}, "w2a8 is a tile, which has no instr"),
    "a tile on a board": ((ONES, ONES, "w2a8"), {"on": "board"}, r"or a core: edge, .*default"),
    "nowhere": (
        (ONES, ONES),
        {"on": "gpu"},
        "golden, isa, rtl, board, not 'gpu'",
    ),
    "no preset": ((ONES, ONES, "w3a8"), {}, "'w3a8' is neither a preset nor a .toml file"),
    "nan": (([[1.0, np.nan]], [[1, 2]]), {}, "A must be finite, not nan at row 0, column 1"),
    "infinity": (([[1, 2]], [[1.0, -np.inf]]), {}, "W must be finite, not -inf at row 0, column 1"),
    "no rows": ((np.ones((0, 8)), ONES), {}, r"A must be a matrix that is not empty, not \[0, 8\]"),
    "no columns": (
        (ONES, np.ones((8, 0))),
        {},
        r"W must be .* not empty, not \[8, 0",
    ),
    "a vector": ((np.ones(8), ONES), {}, "A must be a matrix of two dimensions, not 1"),
    "another K": (
        (ONES, np.ones((3, 9))),
        {},
        r"A is \[M, 8\] and W is \[N, 9\]",
    ),
    "bits beyond": ((ONES, np.ones((3, 8)), "w2a8"), {"bits": 3}, "bits=3: w2a8 takes 2 at most"),
    "no bits": ((ONES, np.ones((3, 8))), {"bits": 0}, "bits must be a whole number .*not 0"),
    "no bits of integers": ((ONES, ONES), {"bits": 0}, "bits must be a whole number"),
    "half a bit": ((ONES, ONES), {"bits": 2.5}, "bits must be a whole number .*not 2.5"),
    "a true group": ((ONES, ONES), {"group": True}, "group must be a whole number .*not True"),
    "nine bits": ((ONES, ONES), {"bits": 9}, "takes 4 at most: give fewer$"),
    "a mask": ((np.ma.masked_array(ONES, ONES > 0), ONES), {}, "A has a mask"),
    "a structure": ((np.zeros((2, 8), [("a", "i4")]), ONES), {}, "A must hold integers or floats"),
    "results beyond int64": (([[127, 127]], [[2**62, 0]]), {}, "results may not fit int64"),
    "no group": ((ONES, np.ones((3, 8))), {"group": 0}, "group must be a whole number"),
    "no group of integers": ((ONES, ONES), {"group": 0}, "group must be a whole number"),
    "wide integers": (
        (ONES, [[*range(8)]] * 2, "w2a8"),
        {},
        "take 3 bits; w2a8 gives 2 bits",
    ),
    "too few bits": (
        (ONES, [[*range(8)]]),
        {"bits": 2},
        "bits=2 gives 2 bits: give bits=3",
    ),
    "many levels": ((np.ones((1, 999)), [[*range(999)]]), {}, "W has integers from 0 to 998"),
    "no trits": (
        (ONES, [[0, 1, 2, 3] * 2], "default-ternary"),
        {},
        "weights of three levels",
    ),
    "int16 into int8": (
        ([[300]], [[1]]),
        {},
        r"A has integers .* int8 \(-128..127",
    ),
    "beyond fp16": (
        ([[1e6]], [[1.0]], "default-fp16"),
        {},
        "A is 1e\\+06 at .*, beyond fp16",
    ),
    "beyond float32": ((ONES, np.full((1, 8), 1e200)), {}, "W has values beyond float32"),
    "complex": (
        (ONES, np.ones((3, 8), complex)),
        {},
        "W must hold .*, not complex",
    ),
    "booleans": ((ONES.astype(bool), ONES), {}, "A must hold integers or floats, not bool"),
    "texts": (([["a"]], [[1]]), {}, "A must hold integers or floats"),
    "ragged": (([[1, 2], [1]], ONES), {}, "A must be a matrix"),
    "too long for a tile": (
        (np.ones((1, 99_999), np.int8),) * 2 + ("w2a8",),
        {},
        "set max_k=99999",
    ),
    "no such port": ((ONES, ONES, "edge"), {"on": "board", "port": "/dev/none"}, "/dev/none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_with_the_remedy(case):
    operands, options, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refused:
        matmul(*operands, **options)
    assert "\n" not in str(refused.value)
