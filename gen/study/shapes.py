"""Tile shapes of 512 products a cycle: all of them, the most promising first."""

from collections.abc import Iterator
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.experiments.point import ops_per_cycle
from lutcore.gen.experiments.points import PRODUCTS, tile
from lutcore.gen.explore.model import estimate
from lutcore.hdl.config.core import CoreConfig

_TABLE_K = (2, 3, 4, 5)
_LOOKUPS = (1, 2, 4, 8, 16)
_FORMS = ("symmetric", "subset")
_ROWS = (1, 2, 4, 8, 16, 32)
#: How far from 512 products a shape may be whose k divides no power of two.
_TOLERANCE = 16


def _tiles(depth: int) -> Iterator[tuple[int, int]]:
    """``m, n`` of 512 products a cycle, or about as many, at ``depth`` products a unit."""
    for m in _ROWS:
        n = round(PRODUCTS / (m * depth))
        if n and abs(m * n * depth - PRODUCTS) <= _TOLERANCE:
            yield m, n


def _built(**fields: Any) -> list[CoreConfig]:
    """The tile, unless its fields make no sense together."""
    try:
        return [tile(**fields)]
    except InputError:
        return []


def _ranked(configs: list[CoreConfig], bits: int, most: int) -> list[CoreConfig]:
    """Cheapest per operation first by the unfitted model; ``most`` of them, all if 0."""
    configs.sort(key=lambda config: estimate(config) / ops_per_cycle(config, bits))
    return configs[: most or None]


def lut_shapes(activation: str, bits: int, most: int = 0) -> list[CoreConfig]:
    """Shapes of engine ``lut``: all M, N, k, lookups and table forms of 512 products a cycle.

    k = 3 and 5 divide no power of two: theirs come within 3 % of 512.
    """
    configs: list[CoreConfig] = []
    for k in _TABLE_K:
        for lookups in _LOOKUPS:
            for m, n in _tiles(k * lookups):
                for form in _FORMS:
                    shape = {"m": m, "n": n, "k": k, "lookups": lookups, "table_form": form}
                    configs += _built(activation=activation, bits=bits, **shape)
    return _ranked(configs, bits, most)


def baseline_shapes(engine: str, activation: str, bits: int, most: int = 0) -> list[CoreConfig]:
    """Shapes of an engine without tables, or of ``conventional-lut``, of 512 products a cycle.

    Multipliers of two bits choose a multiple, or add two partial products.
    """
    configs: list[CoreConfig] = []
    tables = engine == "conventional-lut"
    chooses = engine == "mac" and bits == 2
    for k, lookups in (
        ((2, 1), (2, 4), (4, 1), (4, 2)) if tables else ((4, 1), (4, 2), (4, 4), (4, 8))
    ):
        for m, n in _tiles(k * lookups):
            shape = {"m": m, "n": n, "k": k, "lookups": lookups}
            for kind in ("select", "auto") if chooses else ("auto",):
                fields = shape | {"multiplier": kind}
                configs += _built(engine=engine, activation=activation, bits=bits, **fields)
    return _ranked(configs, bits, most)
