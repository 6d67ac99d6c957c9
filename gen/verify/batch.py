"""Some cases of one configuration, played into its design one by one: a worker's share."""

import functools
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import HostError, InputError, ToolError
from lutcore.gen.experiments.point import Question
from lutcore.gen.verify import gates
from lutcore.gen.verify.gates import MAPPED
from lutcore.gen.verify.kinds import kind_of
from lutcore.gen.verify.suite_file import SuiteFile
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage.code import read_coverage
from lutcore.verif.sim.simulator import versions_of


@dataclass(frozen=True)
class Batch(Question):
    """Cases that are played one after the other, each after a reset.

    Attributes
    ----------
    config : CoreConfig
    cases : tuple of (str, int)
        Test and seed of each.
    top : str
        One of :data:`~lutcore.gen.verify.kinds.KINDS`.
    simulator : str
        ``verilator``; ``icarus``; or :data:`~lutcore.gen.verify.gates.MAPPED`, the netlist.
    lines : bool
        Count lines and toggles, too.
    suite : SuiteFile or None
        Tests, models and constraints of a user's own.
    """

    config: CoreConfig
    cases: tuple[tuple[str, int], ...]
    top: str = "tile"
    simulator: str = "verilator"
    lines: bool = False
    suite: SuiteFile | None = None

    @functools.cached_property
    def key(self) -> str:
        """Digest of configuration, cases, suite, sources and tools."""
        mapped = self.simulator == MAPPED
        depends = [*versions_of("icarus" if mapped else self.simulator)]
        depends += gates.library() if mapped else []
        return cache.key(__name__, json.dumps(self.facts(), sort_keys=True), *depends)

    def facts(self) -> dict[str, Any]:
        """What is asked, as plain values."""
        asked = {"asked": [list(case) for case in self.cases], "top": self.top}
        asked |= {"simulator": self.simulator, "lines": self.lines}
        asked["suite"] = self.suite.facts() if self.suite else None
        return {"config": self.config.to_dict(), **asked}


def measure(batch: Batch) -> dict[str, Any]:
    """Play a batch.

    Returns
    -------
    dict
        ``key``, facts, ``error`` (why it could not be played, or None), ``seconds``, and ``cases``,
        each with ``test``, ``seed``, ``case``, ``mismatches``, ``problems``, ``slices``,
        ``checked``, ``hits`` (group and bin; none where it fails); a case that fails has
        ``shortened`` too; of the others of the same test in the batch it stands for their cause.
        ``code`` is what lines and toggles were counted, if they were and no case failed.
    """
    began = time.monotonic()
    record = {"key": batch.key, **batch.facts(), "error": None, "cases": [], "code": None}
    try:
        with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
            counted = Path(scratch) / "coverage.dat" if batch.lines else None
            record["cases"] = _play(batch, counted)
            if counted and not any(outcome["mismatches"] for outcome in record["cases"]):
                record["code"] = read_coverage(counted).to_dict()
    except (InputError, ToolError) as error:
        record["error"] = str(error)
    except HostError:
        raise
    except Exception as error:  # one batch must not end the others
        record["error"] = f"{type(error).__name__}: {error}"
    return record | {"seconds": round(time.monotonic() - began, 3)}


def _play(batch: Batch, counted: Path | None) -> list[dict[str, Any]]:
    kind = kind_of(batch.top, batch.suite)
    if batch.simulator == MAPPED:
        return gates.outcomes(kind, batch.config, batch.cases)
    if batch.simulator == "icarus":
        return kind.with_x(batch.config, batch.cases, None)
    return kind.outcomes(batch.config, batch.cases, batch.simulator, counted)
