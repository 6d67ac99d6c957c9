"""Code coverage: which lines of the Verilog ran and which of its bits toggled, by instance.

Verilator counts (:func:`lutcore.verif.sim.simulator.build` with ``coverage``) and writes a file at
the end of a simulation. A point is one thing to be seen at least once: a block of lines that runs,
a branch that is taken, a bit that rises, a bit that falls. Points of one line or signal of an
instance stand together as an integer, a bit for each, so that coverages of many simulations merge
in no time and are small in JSON.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple, Self

from lutcore.errors import InputError

#: Kinds of points; those of ``LINES`` make up line coverage.
KINDS = ("line", "branch", "toggle")
LINES = ("line", "branch")
_HEAD = "# SystemC::Coverage-3"
_POINT = re.compile(r"C '(.*)' (\d+)")
_FIELD = re.compile("\1([^\2]*)\2([^\1]*)")
_TOGGLE = re.compile(r"(.*?)(?:\[(\d+)\])?:(0->1|1->0)")
_ESCAPED = re.compile("__0([0-9A-F]{2})")
# Above the top where the harness gives the model no name.
_MODEL = "TOP."
_SCHEMA = 1
# A bit that a simulation starts with at 1 has risen once for Verilator, and a register that no
# reset clears starts with anything: it falls once for nothing.
_TWICE = 2


class Place(NamedTuple):
    """Where points are: a line or a signal of an instance.

    ``instance`` is the path from the top, whose own is its module's name. ``name`` is the signal,
    or of a branch what Verilator calls it (``if``, ``else``, ``cond_then``, ``block``) and its
    column in the line.
    """

    kind: str
    instance: str
    module: str
    line: int
    name: str


class Point(NamedTuple):
    """One point of a place and how often it was seen; ``number`` 2i is bit i's rise, 2i + 1 its
    fall, 0 all else."""

    place: Place
    number: int
    count: int


class Hole(NamedTuple):
    """Points of a place that were never seen, as a mask by their numbers (:class:`Point`)."""

    place: Place
    missing: int

    @property
    def rises(self) -> int:
        """Bits of a signal that never rose, as a mask."""
        return _every_other(self.missing)

    @property
    def falls(self) -> int:
        """Bits of a signal that never fell, as a mask."""
        return _every_other(self.missing >> 1)

    @property
    def still(self) -> int:
        """Bits of a signal that neither rose nor fell, as a mask."""
        return self.rises & self.falls

    def __str__(self) -> str:
        """What is missing, and where."""
        place = self.place
        if place.kind != "toggle":
            return f"{place.instance}: line {place.line}: {place.name} never ran"
        said = [
            f"{place.name}{_ranges(bits)} {what}"
            for bits, what in (
                (self.still, "never changed"),
                (self.rises & ~self.still, "never rose"),
                (self.falls & ~self.still, "never fell"),
            )
            if bits
        ]
        return f"{place.instance}: line {place.line}: {', '.join(said)}"


class Ratio(NamedTuple):
    """Points seen, of all."""

    seen: int
    points: int

    @property
    def part(self) -> float:
        """From 0 to 1; of nothing, 1."""
        return self.seen / self.points if self.points else 1.0


@dataclass
class Coverage:
    """Points of a design and which of them simulations have seen.

    Attributes
    ----------
    points, hits : dict of Place to int
        Masks by the numbers of points (:class:`Point`). Places that were never seen have a hit
        of 0.
    excluded : dict of str to dict of Place to int
        Reason -> points that are not counted, and are not in ``points``.
    """

    points: dict[Place, int] = field(default_factory=dict)
    hits: dict[Place, int] = field(default_factory=dict)
    excluded: dict[str, dict[Place, int]] = field(default_factory=dict)

    def merge(self, other: Self) -> Self:
        """What one of both has seen; of one design, excluded alike.

        Raises
        ------
        InputError
            They are of different designs.
        """
        if self.points != other.points or self.excluded != other.excluded:
            raise InputError("coverage of one design does not merge with that of another")
        hits = {place: seen | other.hits[place] for place, seen in self.hits.items()}
        return type(self)(self.points, hits, self.excluded)

    def ratio(self, kinds: Iterable[str] = KINDS, instance: str = "*") -> Ratio:
        """Points of some kinds, of the instances that a pattern matches (``*`` is any text)."""
        of = [
            place
            for place in self.points
            if place.kind in kinds and fnmatchcase(place.instance, instance)
        ]
        return Ratio(
            sum(self.hits[place].bit_count() for place in of),
            sum(self.points[place].bit_count() for place in of),
        )

    @property
    def line(self) -> Ratio:
        """Blocks of lines that ran and branches that were taken."""
        return self.ratio(LINES)

    @property
    def toggle(self) -> Ratio:
        """Rises and falls of bits."""
        return self.ratio(("toggle",))

    def instances(self) -> dict[str, tuple[Ratio, Ratio]]:
        """Instance -> its own lines and toggles, without those of instances below it."""
        counts: Counter[tuple[str, bool, str]] = Counter()
        for place, points in self.points.items():
            key = (place.instance, place.kind in LINES)
            counts[*key, "points"] += points.bit_count()
            counts[*key, "seen"] += self.hits[place].bit_count()

        def ratio(name: str, lines: bool) -> Ratio:
            return Ratio(counts[name, lines, "seen"], counts[name, lines, "points"])

        names = sorted({place.instance for place in self.points})
        return {name: (ratio(name, True), ratio(name, False)) for name in names}

    def modules(self) -> Self:
        """The same with one instance a module, named as the module: a point is seen that any of
        its instances has seen, and excluded that all exclude."""
        points, hits = _by_module(self.points), _by_module(self.hits)
        excluded = {}
        for reason, masks in self.excluded.items():
            whole = {p: mask & ~points.get(p, 0) for p, mask in _by_module(masks).items()}
            excluded[reason] = {p: mask for p, mask in whole.items() if mask}
        excluded = {reason: masks for reason, masks in excluded.items() if masks}
        return type(self)(points, hits, excluded)

    def holes(self) -> list[Hole]:
        """What was never seen, by instance and line."""
        found = (Hole(p, points & ~self.hits[p]) for p, points in self.points.items())
        return sorted((hole for hole in found if hole.missing), key=_order)

    def without(self, reason: str, masks: Mapping[Place, int]) -> Self:
        """The same with points excluded for a reason.

        Raises
        ------
        ValueError
            A point is excluded that was seen: the reason is wrong.
        """
        points, taken = dict(self.points), dict(self.excluded.get(reason, {}))
        for place, mask in masks.items():
            if seen := self.hits.get(place, 0) & mask:
                raise ValueError(f"excluded ({reason}) but seen: {_seen(place, seen)}")
            if gone := points.get(place, 0) & mask:
                points[place] &= ~gone
                taken[place] = taken.get(place, 0) | gone
        excluded = {**self.excluded, reason: taken} if taken else self.excluded
        return type(self)(points, self.hits, excluded)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: places of each module once, masks of its instances in hex."""
        modules: dict[str, dict[tuple[str, int, str], int]] = {}
        for place in self._places():
            listed = modules.setdefault(place.module, {})
            listed.setdefault((place.kind, place.line, place.name), len(listed))

        def packed(masks: Mapping[Place, int]) -> dict[str, dict[str, str]]:
            rows: dict[tuple[str, str], dict[int, int]] = {}
            for place, mask in masks.items():
                number = modules[place.module][place.kind, place.line, place.name]
                rows.setdefault((place.module, place.instance), {})[number] = mask
            found: dict[str, dict[str, str]] = {}
            for (module, instance), row in sorted(rows.items()):
                text = " ".join(f"{row[i]:x}" if i in row else "" for i in range(max(row) + 1))
                found.setdefault(module, {})[instance] = text
            return found

        return {
            "schema": _SCHEMA,
            "modules": {module: [*map(list, listed)] for module, listed in modules.items()},
            "points": packed(self.points),
            "hits": packed(self.hits),
            "excluded": {reason: packed(masks) for reason, masks in self.excluded.items()},
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            It is of another version.
        """
        if plain.get("schema") != _SCHEMA:
            raise InputError(f"coverage of schema {plain.get('schema')}, not {_SCHEMA}")

        def masks(packed: Mapping[str, Mapping[str, str]]) -> dict[Place, int]:
            return {
                Place(kind, instance, module, line, name): int(text, 16)
                for module, rows in packed.items()
                for instance, row in rows.items()
                for (kind, line, name), text in zip(
                    plain["modules"][module], row.split(" "), strict=False
                )
                if text
            }

        excluded = {reason: masks(packed) for reason, packed in plain["excluded"].items()}
        return cls(masks(plain["points"]), masks(plain["hits"]), excluded)

    def _places(self) -> dict[Place, None]:
        excluded = (place for masks in self.excluded.values() for place in masks)
        return dict.fromkeys((*self.points, *excluded))


def _order(hole: Hole) -> tuple[str, int, str]:
    return hole.place.instance, hole.place.line, hole.place.name


def _by_module(masks: Mapping[Place, int]) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for place, mask in masks.items():
        of = place._replace(instance=place.module)
        found[of] = found.get(of, 0) | mask
    return found


def _every_other(mask: int) -> int:
    """Bits 0, 2, 4, ... of a mask as bits 0, 1, 2, ..."""
    digits = f"{mask:b}"[::-1]
    return int(digits[::2][::-1] or "0", 2)


def _ranges(mask: int) -> str:
    """Bits of a mask as Verilog has them: ``[3], [7:5]``."""
    runs = [match.span() for match in re.finditer("1+", f"{mask:b}"[::-1])]
    return ", ".join(f"[{e - 1}:{s}]" if e - s > 1 else f"[{s}]" for s, e in reversed(runs))


def _seen(place: Place, mask: int) -> str:
    bits = _every_other(mask | mask >> 1)
    what = f"{place.name}{_ranges(bits)}" if place.kind == "toggle" else place.name
    return f"{place.instance}: line {place.line}: {what}"


def plain_name(name: str) -> str:
    """A name of the Verilog as Verilator's C++ spells it: ``a___05Fb`` is ``a__b``."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)


def read_points(lines: Iterable[str]) -> Iterator[Point]:
    """Points of a file that Verilator wrote, and how often each was seen.

    Raises
    ------
    InputError
        It is no such file.
    """
    lines = iter(lines)
    if next(lines, "").strip() != _HEAD:
        raise InputError(f"no coverage of Verilator: its first line is not {_HEAD!r}")
    plain = _memory(plain_name)
    for line in lines:
        found = _POINT.fullmatch(line.rstrip("\n"))
        facts = dict(_FIELD.findall(found[1])) if found else {}
        if found is None or not {"page", "l", "n", "o", "h"} <= facts.keys():
            raise InputError(f"no point of Verilator's coverage: {line[:100]!r}")
        kind, _, module = facts["page"].removeprefix("v_").partition("/")
        number, name = 0, f"{facts['o']}:{facts['n']}"
        if kind == "toggle":
            toggle = _TOGGLE.fullmatch(facts["o"])
            if toggle is None:
                raise InputError(f"no signal of Verilator's coverage: {facts['o']!r}")
            name, number = toggle[1], 2 * int(toggle[2] or 0) + (toggle[3] == "1->0")
        instance = plain(facts["h"]).removeprefix(_MODEL)
        place = Place(kind, instance, plain(module), int(facts["l"]), plain(name))
        yield Point(place, number, int(found[2]))


def _memory(compute: Callable[[str], str]) -> Callable[[str], str]:
    """Computes once for each text, and gives equal texts as one: a file repeats them."""
    known: dict[str, str] = {}

    def get(text: str) -> str:
        if text not in known:
            known[text] = compute(text)
        return known[text]

    return get


def read_coverage(path: Path) -> Coverage:
    """Read what a simulation wrote (:func:`lutcore.verif.sim.play.run_jobs`, ``coverage_to``).

    Raises
    ------
    InputError
        It is no such file.
    """
    found = Coverage()
    with path.open(encoding="utf-8") as lines:
        for place, number, count in read_points(lines):
            found.points[place] = found.points.get(place, 0) | 1 << number
            enough = _TWICE if place.kind == "toggle" else 1
            found.hits[place] = found.hits.get(place, 0) | (count >= enough) << number
    return found


def save(coverage: Coverage) -> str:
    """As compact JSON."""
    return json.dumps(coverage.to_dict(), separators=(",", ":"))
