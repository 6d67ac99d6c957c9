"""A model, a phase and a system as a point that a :class:`~lutcore.gen.study.runner.Runner`
takes.
"""

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore.gen.performance.model import estimate, total
from lutcore.gen.performance.shapes import ModelShape, Phase
from lutcore.gen.performance.system import System
from lutcore.hdl.errors import InputError

_PROJECT = Path(__file__).resolve().parent.parent.parent
#: Folders whose sources decide what a workload takes.
_SOURCES = ("compiler", "gen/performance", "hdl")


@functools.lru_cache
def _flow() -> str:
    digest = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((_PROJECT / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is to be estimated."""

    model: ModelShape
    phase: Phase
    system: System

    @functools.cached_property
    def key(self) -> str:
        """Hash of all of it and of the sources that estimate: 24 hex digits."""
        text = json.dumps([self.facts(), _flow()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def facts(self) -> dict[str, Any]:
        """What was asked, as plain values."""
        return {
            "measure": "performance",
            "config": {
                "model": dataclasses.asdict(self.model),
                "phase": dataclasses.asdict(self.phase),
                "system": dataclasses.asdict(self.system),
            },
        }


def record(workload: Workload) -> dict[str, Any]:
    """Rows of operators, and their sums; what fails is a record too: its ``error`` says why."""
    found: dict[str, Any] = {"key": workload.key, **workload.facts(), "error": None}
    try:
        layers = list(estimate(workload.model, workload.phase, workload.system))
    except InputError as error:
        return found | {"error": str(error)}
    return found | {"layers": layers, **total(layers)}
