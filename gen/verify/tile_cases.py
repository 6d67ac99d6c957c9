"""Cases of a tile: one mpGEMM each, with all that it meets. A case is drawn from the name of a test
and a seed, is written in one line, and can be made smaller.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lutcore.errors import InputError
from lutcore.gen.verify import text
from lutcore.gen.verify.tile_values import (
    WEIGHT_PROFILES,
    ZERO_POINT_PROFILES,
    activations,
    limited,
    profiles,
    weights,
)
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import Stalls, TileJob, tile_job
from lutcore.verif.sim.layout import PLANE_ORDERS

#: Slices of a case, about: what the simulator plays in a second; and of exact floats, which the
#: golden model rounds one by one.
MOST_SLICES, MOST_EXACT = 2000, 200


@dataclass(frozen=True, kw_only=True)
class TileCase:
    """One mpGEMM of a tile.

    Attributes
    ----------
    m, n, k : int
        Its shape.
    bits, group : int
        Bits of the weights, and their scale group along K.
    order : str
        Of :data:`~lutcore.verif.sim.layout.PLANE_ORDERS`.
    activations, weights : str
        Profiles (:mod:`lutcore.gen.verify.tile_values`).
    stalls : tuple of float
        Probabilities that activations, weights, zero points, results pause in a cycle.
    resets : tuple of int
        Cycles after each of which the case is given up by a reset, to begin anew.
    seed : int
        Of all values and pauses.
    most : float
        Greatest magnitude of an activation; 0: any.
    """

    m: int = 1
    n: int = 1
    k: int = 1
    bits: int = 1
    group: int = 1
    order: str = "ascending"
    activations: str = "mixed"
    weights: str = "uniform/uniform"
    stalls: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    resets: tuple[int, ...] = ()
    seed: int = 0
    most: float = 0.0

    def job(self, config: CoreConfig) -> TileJob:
        """What the bench plays.

        Raises
        ------
        InputError
            The configuration takes no such case.
        """
        self.check(config)
        rng = np.random.default_rng(self.seed)
        tensor = weights(config, (self.n, self.k), self.bits, self.group, self.weights, rng)
        values = activations(config, self.m, self.k, self.activations, rng)
        if self.most:
            values = limited(config, values, self.most)
        return tile_job(
            config,
            values,
            tensor,
            order=self.order,
            stalls=Stalls(*self.stalls),
            seed=self.seed,
            resets=self.resets,
        )

    def to_text(self) -> str:
        """One line without blanks, of what is not as usual; :meth:`from_text` reads it."""
        return text.to_text(self)

    @classmethod
    def from_text(cls, words: str) -> "TileCase":
        """Inverse of :meth:`to_text`.

        Raises
        ------
        InputError
            It is no case.
        """
        return text.from_text(cls, words)

    def check(self, config: CoreConfig) -> None:
        """Refuse what no job can be made of, or none that ends in sensible time."""
        codes, _, zero_points = self.weights.partition("/")
        names = ("rows", *profiles(config))
        sizes = (self.m, self.n, self.k, self.group, self.bits, self.seed, *self.resets)
        least, most = config.weight_bits_range
        rules = {
            "sizes, resets and seed are whole numbers": all(
                isinstance(size, int | np.integer) for size in sizes
            ),
            "m, n, k, group and resets are 1 or more": min(*sizes[:4], *self.resets, 1) >= 1,
            "seed is 0 or more": self.seed >= 0,
            f"bits are {least} to {most}": least <= self.bits <= most,
            f"order is one of {', '.join(PLANE_ORDERS)}": self.order in PLANE_ORDERS,
            f"activations are one of {', '.join(names)}": self.activations in names,
            "weights are profiles of codes and zero points, as columns/uniform": (
                codes in ("columns", *WEIGHT_PROFILES) and zero_points in ZERO_POINT_PROFILES
            ),
            "stalls are probabilities of 0 to 0.95": all(0 <= s <= 0.95 for s in self.stalls),
            "most is 0 or more, and finite": 0 <= self.most < math.inf,
        }
        broken = next((rule for rule, holds in rules.items() if not holds), "")
        if not broken and self.length(config) > _LONGEST:
            broken = f"it takes {_LONGEST:,} slices at most"
        if broken:
            raise InputError(f"no case of {config.name}: {broken}, not {self.to_text()}")

    def smaller(self, least_bits: int = 1) -> Iterator["TileCase"]:
        """Simpler cases, the most simplified first, of weights of ``least_bits`` or more."""
        for name in ("m", "n", "k"):
            value = getattr(self, name)
            for less in (1, value // 2, value - 1):
                if 0 < less < value:
                    yield replace(self, **{name: less})
        for less in (self.resets[:1], self.resets[1:], self.resets[:-1]):
            if len(less) < len(self.resets):
                yield replace(self, resets=less)
        for place, stall in enumerate(self.stalls):
            if stall:
                steady = (*self.stalls[:place], 0.0, *self.stalls[place + 1 :])
                yield replace(self, stalls=steady)
        if self.bits > least_bits:
            yield replace(self, bits=self.bits - 1)
        if self.order not in ("ascending", "plane-major"):
            yield replace(self, order="ascending")

    def length(self, config: CoreConfig) -> int:
        """Slices, about, times attempts."""
        rows, columns = -(-self.m // config.m), -(-self.n // config.columns)
        return rows * columns * -(-self.k // config.depth) * self.bits * (1 + len(self.resets))


Changes = dict[str, Any]
#: Slices of all attempts of a case, at most: more would take a day.
_LONGEST = 100_000_000


def most_slices(config: CoreConfig) -> int:
    """Slices of a case, about, unless a single run has more."""
    return MOST_EXACT if config.exact_floats else MOST_SLICES


def _steps(rng: random.Random, config: CoreConfig) -> int:
    """Steps of a run: the least, the most, and all between; more than fit a case are rare."""
    most, room = config.run_steps, min(config.run_steps, most_slices(config) // 4)
    if rng.random() < (0.02 if config.exact_floats else 0.1):
        return max(1, most - rng.randint(0, 1))
    return rng.choice((1, min(2, most), room, max(1, room - 1), rng.randint(1, room)))


def _depth(rng: random.Random, config: CoreConfig, bits: int) -> tuple[int, int]:
    """K, and the scale group: whole runs, several of them, tails, groups of several runs."""
    steps = _steps(rng, config)
    length = min(steps * config.depth, config.run_length)
    short = rng.choice((0, 0, rng.randrange(config.depth)))
    group = max(1, length - short)
    planes = config.planes(bits)
    room = max(1, most_slices(config) // (steps * planes * config.passes))
    groups = rng.choice((1, 1, 2, min(3, room), rng.randint(1, min(room, 6))))
    tail = rng.choice((0, 0, rng.randint(0, group - 1)))
    if rng.random() < 0.2:  # longer than a run: in pieces
        group = min(config.max_k, group + rng.randint(1, 2 * config.run_length))
        room = max(room, 3)
    k = min(config.max_k, max(1, group * groups - tail), config.run_length * room)
    return k, group


def _part(rng: random.Random, most: int) -> int:
    """How much of a tile is used: all of it, its ends and their neighbours, or anything."""
    near = (1, min(2, most), max(1, most - 1))
    return rng.choice((most, most, rng.choice(near), rng.randint(1, most)))


def random_case(config: CoreConfig, rng: random.Random) -> TileCase:
    """Any case of about :func:`most_slices` at most, or of one run where that is longer."""
    bits = rng.randint(*config.weight_bits_range)
    k, group = _depth(rng, config, bits)
    slices = -(-k // config.depth) * config.planes(bits)
    room = max(1, most_slices(config) // slices)
    tiles = rng.choice((1, min(2, room), min(3, room)))
    rows = rng.choice((1, 1, min(2, max(1, room // tiles)), min(3, max(1, room // tiles))))
    columns = config.columns
    stall = rng.choice((0.0, 0.05, 0.3, 0.8))
    orders = ["plane-major"] if config.doubles else list(PLANE_ORDERS)
    return TileCase(
        m=(rows - 1) * config.m + _part(rng, config.m),
        n=(tiles - 1) * columns + _part(rng, columns),
        k=k,
        bits=bits,
        group=group,
        order=rng.choice(orders),
        activations=rng.choice(("rows", "rows", *profiles(config))),
        weights="/".join(
            (rng.choice(("columns", *WEIGHT_PROFILES)), rng.choice(ZERO_POINT_PROFILES))
        ),
        stalls=tuple(rng.choice((0.0, stall)) for _ in range(4)),
        seed=rng.randrange(1 << 30),
    )


def _smoke(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    return {"stalls": (0.0,) * 4, "activations": "mixed", "weights": "uniform/uniform"}


def _any(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    return {}


def _extremes(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Full runs of the widest weights, all of a row's values at one end."""
    steps, narrow = config.run_steps, False
    bits = config.max_weight_bits if config.weight_coding == "binary" else case.bits
    if config.exact_floats:  # all steps where few results are awaited of few planes
        narrow = rng.random() < 0.2
        steps = steps - rng.randint(0, 1) if narrow else min(steps, MOST_EXACT)
        bits = config.weight_bits_range[0] if narrow else bits
    length = steps * config.depth
    return {
        "m": 1 if narrow else config.m,
        "n": 1 if narrow else min(config.columns, 4),
        "k": min(length, config.max_k),
        "group": min(length, config.max_k),
        "bits": bits,
        "activations": rng.choice(("rows", "greatest", "specials"))
        if config.is_float
        else rng.choice(("least", "greatest", "ends")),
        "weights": "/".join(
            rng.choice((("least", "greatest"), ("greatest", "least"), ("ends", "middle")))
        ),
        "stalls": (0.0,) * 4,
    }


def _stalls(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Streams that are quick and slow in turn, one of them much slower than the others."""
    profile = [rng.choice((0.0, 0.3)) for _ in range(4)]
    profile[rng.randrange(4)] = rng.choice((0.7, 0.9, 0.95))
    shorter = max(1, case.k // 4)
    return {"stalls": tuple(profile), "k": shorter, "n": case.n, "group": min(case.group, shorter)}


def _back_to_back(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Runs as short as can be, one after the other, without any pause."""
    steps = rng.choice((1, 1, 2, 3))
    group = min(config.run_length, steps * config.depth)
    k = min(config.max_k, group * 8)
    return {"k": k, "group": group, "stalls": (0.0, 0.0, 0.0, rng.choice((0.0, 0.0, 0.3)))}


def _buffers(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Long runs, one after the other, of one-bit weights: every word of a run's buffers, often."""
    length = min(config.run_steps * config.depth, config.max_k)
    length = rng.choice((length, length, rng.randint(1, length)))
    runs = max(2, min(12, most_slices(config) // config.run_steps))
    return {
        **{"m": runs * config.m, "n": 1, "k": length, "group": length},
        "bits": config.weight_bits_range[0],
        "activations": rng.choice(("rows", "mixed", *(["specials"] if config.is_float else []))),
        "weights": "columns/uniform",
    }


def _rate(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Runs that are just long enough for a slice in every cycle, or longer, and whole tiles."""
    bits = rng.randint(*config.weight_bits_range)
    least = -(-config.full_rate_slices // config.planes(bits))
    steps = min(config.run_steps, least + rng.choice((0, 0, 1, 4)))
    tiles = config.passes * rng.choice((1, 2))
    return {
        "m": config.m * rng.choice((1, 2)),
        "n": config.columns * tiles,
        "k": min(config.max_k, 3 * steps * config.depth),
        "group": steps * config.depth,
        "bits": bits,
        "stalls": (0.0,) * 4,
    }


def _resets(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Given up many times, in any cycle from the first to some after the last, results waiting."""
    shorter = min(case.k, 16 * config.depth)
    group = min(case.group, shorter)
    tiles, rows = -(-case.n // config.columns), -(-case.m // config.m)
    step = config.planes(case.bits) * min(tiles, config.passes)
    if config.passes > 1:  # tables are written meanwhile
        step = max(step, config.write_cycles)
    issue = 2 * step * -(-shorter // config.depth) * -(-tiles // config.passes) * rows
    slow = rng.choice((0.0, 0.3, 0.9, 0.95))
    taken = round(-(-shorter // group) * tiles * rows * config.drain_beats / (1 - slow))
    last = max(issue, taken) + config.latency + config.drain_beats + 20
    resets = (1, *sorted(rng.randint(1, last) for _ in range(16)))
    stalls = (*(rng.choice((0.0, 0.1)) for _ in range(3)), slow)
    return {"k": shorter, "group": group, "resets": resets, "stalls": stalls}


def _floats(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Exponents far apart, infinities and NaN; sums that cancel, wholly where weights are equal."""
    if not config.is_float:
        return {}
    if rng.random() < 0.25:
        return {"activations": "opposite", "weights": f"{rng.choice(('least', 'greatest'))}/least"}
    if config.exact_floats and rng.random() < 0.6:
        return _steps_of_numbers(config, case, rng)
    constant = rng.choice(("columns", "least", "greatest"))
    kinds = {"activations": rng.choice((*profiles(config), "rows"))}
    return kinds | {"weights": f"{constant}/uniform"}


def _steps_of_numbers(config: CoreConfig, case: TileCase, rng: random.Random) -> Changes:
    """Short runs of one number a step: what its accumulators drop, or cancel, is the result."""
    steps = rng.choice((2, 3, 3, 3, 6))
    length = config.depth * steps
    rows = max(1, MOST_EXACT // (2 * steps * config.planes(case.bits)))
    return {
        "activations": "steps",
        "weights": f"{rng.choice(('least', 'greatest', 'columns'))}/uniform",
        "m": rows * config.m,
        "n": config.columns,
        "group": min(length, config.run_length),
        "k": min(config.max_k, 3 * length),
    }


#: Test -> what it changes of a random case. Their meanings stand in the plan.
TESTS: dict[str, Callable[[CoreConfig, TileCase, random.Random], Changes]] = {
    "smoke": _smoke,
    "random": _any,
    "extremes": _extremes,
    "stalls": _stalls,
    "back_to_back": _back_to_back,
    "buffers": _buffers,
    "rate": _rate,
    "resets": _resets,
    "floats": _floats,
}


def applicable(config: CoreConfig) -> list[str]:
    """Tests that mean something to a configuration."""
    most = config.run_steps * config.planes(config.max_weight_bits)
    without = {
        "floats": not config.is_float,
        "buffers": not config.marks_runs,
        "rate": most < config.full_rate_slices,  # every run waits for the drain
    }
    return [name for name in TESTS if not without.get(name)]


def draw(config: CoreConfig, test: str, seed: int) -> TileCase:
    """The case of a test and a seed.

    Raises
    ------
    InputError
        There is no such test.
    """
    if test not in TESTS:
        raise InputError(f"test must be one of {', '.join(TESTS)}, not {test!r}")
    rng = random.Random(f"{test} {seed}")
    case = random_case(config, rng)
    return replace(case, **TESTS[test](config, case, rng))
