"""Points that are excluded from code coverage for a written reason: data beside this module."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.coverage.code import Coverage, Place

TABLE = Path(__file__).with_name("exclusions.toml")
#: Largest part of a design's points that may be excluded so.
MOST = 0.02


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Points of a signal, or of lines, and why no stimulus reaches them.

    Attributes
    ----------
    module : str
        Name behind that of the design and two underscores, or its own of the top: ``tile``; ``*``
        is any text.
    signal : str
        Its name, or a branch's as :class:`~lutcore.verif.coverage.code.Place` has it; ``*`` as
        above.
    reason : str
    bits : tuple of int
        Of a signal; all if there are none.
    activation : tuple of str
        Formats of the configurations that it holds for; all if there are none.
    """

    module: str
    signal: str
    reason: str
    bits: tuple[int, ...] = ()
    activation: tuple[str, ...] = ()

    def mask(self, place: Place) -> int:
        """Points of a place that it excludes; all others' bits are 0, and -1 is all of them."""
        module = place.module.partition("__")[2] or "tile"
        if not (fnmatchcase(module, self.module) and fnmatchcase(place.name, self.signal)):
            return 0
        return sum(3 << 2 * bit for bit in self.bits) if self.bits else -1


def read_exclusions(path: Path = TABLE) -> list[Exclusion]:
    """The table.

    Raises
    ------
    InputError
        An entry has an unknown field, or none of those it needs.
    """
    found = []
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("exclusion", []):
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        try:
            found.append(Exclusion(**(entry | lists)))
        except TypeError as error:
            raise InputError(f"{path}: {entry}: {error}") from error
    return found


def without_exclusions(
    coverage: Coverage, config: CoreConfig, listed: Sequence[Exclusion] | None = None
) -> Coverage:
    """Coverage without the points of the table, or of ``listed``, that hold for a configuration.

    Raises
    ------
    InputError
        They are more than :data:`MOST` of all points.
    ValueError
        One of them was seen.
    """
    entries = read_exclusions() if listed is None else listed
    before = coverage.ratio().points + sum(
        mask.bit_count() for masks in coverage.excluded.values() for mask in masks.values()
    )
    for entry in entries:
        if not entry.activation or config.activation in entry.activation:
            masks = {place: entry.mask(place) & points for place, points in coverage.points.items()}
            coverage = coverage.without(
                entry.reason, {p: mask for p, mask in masks.items() if mask}
            )
    written = {entry.reason for entry in entries}
    taken = sum(
        mask.bit_count()
        for reason, masks in coverage.excluded.items()
        if reason in written
        for mask in masks.values()
    )
    if taken > MOST * before:
        raise InputError(f"{taken} of {before} points are excluded by writing: at most {MOST:.0%}")
    return coverage
