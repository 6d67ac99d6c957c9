"""Functional coverage: bins that a plan wants hit, in groups, and how often each was."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

#: Group -> its bins.
Wanted = Mapping[str, Iterable[str]]
#: Group and bin.
Hit = tuple[str, str]


class Bins:
    """Counts of all bins that can be hit.

    Parameters
    ----------
    wanted : mapping
        Group -> its bins: what can be reached, and nothing else.
    """

    def __init__(self, wanted: Wanted):
        self.groups: dict[str, dict[str, int]] = {
            group: dict.fromkeys(bins, 0) for group, bins in wanted.items()
        }

    def add(self, hits: Iterable[Hit]) -> None:
        """Count hits.

        Raises
        ------
        KeyError
            A bin was hit that cannot be: the plan calls something unreachable that is not.
        """
        for (group, name), count in Counter(hits).items():
            if name not in self.groups.get(group, {}):
                raise KeyError(f"{group}: {name!r} was hit, which the plan holds unreachable")
            self.groups[group][name] += count

    def merge(self, other: "Bins") -> None:
        """Add the counts of the same bins from elsewhere.

        Raises
        ------
        ValueError
            They are other bins.
        """
        if {g: set(b) for g, b in self.groups.items()} != {
            g: set(b) for g, b in other.groups.items()
        }:
            raise ValueError("coverage of other bins: of another configuration, or version")
        for group, bins in other.groups.items():
            for name, count in bins.items():
                self.groups[group][name] += count

    @property
    def holes(self) -> list[Hit]:
        """Bins that were never hit."""
        return [
            (group, name)
            for group, bins in self.groups.items()
            for name, count in bins.items()
            if not count
        ]

    @property
    def count(self) -> int:
        """All bins."""
        return sum(map(len, self.groups.values()))

    @property
    def ratio(self) -> float:
        """Part of the bins that was hit, 0 to 1."""
        return 1 - len(self.holes) / self.count if self.count else 1.0

    def would_fill(self, hits: Iterable[Hit]) -> int:
        """How many holes such hits would fill."""
        return len(set(self.holes) & set(hits))

    def to_dict(self) -> dict[str, Any]:
        """Plain values: group -> bin -> count."""
        return {group: dict(bins) for group, bins in self.groups.items()}

    @classmethod
    def from_dict(cls, groups: dict[str, dict[str, int]]) -> "Bins":
        """Inverse of :meth:`to_dict`."""
        found = cls(groups)
        for group, bins in groups.items():
            found.groups[group].update(bins)
        return found
