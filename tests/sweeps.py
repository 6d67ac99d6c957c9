"""Wide sweeps, of which `make test` has a slice and `make long` the rest."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

#: A value of a parameter with marks, as :func:`pytest.param` makes it.
_Marked = type(pytest.param())
#: Small cores that play random programs in tests of the core; a slice of the campaign has the rest.
WITH_CORE_TESTS = ("w2a16", "4-tiles", "fp8-int8-tables", "bus-512", "bf16-exact")
#: Those that play them in `make long` alone: what they consist of is in others, with fp16 and
#: bf16-exact, and with buses of 64, 128 and 512 bits.
LATER_CORES = ("bf16", "bus-256")


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
    if not isinstance(case, _Marked):
        case = pytest.param(case)
    return pytest.param(*case.values, id=case.id, marks=[*case.marks, pytest.mark.long])
