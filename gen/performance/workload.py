"""A model, a phase and a system as a point that a :class:`~lutcore.gen.experiments.runner.Runner`
takes.
"""

import dataclasses
import functools
import json
from dataclasses import dataclass
from typing import Any

from lutcore import cache
from lutcore.errors import InputError
from lutcore.gen.performance.model import estimate, total
from lutcore.gen.performance.shapes import ModelShape, Phase
from lutcore.gen.performance.system import System


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is to be estimated."""

    model: ModelShape
    phase: Phase
    system: System

    @functools.cached_property
    def key(self) -> str:
        """Hash of all of it and of the sources that estimate: 24 hex digits."""
        return cache.key(__name__, json.dumps(self.facts(), sort_keys=True))

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
