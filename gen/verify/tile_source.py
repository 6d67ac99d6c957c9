"""Where a tile's cases come from, and what else than the golden model they are held against."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np

from lutcore.gen.verify.tile_cases import TileCase, applicable, draw
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import TileJob


class AnyCase(Protocol):
    """What can be played, written in a line, and made smaller (:class:`TileCase`)."""

    def job(self, config: CoreConfig) -> TileJob:
        """What the bench plays."""
        ...

    def to_text(self) -> str:
        """One line without blanks."""
        ...

    def smaller(self, least_bits: int = 1) -> "Iterator[AnyCase]":
        """Simpler cases, the most simplified first."""
        ...

    def length(self, config: CoreConfig) -> int:
        """Slices, about, times attempts."""
        ...


class PlannedTiles:
    """The tests of the plan; a suite of a user's own adds to them.

    Attributes
    ----------
    judges : bool
        Whether :meth:`problem` wants to know what the tile sent.
    """

    judges = False

    def tests(self, config: CoreConfig) -> list[str]:
        """Names of the tests that mean something to a configuration."""
        return applicable(config)

    def draw(self, config: CoreConfig, test: str, seed: int) -> AnyCase:
        """The case of a test and a seed; :class:`InputError` if there is none."""
        return draw(config, test, seed)

    def read(self, config: CoreConfig, text: str) -> AnyCase:
        """Inverse of a case's ``to_text``; :class:`InputError` if it is none."""
        return TileCase.from_text(text)

    def job(self, config: CoreConfig, case: AnyCase) -> TileJob:
        """What the bench plays of a case."""
        return case.job(config)

    def allows(self, config: CoreConfig, case: AnyCase) -> bool:
        """Whether a smaller case may be played."""
        return True

    def problem(
        self, config: CoreConfig, job: TileJob, sent: Mapping[str, np.ndarray] | None = None
    ) -> str:
        """What another model says against a job's expected results; empty if nothing.

        ``sent`` has the fields of the tile's own result beats, where it is known.
        """
        return ""


#: The plan's own.
PLANNED = PlannedTiles()
