"""Wide sweeps, of which `make test` has a slice and `make long` the rest."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def swept(cases: Iterable[Any], kept: int | Callable[[Any], bool]) -> list[Any]:
    """Values of a parameter: those that are kept, and the others, which `make long` has.

    ``kept`` says which: every so many, from the first; or by itself.
    """
    return [
        case if (kept(case) if callable(kept) else place % kept == 0) else later(case)
        for place, case in enumerate(cases)
    ]


def later(case: Any) -> Any:
    """A value that `make long` has."""
    values, name = (case.values, case.id) if isinstance(case, _SET) else ((case,), None)
    marks = [*case.marks] if isinstance(case, _SET) else []
    return pytest.param(*values, id=name, marks=[*marks, pytest.mark.long])


_SET = type(pytest.param())
