"""``lutcore.matmul`` against NumPy, for shapes, types and configurations drawn at random."""

import ml_dtypes
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lutcore import matmul
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS

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
    wide = np.asarray(A, np.float64)
    if np.issubdtype(A.dtype, np.integer) or A.dtype == ml_dtypes.int4:
        return wide, np.zeros((len(A), 1))
    most = config.activation_range[1]
    step = np.maximum(np.abs(wide).max(axis=1, keepdims=True), 1e-5) / most
    return np.rint(wide / step) * step, step / 2


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
        most = 2 if config.weight_coding == "ternary" else (1 << bits) - 1
        for low in range(0, k, size):
            part = w[:, low : low + size]
            span = np.maximum(part.max(axis=1), 0) - np.minimum(part.min(axis=1), 0)
            # Half a step and what a whole zero point costs; cut ranges only make errors smaller in
            # their squares' sum, which is at most that of the whole range.
            w_loss[:, low : low + size] = (span / most + 1e-7)[:, None] * np.sqrt(part.shape[1])
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
    max_examples=500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
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
