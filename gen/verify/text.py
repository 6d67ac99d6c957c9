"""Cases in one line: what of a dataclass is not as usual, ``name=value`` by ``name=value``.

Fields that do not count where cases are compared are left out.
"""

import dataclasses
import re
from typing import Any, TypeVar

from lutcore.errors import InputError

Case = TypeVar("Case")
_NUMBERS = re.compile(r"[-+.e/0-9]*", re.ASCII)


def to_text(case: Any) -> str:
    """One line without blanks; parts of tuples stand between slashes."""
    words = []
    for field in dataclasses.fields(case):
        value = getattr(case, field.name)
        if field.compare and value != field.default:
            text = "/".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words.append(f"{field.name}={text}")
    return ",".join(words)


def from_text(kind: type[Case], text: str) -> Case:
    """Inverse of :func:`to_text`, by the types of what is usual; numbers where that is None.

    Raises
    ------
    InputError
        It is no case.
    """
    fields = [field for field in dataclasses.fields(kind) if field.compare]  # type: ignore
    usual = {field.name: field.default for field in fields}
    values: dict[str, Any] = {}
    for word in filter(None, text.split(",")):
        name, equals, value = word.partition("=")
        if not equals or name not in usual:
            raise InputError(f"no case: {word!r} is none of {', '.join(usual)}=...")
        if name in values:
            raise InputError(f"no case: {name} stands twice")
        try:
            values[name] = _read(usual[name], value)
        except ValueError as error:
            raise InputError(f"no case: {word!r}: {error}") from error
    return kind(**values)


def _read(usual: Any, text: str) -> Any:
    if isinstance(usual, str):
        return text
    if isinstance(usual, bool):
        if text not in ("True", "False"):
            raise ValueError("True or False is wanted")
        return text == "True"
    if not _NUMBERS.fullmatch(text):
        raise ValueError("no number")
    if isinstance(usual, tuple):
        number = type(usual[0]) if usual else int
        found = tuple(map(number, filter(None, text.split("/"))))
        if usual and len(found) != len(usual):
            raise ValueError(f"{len(usual)} numbers are wanted")
        return found
    return float(text) if isinstance(usual, float) else int(text)
