"""Matrices that a tile is tried with: each row of activations and each column of weights by a
profile of its own, so that neighbours differ.
"""

from collections.abc import Callable

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FloatFormat
from lutcore.verif.golden.formats import bits_type, encode, number_type

Rng = np.random.Generator


def _integers(config: CoreConfig, k: int, profile: str, rng: Rng) -> np.ndarray:
    low, high = config.activation_range
    uniform = rng.integers(low, high + 1, k)
    ends = rng.choice([low, high], k)
    return {
        "mixed": np.where(rng.random(k) < 0.1, ends, uniform),
        "ends": ends,
        "least": np.full(k, low),
        "greatest": np.full(k, high),
        "sparse": np.where(rng.random(k) < 0.2, uniform, 0),
        "small": rng.integers(-2, 3, k),
        "zeros": np.zeros(k, np.int64),
    }[profile]


def _any_finite(format: FloatFormat, k: int, rng: Rng) -> np.ndarray:
    """Patterns of any exponent; half of a row's are within a few of one another."""
    near = rng.integers(0, format.max_exponent + 1)
    exponents = np.where(
        rng.random(k) < 0.5,
        rng.integers(0, format.max_exponent + 1, k),
        np.clip(near + rng.integers(-3, 4, k), 0, format.max_exponent),
    )
    fractions = rng.integers(0, 1 << format.fraction_bits, k)
    patterns = np.minimum(exponents << format.fraction_bits | fractions, format.max_finite)
    return patterns | rng.integers(0, 2, k) << format.bits - 1


def _floats(config: CoreConfig, k: int, profile: str, rng: Rng) -> np.ndarray:
    """Bit patterns, int64 [k]."""
    format = config.float_format
    signs = rng.integers(0, 2, k) << format.bits - 1
    near_one = encode(rng.standard_t(3, k), format).astype(np.int64)
    wide = _any_finite(format, k, rng)
    subnormal = rng.integers(0, format.min_normal, k) | signs
    special = [format.quiet_nan, format.max_finite, format.min_normal, format.overflow, 0, 1]
    if format.infinity:  # NaN has many patterns
        special += [format.overflow | 1 << bit for bit in range(format.fraction_bits)]
    specials = np.array(special)[rng.integers(0, len(special), k)] | signs
    one_large = np.where(np.arange(k) == rng.integers(k), format.max_finite, near_one)
    # What was added is taken away again, up to one unit in the last place.
    one_bit = 1 << rng.integers(0, format.fraction_bits, k)
    far = np.clip(format.max_exponent - rng.integers(0, 2 + format.fraction_bits * 2, k), 0, None)
    apart = (far << format.fraction_bits | one_bit) | signs
    apart[rng.integers(k)] = format.max_exponent << format.fraction_bits
    pairs = np.repeat(wide[: -(-k // 2)], 2)[:k] ^ (np.arange(k) & 1) << format.bits - 1
    return {
        "mixed": near_one,
        "wide": wide,
        "cancelling": np.where(rng.random(k) < 0.1, pairs ^ 1, pairs),
        "opposite": np.where(rng.random(k) < 0.2, 0, np.roll(pairs, rng.integers(2))),
        "apart": apart,
        "returning": _returning(config, k, rng),
        "subnormal": subnormal,
        "one-large": one_large,
        "greatest": format.max_finite | (signs if rng.random() < 0.5 else signs * 0),
        "specials": np.where(rng.random(k) < rng.choice((2 / k, 0.3)), specials, near_one),
        "small": np.where(rng.random(k) < 0.5, near_one, subnormal),
        "zeros": signs,
    }[profile]


def _returning(config: CoreConfig, k: int, rng: Rng) -> np.ndarray:
    """Steps of little, then much, then as much less: what an accumulator lost on the way shows."""
    format = config.float_format
    lane, step = np.arange(k) % config.depth, np.arange(k) // config.depth % 3
    low, high = np.sort(rng.integers(0, format.max_exponent + 1, 2))
    pattern = np.where(step == 0, low, high) << format.fraction_bits
    pattern |= rng.integers(1 << format.fraction_bits)
    pattern = np.where(lane == rng.integers(config.depth), pattern, 0)
    return np.minimum(pattern, format.max_finite) | (step == 2).astype(np.int64) << format.bits - 1


#: Profiles of a row of activations, whole numbers or floats.
INTEGER_PROFILES = ("mixed", "ends", "least", "greatest", "sparse", "small", "zeros")
FLOAT_PROFILES = (
    *("mixed", "wide", "cancelling", "opposite", "apart", "returning", "subnormal", "one-large"),
    *("greatest", "specials", "small", "zeros"),
)


def profiles(config: CoreConfig) -> tuple[str, ...]:
    """Profiles that rows of activations may have."""
    return FLOAT_PROFILES if config.is_float else INTEGER_PROFILES


def activations(config: CoreConfig, m: int, k: int, profile: str, rng: Rng) -> np.ndarray:
    """Activations [M, K], integers or the float format's dtype.

    ``rows`` gives each row a profile of its own, any other name all of them that one.
    """
    draw: Callable[..., np.ndarray] = _floats if config.is_float else _integers
    names = profiles(config)
    rows = [
        draw(config, k, names[rng.integers(len(names))] if profile == "rows" else profile, rng)
        for _ in range(m)
    ]
    found = np.stack(rows)
    if not config.is_float:
        return found
    format = config.float_format
    return found.astype(bits_type(format)).view(number_type(format))


def limited(config: CoreConfig, values: np.ndarray, most: float) -> np.ndarray:
    """Activations of magnitudes up to ``most``: whole numbers cut, floats divided by powers of two.

    Infinities and NaN become 0.
    """
    if not config.is_float:
        return np.clip(values, -int(most), int(most))
    format = config.float_format
    with np.errstate(invalid="ignore"):
        wide = values.astype(np.float64)
    wide = np.where(np.isfinite(wide), wide, 0.0)
    too_large = np.abs(wide) / most
    wide = np.where(too_large > 1, np.ldexp(wide, -np.frexp(too_large)[1]), wide)
    found = encode(wide, format).astype(bits_type(format)).view(number_type(format))
    beyond = np.abs(found.astype(np.float64)) > most  # subnormal, and rounded up
    return np.where(beyond, np.zeros_like(found), found)


#: Profiles of a column of weights.
WEIGHT_PROFILES = ("uniform", "least", "greatest", "ends", "one-plane")


def _codes(most: int, bits: int, k: int, profile: str, rng: Rng) -> np.ndarray:
    return {
        "uniform": rng.integers(0, most + 1, k),
        "least": np.zeros(k, np.int64),
        "greatest": np.full(k, most),
        "ends": rng.choice([0, most], k),
        "one-plane": np.minimum(most, rng.integers(0, 2, k) << rng.integers(bits)),
    }[profile]


#: Profiles of zero points: whole numbers of 0 to 2^b.
ZERO_POINT_PROFILES = ("uniform", "least", "greatest", "middle")


def weights(
    config: CoreConfig, shape: tuple[int, int], bits: int, group: int, profiles: str, rng: Rng
) -> QuantTensor:
    """Weights [N, K] by two profiles ``codes/zero points``.

    Codes of ``columns`` give each column a profile of its own. Zero points are shared by columns
    where the configuration wants that; scales do not matter to a tile.
    """
    n, k = shape
    of_codes, _, of_zero_points = profiles.partition("/")
    most = 2 if config.weight_coding == "ternary" else (1 << bits) - 1
    chosen = [
        WEIGHT_PROFILES[rng.integers(len(WEIGHT_PROFILES))] if of_codes == "columns" else of_codes
        for _ in range(n)
    ]
    codes = np.stack([_codes(most, bits, k, name, rng) for name in chosen])
    grid = (n, -(-k // group))
    zero_points = {
        "uniform": rng.integers(0, (1 << bits) + 1, grid),
        "least": np.zeros(grid, np.int64),
        "greatest": np.full(grid, 1 << bits),
        "middle": np.full(grid, 1 << bits - 1),
    }[of_zero_points]
    if config.zero_points == "shared":
        zero_points[:] = zero_points[0]
    return QuantTensor(
        name=f"{n}x{k}",
        kind=f"W{bits}",
        bits=bits,
        codes=codes.astype(np.uint8),
        scales=np.ones(grid, np.float32),
        zero_points=zero_points.astype(np.int16),
        minimums=None,
        group_size=group,
    )
