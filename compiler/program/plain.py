"""Plain values that a file's table holds: each is judged where it is taken out of the table."""

from collections.abc import Callable
from typing import Any, TypeVar

from lutcore.errors import InputError

_T = TypeVar("_T")

#: Greatest number that stands for a size or an address: those of the core have so many bits.
MOST = (1 << 48) - 1


def _shown(value: object) -> str:
    """A value in an error, however long it is."""
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of more than 64 bits"
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def need(condition: bool, what: str) -> None:
    """Refuse with ``what`` unless it is so: an :class:`InputError`."""
    if not condition:
        raise InputError(what)


def integer(value: object, what: str, low: int = 0, high: int = MOST) -> int:
    """A whole number in ``low..high``.

    Raises
    ------
    InputError
        It is none, and ``what`` it should be.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{what} must be a whole number in {low}..{high}, not {_shown(value)}")
    return value


def text(value: object, what: str) -> str:
    """A text; errors as :func:`integer`."""
    if not isinstance(value, str):
        raise InputError(f"{what} must be a text, not {_shown(value)}")
    return value


def row(value: object, what: str, length: int | None = None) -> list[Any]:
    """A list, of so many values; errors as :func:`integer`."""
    if not isinstance(value, list) or length not in (None, len(value)):
        many = "" if length is None else f" of {length} values"
        raise InputError(f"{what} must be a list{many}, not {_shown(value)}")
    return value


def record(value: object, what: str, *keys: str) -> dict[str, Any]:
    """Values by name, of just these names if any are given; errors as :func:`integer`."""
    if not isinstance(value, dict):
        raise InputError(f"{what} must be values by name, not {_shown(value)}")
    if keys and (wrong := sorted(set(keys) ^ value.keys())):
        raise InputError(
            f"{what} must have just {', '.join(keys)}: {_shown(wrong[0])} is missing or unknown"
        )
    return value


def integers(value: object, what: str, *names: str) -> dict[str, int]:
    """Whole numbers by these names, each at least 0; errors as :func:`integer`."""
    return {n: integer(v, f"{what}: {n}") for n, v in record(value, what, *names).items()}


def texts(value: object, what: str) -> dict[str, str]:
    """Texts by name; errors as :func:`integer`."""
    return {name: text(found, f"{what}: {name}") for name, found in record(value, what).items()}


def each(value: object, what: str, take: Callable[[object, str], _T]) -> list[_T]:
    """A list of what ``take`` takes; errors as :func:`integer`."""
    return [take(found, f"{what} {index}") for index, found in enumerate(row(value, what))]
