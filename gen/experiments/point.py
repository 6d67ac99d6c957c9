"""One point of a study: a configuration, and what is asked of it."""

import functools
import hashlib
import importlib.metadata
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import InputError
from lutcore.gen.asic.liberty import library_name, read_bytes
from lutcore.gen.asic.synth import NEUTRAL_CELLS
from lutcore.gen.luts import families
from lutcore.gen.tools.opensta import sta_command, sta_version
from lutcore.gen.tools.yosys import yosys_command
from lutcore.hdl.config.core import CoreConfig

FAMILIES = tuple(families.FAMILIES)

#: What can be asked of a point, and the modules that answer, the last with all that is asked.
#: They are named, not imported: sources count in the keys of those points alone that need them.
ANSWERED_BY: dict[str, tuple[str, ...]] = {
    "area": ("lutcore.gen.asic.synth",),
    "energy": ("lutcore.gen.asic.synth", "lutcore.gen.energy.energy"),
    "dp4": ("lutcore.gen.experiments.dp4",),
    **dict.fromkeys(FAMILIES, ("lutcore.gen.luts.synth",)),
}
MEASURES = tuple(ANSWERED_BY)
#: The module that turns answers into records.
_RECORDS = "lutcore.gen.experiments.measure"


def ops_per_cycle(config: CoreConfig, weight_bits: int) -> float:
    """Products of full-width weights a cycle, over endless scale groups of ``config.run_length``.

    A b-bit weight takes a slice a bit plane; what ``depth`` does not divide is padded; a group
    that is too long for one run is run in pieces. Where runs are shorter than their drain and wait
    for it, this is a lower bound.
    """

    def cycles(elements: int) -> int:
        slices = -(-elements // config.depth) * config.planes(weight_bits)
        if config.passes > 1:  # runs end one right after the other
            slices += config.drain_beats - 1
        return max(slices, config.full_rate_slices) if elements else 0

    pieces, rest = divmod(config.run_length, config.run_steps * config.depth)
    total = pieces * cycles(config.run_steps * config.depth) + cycles(rest)
    return config.m * config.columns * config.run_length / total


class Question:
    """What a runner has measured: a point of a study, or whatever else has a name and facts."""

    @functools.cached_property
    def key(self) -> str:
        """Digest of all that the answer depends on."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """What was asked, as plain values."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        # Each process finds the key anew: a worker's has the worker's own tools and sources.
        return {name: value for name, value in vars(self).items() if name != "key"}


@dataclass(frozen=True, kw_only=True)
class Point(Question):
    """What to measure.

    Parameters
    ----------
    config : CoreConfig
        For ``dp4``: any, the unit has its own.
    measure : str
        ``area``, ``energy``, ``dp4``, or one of :data:`FAMILIES`. ``energy`` includes ``area``;
        ``dp4`` is a unit of :mod:`lutcore.gen.experiments.dp4`.
    weight_bits : int
        Bits of the weights whose products are counted; 0 means ``config.max_weight_bits``.
    liberty : Path, optional
        Standard-cell library; default the neutral one.
    period : float, optional
        Clock period in ns that timing must close at; None leaves timing out.
    deepen : bool
        Where timing does not close, try again with more pipeline stages.
    unit : str
        For ``dp4``: its kind.
    """

    config: CoreConfig
    measure: str = "area"
    weight_bits: int = 0
    liberty: Path | None = None
    period: float | None = None
    deepen: bool = False
    unit: str = ""

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InputError(f"measure must be one of {', '.join(MEASURES)}, not {self.measure!r}")
        if not 0 <= self.weight_bits <= self.config.max_weight_bits:
            raise InputError(
                f"weight_bits must be in 1..{self.config.max_weight_bits} "
                f"(max_weight_bits), not {self.weight_bits}"
            )
        if self.period is not None and not 0 < self.period < math.inf:
            raise InputError(f"period must be a positive number of ns, not {self.period}")

    @property
    def bits(self) -> int:
        """Bits of the weights whose products are counted."""
        return self.weight_bits or self.config.max_weight_bits

    @functools.cached_property
    def key(self) -> str:
        """Hash of configuration, question, library, flow and tool versions: 24 hex digits."""
        facts: list[Any] = [self.config.to_dict(), self.measure, self.bits, self.deepen, self.unit]
        facts += [self.period, _tools(self.measure, self.period is not None)]
        if self.measure not in FAMILIES:
            facts.append(_content_hash(self.liberty or NEUTRAL_CELLS))
        sources = cache.sources_digest(_RECORDS, *ANSWERED_BY[self.measure])
        return cache.digest(sources, json.dumps(facts, sort_keys=True))

    def facts(self) -> dict[str, Any]:
        """What was asked, as plain values."""
        return {
            "measure": self.measure,
            "config": self.config.to_dict(),
            "weight_bits": self.bits,
            "liberty": library_name(self.liberty) if self.liberty else None,
            "period_ns": self.period,
        }


@functools.lru_cache
def _content_hash(path: Path) -> str:
    return hashlib.sha256(read_bytes(path)).hexdigest()


@functools.lru_cache
def _tools(measure: str, timed: bool) -> list[str]:
    found = [yosys_command()[1], f"amaranth {importlib.metadata.version('amaranth')}"]
    if (timed or measure in ("energy", "dp4")) and (command := sta_command()):
        found.append(f"sta {sta_version(command)}")
    return found
