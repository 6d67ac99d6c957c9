"""A design space: which configurations there are, what they must satisfy, what is better."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import toml_values
from lutcore.gen.asic.liberty import library_path
from lutcore.gen.experiments.point import FAMILIES, Point, ops_per_cycle
from lutcore.hdl.config.core import CoreConfig

#: Configurations of a space that are looked at one by one at most.
MOST_CONFIGS = 1_000_000

#: Known without synthesis: from a configuration and the weight bits.
KNOWN = {
    "ops_per_cycle": ops_per_cycle,
    "products_per_cycle": lambda config, bits: config.products_per_cycle,
    "depth": lambda config, bits: config.depth,
    "latency": lambda config, bits: config.latency,
    "accumulator_bits": lambda config, bits: config.accumulator_bits,
}
#: Metric -> whether it is per operation a cycle.
ASIC = {
    "area_ge": False, "core_ge": False, "unit_ge": False, "sequential_ge": False,
    "area_um2": False, "cells": False, "ge_per_op": True,
}  # fmt: skip
ENERGY = {"power_mw": False, "energy_fj_per_op": True, "core_fj_per_op": True}
FPGA = {"luts": False, "core_luts": False, "luts_per_op": True, "ff": False, "bram": False}

_FIELDS = {item.name: item.type for item in fields(CoreConfig)}
_SECTIONS = ("measure", "fixed", "space", "constraints", "objectives", "search")
_METHODS = ("exhaustive", "optuna")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A constraint: ``name`` is a field of the configuration or a metric; bounds are inclusive."""

    name: str
    least: float = -math.inf
    most: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether the value is within."""
        return self.least <= value <= self.most

    def excess(self, value: float) -> float:
        """By how much the value is outside; not positive if it is within."""
        return max(self.least - value, value - self.most)


@dataclass(frozen=True, kw_only=True)
class Space:
    """A design space and how to search it.

    Attributes
    ----------
    axes : dict
        Field -> values, in the file's order.
    fixed : dict
        Field -> value of all configurations.
    limits : tuple of Limit
    objectives : dict
        Metric -> ``min`` or ``max``.
    target : str
        ``asic`` or an FPGA family.
    weight_bits : int
        Of the weights whose products are counted; 0: the widest that a configuration takes.
    liberty, period
        As of :class:`lutcore.gen.experiments.point.Point`.
    method : {"exhaustive", "optuna"}
    trials : int
        Points to measure at most; 0: no limit (exhaustive), 100 (Optuna).
    seed : int
    batch : int
        Points measured between two looks at the results.
    prune : bool
        Leave out what the analytical model rules out.
    """

    axes: dict[str, tuple[Any, ...]]
    fixed: dict[str, Any]
    limits: tuple[Limit, ...]
    objectives: dict[str, str]
    target: str = "asic"
    weight_bits: int = 0
    liberty: Path | None = None
    period: float | None = None
    method: str = "exhaustive"
    trials: int = 0
    seed: int = 0
    batch: int = 8
    prune: bool = True
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Combinations of the axes' values."""
        return math.prod(len(values) for values in self.axes.values())

    @property
    def measure(self) -> str:
        """What points are asked, see :data:`lutcore.gen.experiments.point.MEASURES`."""
        if self.target in FAMILIES:
            return self.target
        named = [*self.objectives, *(limit.name for limit in self.limits)]
        return "energy" if any(name in ENERGY for name in named) else "area"

    def bits(self, config: CoreConfig) -> int:
        """Bits of the weights whose products are counted."""
        return self.weight_bits or config.max_weight_bits

    def known(self, config: CoreConfig) -> dict[str, float]:
        """Metrics that need no synthesis, and numeric fields."""
        values: dict[str, float] = {
            name: value for name, value in config.to_dict().items() if isinstance(value, int)
        }
        return values | {name: f(config, self.bits(config)) for name, f in KNOWN.items()}

    def config(self, values: Mapping[str, Any]) -> CoreConfig | None:
        """The configuration of these axis values, or None: ``rejected`` counts the reasons."""
        try:
            config = CoreConfig.from_dict({**self.fixed, **values})
        except InputError as error:
            self.rejected[f"invalid: {error}"] += 1
            return None
        if self.weight_bits > config.max_weight_bits:
            self.rejected["max_weight_bits below weight_bits"] += 1
            return None
        known = self.known(config)
        for limit in self.limits:
            if limit.name in known and not limit.holds(known[limit.name]):
                self.rejected[f"constraint on {limit.name}"] += 1
                return None
        return config

    def configs(self) -> Iterator[CoreConfig]:
        """All configurations that can be built and satisfy what is known without synthesis.

        Raises
        ------
        InputError
            The space is too large to look at one by one.
        """
        if self.size > MOST_CONFIGS:
            raise InputError(
                f"[space] has {self.size:,} combinations, more than {MOST_CONFIGS:,}: narrow it, "
                'or set method = "optuna" in [search]'
            )
        self.rejected.clear()
        for values in itertools.product(*self.axes.values()):
            config = self.config(dict(zip(self.axes, values, strict=True)))
            if config is not None:
                yield config

    def point(self, config: CoreConfig) -> Point:
        """The point to measure of a configuration."""
        return Point(
            config=config,
            measure=self.measure,
            weight_bits=self.bits(config),
            liberty=self.liberty,
            period=self.period,
        )

    def satisfies(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is within all measured limits; one that lacks a metric is not."""
        return all(
            record.get(limit.name) is not None and limit.holds(record[limit.name])
            for limit in self.limits
            if limit.name not in KNOWN and limit.name not in _FIELDS
        )


# Reading -----------------------------------------------------------------------------------------


def load_space(path: Path, liberty: Path | None = None, period: float | None = None) -> Space:
    """Read a space from a TOML file; ``liberty`` and ``period`` overrule what it says.

    Raises
    ------
    InputError
        The file cannot be read, or something in it is wrong: file, section and key are named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read space {path}: {reason}") from error
    try:
        return _space(toml_values(text), path.parent, liberty, period)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _space(
    document: dict[str, Any], folder: Path, liberty: Path | None, period: float | None
) -> Space:
    _known_names("section", document, _SECTIONS)
    for name, section in document.items():
        if not isinstance(section, dict):
            raise InputError(f"{name} must be a section: [{name}]")
    measure = document.get("measure", {})
    _known_names("[measure]", measure, ("target", "weight_bits", "liberty", "period"))
    search = document.get("search", {})
    _known_names("[search]", search, ("method", "trials", "seed", "batch", "prune"))
    fixed, space = document.get("fixed", {}), document.get("space", {})
    _known_names("[fixed]", fixed, tuple(_FIELDS))
    _known_names("[space]", space, tuple(_FIELDS))
    if both := sorted(set(fixed) & set(space)):
        raise InputError(f"{both[0]} is in [fixed] and in [space]: leave it out of one")
    if not space:
        raise InputError("[space] is empty: give fields of a configuration with their values")
    target = _one_of("[measure] target", measure.get("target", "asic"), ("asic", *FAMILIES))
    if liberty is None and "liberty" in measure:
        liberty = library_path(str(measure["liberty"]), folder)
    period = measure.get("period") if period is None else period
    if period is not None and not (_is_number(period) and period > 0):
        raise InputError(f"[measure] period must be a positive number of ns, not {period!r}")
    metrics = {**KNOWN, **(FPGA if target in FAMILIES else ASIC | ENERGY)}
    objectives = document.get("objectives", {})
    _known_names("[objectives]", objectives, tuple(metrics))
    if not objectives:
        raise InputError('[objectives] is empty: give metrics with "min" or "max"')
    for name, way in objectives.items():
        _one_of(f"[objectives] {name}", way, ("min", "max"))
    constraints = document.get("constraints", {})
    numeric = tuple(name for name, kind in _FIELDS.items() if kind is int)
    _known_names("[constraints]", constraints, (*metrics, *numeric))
    return Space(
        axes={name: _values(name, given) for name, given in space.items()},
        fixed=fixed,
        limits=tuple(_limit(name, given) for name, given in constraints.items()),
        objectives=objectives,
        target=target,
        weight_bits=_integer("[measure] weight_bits", measure.get("weight_bits", 0), 0),
        liberty=liberty,
        period=period,
        method=_one_of("[search] method", search.get("method", "exhaustive"), _METHODS),
        trials=_integer("[search] trials", search.get("trials", 0), 0),
        seed=_integer("[search] seed", search.get("seed", 0), 0),
        batch=_integer("[search] batch", search.get("batch", 8), 1),
        prune=_one_of("[search] prune", search.get("prune", True), (True, False)),
    )


def _known_names(where: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise InputError(f"unknown {name!r} in {where}; known: {', '.join(sorted(known))}")


def _one_of(where: str, value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise InputError(f"{where} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return value


def _integer(where: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{where} must be an integer of at least {least}, not {value!r}")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _values(name: str, given: Any) -> tuple[Any, ...]:
    """Values of an axis: a list, or ``{low, high, step}``, or ``{low, high, log2 = true}``."""
    if isinstance(given, list):
        if not given:
            raise InputError(f"[space] {name} is an empty list")
        if len(set(map(str, given))) < len(given):
            raise InputError(f"[space] {name} has a value twice: {given}")
        return tuple(given)
    if not isinstance(given, dict):
        raise InputError(
            f"[space] {name} must be a list of values or {{ low, high, step or log2 }}, "
            f"not {given!r}: a single value belongs into [fixed]"
        )
    _known_names(f"[space] {name}", given, ("low", "high", "step", "log2"))
    low = _integer(f"[space] {name}.low", given.get("low"), 0)
    high = _integer(f"[space] {name}.high", given.get("high"), low)
    if not given.get("log2"):
        return tuple(
            range(low, high + 1, _integer(f"[space] {name}.step", given.get("step", 1), 1))
        )
    if low < 1 or "step" in given:
        raise InputError(f"[space] {name}: log2 doubles from low >= 1 up to high, without step")
    return tuple(low << i for i in range((high // low).bit_length()))


def _limit(name: str, given: Any) -> Limit:
    if not isinstance(given, dict) or not given:
        raise InputError(f"[constraints] {name} must be {{ min = A, max = B }}, not {given!r}")
    _known_names(f"[constraints] {name}", given, ("min", "max"))
    for bound, value in given.items():
        if not _is_number(value):
            raise InputError(f"[constraints] {name}.{bound} must be a number, not {value!r}")
    return Limit(name=name, least=given.get("min", -math.inf), most=given.get("max", math.inf))
