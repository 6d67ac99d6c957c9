"""Misspelt names: the nearest one that is known."""

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str | None:
    """The known name that a misspelt one is likely to mean, None where none is near."""
    names = {word.lower(): word for word in known}
    found = difflib.get_close_matches(str(name).lower(), names, n=1)
    return names[found[0]] if found else None


def remedy(name: object, known: Iterable[str], kind: str = "known") -> str:
    """How a message about an unknown name ends: with the nearest one, or with all that there are.

    Parameters
    ----------
    kind : str
        What the names are, in front of all of them.
    """
    names = list(known)
    near = nearest(name, names)
    return f": did you mean {near!r}?" if near else f"; {kind}: {', '.join(names)}"
