"""Legal configurations at random, from the domains of the fields themselves.

Fields that are one of some words are drawn first, as a combination that some numbers make legal and
that holds the most pairs of values which no draw before it has held. Numbers come after, spread
evenly over orders of magnitude, until the rules take them.
"""

import functools
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lutcore.errors import InputError
from lutcore.hdl.config.bits import power_of_two
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.forms import TERNARY_K
from lutcore.hdl.config.rules import MOST_BUFFERED_STEPS, is_core

#: Most products of a slice, and most steps of a run: longer ones differ in widths only.
MOST_PRODUCTS, MOST_STEPS = 4096, 512
#: Fields that are one of some words.
CHOICES = {name: domain.choices for name, domain in DOMAINS.items() if domain.choices}
_INTEGERS = [name for name, domain in DOMAINS.items() if domain.high]
#: Numbers with which a combination of words is tried: for most of them, and for distributed RAM.
_PROBES: tuple[dict[str, Any], ...] = (
    {"n": 8, "k": 3, "group_size": 33, "max_k": 1024, "align_bits": 14},
    {"n": 8, "k": 2, "group_size": 32, "max_k": 1024, "passes": 16},
    {"n": 8, "k": 2, "lookups": 2, "group_size": 32, "max_k": 1024},
)
#: Combinations of which the one with most new pairs is taken.
_CANDIDATES = 64

Words = tuple[str, ...]
Pair = tuple[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Draw:
    """A legal configuration, and how many sets of numbers the rules refused before it."""

    config: CoreConfig
    refused: int


def _tried(words: Words, numbers: dict[str, Any]) -> CoreConfig | None:
    try:
        return CoreConfig(**dict(zip(CHOICES, words, strict=True)), **numbers)
    except InputError:
        return None


@functools.cache
def combinations(core: bool = False) -> list[Words]:
    """All combinations of the fields that are words, in the order of :data:`CHOICES`, that some
    numbers make a legal configuration; with ``core``, one that a core can be built from.
    """
    if core:
        return [
            words
            for words in combinations()
            if any((config := _tried(words, n)) and is_core(config) for n in _PROBES)
        ]
    every = itertools.product(*CHOICES.values())
    return [words for words in every if any(_tried(words, numbers) for numbers in _PROBES)]


def pairs(words: Words) -> set[Pair]:
    """Each two fields of a combination with their values."""
    return set(itertools.combinations(zip(CHOICES, words, strict=True), 2))


def _even(rng: random.Random, low: int, high: int) -> int:
    """A number whose logarithm is spread evenly, its ends included often."""
    if rng.random() < 0.1:
        return rng.choice((low, high))
    first = max(1, low)
    return min(high, max(low, round(first * (high / first) ** rng.random())))


def _shape(rng: random.Random, words: dict[str, str], most: int) -> dict[str, int]:
    """Sizes whose product is at most ``most``."""
    ternary, fabric = words["weight_coding"] == "ternary", words["table_storage"] != "mux"
    left = _even(rng, 1, most)
    sizes = {"k": rng.choice(TERNARY_K) if ternary else rng.randint(2 if fabric else 1, 6)}
    left = max(1, left // sizes["k"])
    for name in rng.sample(("m", "n", "lookups", "tiles"), 4):
        high = min(DOMAINS[name].high, left if name != "m" else min(left, 16))
        sizes[name] = 1 if name == "tiles" and fabric else _even(rng, 1, high)
        left = max(1, left // sizes[name])
    return sizes


def _group(rng: random.Random, words: dict[str, str], depth: int) -> int:
    """Length of a run in elements: whole steps or not."""
    most = MOST_STEPS if words["precompute"] != "buffered" else min(MOST_STEPS, MOST_BUFFERED_STEPS)
    length = max(depth, min(1024, _even(rng, 1, most) * depth + rng.choice((0, 0, 1, depth - 1))))
    return max(length, depth)


def _numbers(rng: random.Random, words: dict[str, str], core: bool) -> dict[str, Any]:
    sizes = _shape(rng, words, MOST_PRODUCTS)
    if core:
        sizes |= {name: power_of_two(sizes[name]) for name in ("m", "n", "tiles")}
        sizes["n"] = max(8, sizes["n"])  # slices of whole bytes
        sizes["lookups"] = min(sizes["lookups"], 4)
    depth = sizes["k"] * sizes["lookups"]
    columns = sizes["n"] * sizes["tiles"]
    length = _group(rng, words, depth)
    passes = (1, rng.randint(16, 64))[words["table_storage"] == "lutram"]
    values = {name: _even(rng, DOMAINS[name].low, DOMAINS[name].high) for name in _INTEGERS}
    values |= sizes | {"passes": passes, "pipeline": rng.randint(0, 2)}
    values |= {"max_weight_bits": 2 if words["weight_coding"] == "ternary" else rng.randint(1, 8)}
    values |= {"align_bits": rng.randint(12, 24), "group_size": length}
    values["max_k"] = max(length, _even(rng, length, 1 << 14))
    if rng.random() < 0.2 and values["max_k"] <= MOST_STEPS * depth:
        values["group_size"] = 0
    if words["table_storage"] != "mux":
        values["pipeline"] = 0
    divisors = [count for count in range(1, columns + 1) if columns % count == 0]
    values["result_columns"] = rng.choice((0, rng.choice(divisors), columns))
    return values | (_memories(rng, depth, columns) if core else {})


def _memories(rng: random.Random, depth: int, columns: int) -> dict[str, int]:
    """A core's bus and buffers; a tile alone has none, so that any will do."""
    bus = min(512, max(64 << rng.randint(0, 3), power_of_two(16 * depth)))
    least = max(512, 4 * bus, 64 * columns)
    sizes = {
        name: power_of_two(least) << rng.randint(0, 3)
        for name in DOMAINS
        if name.endswith("_buffer")
    }
    return sizes | {"bus_bits": bus, "program_buffer": 256}


def draws(seed: int, core: bool = False, most: int = MOST_PRODUCTS) -> Iterator[Draw]:
    """Configurations of a seed, the same ones every time.

    They are named by seed and number, ``drawn_7_0``, ``drawn_7_1``, ...: a folder of results may
    have those of several seeds.

    Parameters
    ----------
    core : bool
        Draw only those that a core can be built from.
    most : int
        Most products a cycle.
    """
    rng = random.Random(f"configurations {seed}")
    legal = combinations(core)
    missing = set().union(*map(pairs, legal))
    for number in itertools.count():
        candidates = rng.sample(legal, min(_CANDIDATES, len(legal)))
        words = max(candidates, key=lambda words: len(pairs(words) & missing))
        config, refused = _first_legal(
            lambda words=words: _numbers(rng, dict(zip(CHOICES, words, strict=True)), core),
            words,
            lambda config: config.products_per_cycle <= most and (not core or is_core(config)),
        )
        if config is not None:
            missing -= pairs(words)
            yield Draw(config.replace(name=f"drawn_{seed}_{number}"), refused)


def _first_legal(
    numbers: Callable[[], dict[str, Any]], words: Words, fits: Callable[[CoreConfig], bool]
) -> tuple[CoreConfig | None, int]:
    """The first configuration that the rules take, and how many they refused."""
    for refused in range(200):
        config = _tried(words, numbers())
        if config is not None and fits(config):
            return config, refused
    return None, 200
