"""Matrices that a tile is tried with: each row of activations and each column of weights by a
profile of its own, so that neighbours differ.
"""

from collections.abc import Callable

import numpy as np

from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS, FloatFormat
from lutcore.verif.golden.formats import bits_type, encode, number_type

Rng = np.random.Generator


def _shift_edge(config: CoreConfig, k: int, rng: Rng) -> np.ndarray:
    """One table's magnitudes add up to the most that eight bits hold after a shift, or a bit more;
    the rest is small.
    """
    low, high = config.activation_range
    size = min(config.table_k, k)
    reach = [127 << i for i in range(config.most_table_round) if 127 << i <= size * -low]
    off = [-1, 0, 0, 1, 1 << int(rng.integers(12))]
    total = int(rng.choice(reach or [0])) + int(rng.choice(off))
    total = min(max(0, total), size * min(high, -low))
    start = int(rng.integers(k // size)) * size
    found = rng.integers(-2, 3, k)
    found[start : start + size] = total // size + (np.arange(size) < total % size)
    return found * rng.choice([-1, 1], k)


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
        "shift-edge": _shift_edge(config, k, rng),
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
        "aligned": _aligned(config, k, rng),
        "steps": _in_steps(config, k, rng),
        "subnormal": subnormal,
        "one-large": one_large,
        "greatest": format.max_finite | (signs if rng.random() < 0.5 else signs * 0),
        "specials": np.where(rng.random(k) < rng.choice((2 / k, 0.3)), specials, near_one),
        "small": np.where(rng.random(k) < 0.5, near_one, subnormal),
        "zeros": signs,
        "shift-edge": _float_shift_edge(config, k, rng),
    }[profile]


def _float_shift_edge(config: CoreConfig, k: int, rng: Rng) -> np.ndarray:
    """As of whole numbers: one, two, four, ... equal numbers of seven ones, or of a bit more."""
    format = config.float_format
    rest = max(0, format.fraction_bits - 6)
    fraction = (1 << format.fraction_bits) - (1 << rest)
    if rest and rng.random() < 0.7:
        fraction |= 1 << int(rng.integers(rest))
    top = int(rng.integers(1, format.max_exponent))
    size = min(config.table_k, k)
    start = int(rng.integers(k // size)) * size
    found = np.zeros(k, np.int64)
    found[start : start + (1 << int(rng.integers(size.bit_length())))] = (
        top << format.fraction_bits | fraction
    )
    return found | rng.integers(0, 2, k) << format.bits - 1


def _halfway(
    format: FloatFormat, room: int, top: int, distance: np.ndarray, rng: Rng
) -> np.ndarray:
    """Patterns of numbers ``distance`` binades below ``top``, most of them halfway between two of
    its places, many with one bit below: each bit that an alignment drops decides a rounding.

    A number has ``room`` places more below ``top`` than the format has.
    """
    k = len(distance)
    distance = np.minimum(distance, top - 1)
    guard = np.clip(distance - room - 1, -1, format.fraction_bits)
    upper = rng.integers(0, 1 << format.fraction_bits, k) >> guard + 1 << guard + 1
    half = np.where(guard >= 0, 1 << np.maximum(guard, 0), 0)
    below = np.where(guard > 0, 1 << rng.integers(0, np.maximum(guard, 1)), 0)
    fraction = upper | half | np.where(rng.random(k) < 0.6, below, 0)
    fraction &= (1 << format.fraction_bits) - 1  # the top bit is not stored
    return np.minimum((top - distance) << format.fraction_bits | fraction, format.max_finite)


def _aligned(config: CoreConfig, k: int, rng: Rng) -> np.ndarray:
    """A quarter at the top of their row, the rest halfway between its places."""
    format = config.float_format
    room = 0 if config.exact_floats else config.align_bits - format.precision
    distance = rng.integers(0, format.precision + room + 2, k)
    distance = np.where(rng.random(k) < 0.25, 0, distance)
    top = int(rng.integers(1, format.max_exponent + 1))
    signs = rng.integers(0, 2, k) << format.bits - 1
    return _halfway(format, room, top, distance, rng) | signs


def _in_steps(config: CoreConfig, k: int, rng: Rng) -> np.ndarray:
    """One number a step, at one place of it: each bit that an accumulator drops decides a rounding,
    or the sum ends at zero.
    """
    format = config.float_format
    most, fraction_bits = format.max_exponent, format.fraction_bits
    room = FORMATS["fp32"].precision - format.precision
    lane, step = np.arange(k) % config.depth, np.arange(k) // config.depth
    steps = int(step[-1]) + 1
    low, high = np.sort(rng.integers(0, most + 1, 2))
    low, high = rng.choice([0, low]), rng.choice([most, high])
    top = int(rng.integers(most // 2, most))
    below = room + rng.integers(0, format.precision + 3, steps)
    fraction = rng.integers(1 << fraction_bits, size=steps)
    same = int(rng.integers(1 << fraction_bits))
    full = np.where(rng.random(steps) < 0.5, (1 << fraction_bits) - 1, fraction)
    base = int(rng.integers(min(room + 1, most - 1), most))
    beyond = np.minimum(base + rng.integers(1, 13, steps), most)
    # What follows in turn, and which of it is taken away again by the last.
    turns, taken = {
        "little, much": ((low << fraction_bits | same, *[high << fraction_bits | same] * 2), 1),
        "much, half of its last place": (
            (top << fraction_bits, _halfway(format, room, top, below, rng), top << fraction_bits),
            0,
        ),
        "down to the last place, then beyond": (
            (
                base << fraction_bits,
                max(base - room, 0) << fraction_bits | fraction | 1,
                beyond << fraction_bits | full,
            ),
            None,
        ),
        "there and back": ([high << fraction_bits | same] * 2, 0),
    }[_TURNS[rng.integers(len(_TURNS))]]
    patterns = np.choose(np.arange(steps) % len(turns), [np.broadcast_to(t, steps) for t in turns])
    signs = rng.integers(0, 2, steps)
    if taken is not None:
        back = np.arange(len(turns) - 1, steps, len(turns))
        signs[back] = 1 - signs[back - (len(turns) - 1 - taken)]
    found = np.minimum(patterns, format.max_finite) | signs << format.bits - 1
    return np.where(lane == rng.integers(config.depth), found[step], 0)


#: What steps of a row may do in turn.
_TURNS = (
    *("little, much", "there and back", "much, half of its last place"),
    *["down to the last place, then beyond"] * 3,
)


#: Profiles of a row of activations, whole numbers or floats.
INTEGER_PROFILES = ("mixed", "ends", "least", "greatest", "sparse", "small", "zeros")
FLOAT_PROFILES = (
    *("mixed", "wide", "cancelling", "opposite", "apart", "steps", "aligned"),
    *("subnormal", "one-large", "greatest", "specials", "small", "zeros"),
)


def profiles(config: CoreConfig) -> tuple[str, ...]:
    """Profiles that rows of activations may have."""
    known = FLOAT_PROFILES if config.is_float else INTEGER_PROFILES
    return (
        *known,
        *(["shift-edge"] if config.table == "int8" else []),
    )


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
