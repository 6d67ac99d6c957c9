"""Assembler and disassembler of core programs: text to instruction words and back.

One instruction a line: its mnemonic, then ``name=value`` for each operand and the bare names of the
flags that are set, in any order; operands that may be left out then mean
their first choice. ``#`` starts a comment. Numbers are decimal or 0x hexadecimal.
"""

import re
from collections.abc import Iterable

from lutcore.errors import InputError
from lutcore.hdl.isa.lmma import (
    BY_NAME,
    BY_OPCODE,
    BYTES,
    OPCODE_BITS,
    REGISTERS,
    Field,
    Instruction,
)

_TOKEN = re.compile(r"\S+")


def _pattern(instruction: Instruction) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", instruction.syntax)
    text = "".join(
        f"(?P<{part}>[^.]*?)" if i % 2 else re.escape(part) for i, part in enumerate(parts)
    )
    return re.compile(text)


_PATTERNS = {i: _pattern(i) for i in BY_NAME.values()}


def _value(field: Field, text: str) -> int:
    """Value of an operand; a ``ValueError`` says what is allowed."""
    if field.choices:
        if text not in field.choices:
            raise ValueError(f"must be one of {', '.join(field.choices)}, not {text!r}")
        return field.choices.index(text)
    if field.kind == "register":
        number = re.fullmatch(r"r(\d{1,2})", text)
        if not number or int(number[1]) >= REGISTERS:
            raise ValueError(f"must be a register r0..r{REGISTERS - 1}, not {text!r}")
        return int(number[1])
    low, high = field.range
    try:
        value = int(text, 0)
    except ValueError:
        raise ValueError(f"must be a number, not {text!r}") from None
    if not low <= value <= high:
        raise ValueError(f"must be in {low}..{high}, not {text}")
    return value


def _line(tokens: list[re.Match[str]]) -> int:
    """Instruction word of a line's tokens; errors are (column, text)."""
    instruction, parsed = _instruction(tokens[0])
    head = parsed.groupdict()
    values = {
        name: _number(instruction, name, text, tokens[0].start() + parsed.start(name))
        for name, text in head.items()
    }
    for token in tokens[1:]:
        name, equals, text = token[0].partition("=")
        field = instruction.by_name.get(name)
        if field is None or name in head:
            names = [field.name for field in instruction.fields if field.name not in head]
            known = ", ".join(names) or "none"
            raise _Fault(
                token.start(), f"{instruction.name} has no operand {name!r}; it has {known}"
            )
        if name in values:
            raise _Fault(token.start(), f"{name} is given twice")
        if field.kind == "flag" and equals:
            raise _Fault(token.start(), f"{name} is a flag and takes no value")
        if field.kind != "flag" and not equals:
            raise _Fault(token.start(), f"{name} needs a value: {name}=...")
        column = token.start() + len(name) + 1
        values[name] = _number(instruction, name, text, column) if equals else 1
    _check_complete(instruction, values, tokens[-1].end())
    return instruction.encode(values)


def _instruction(head: re.Match[str]) -> tuple[Instruction, re.Match[str]]:
    for instruction, pattern in _PATTERNS.items():
        if parsed := pattern.fullmatch(head[0]):
            return instruction, parsed
    known = ", ".join(instruction.syntax for instruction in BY_NAME.values())
    raise _Fault(head.start(), f"no instruction {head[0]!r}; known: {known}")


def _number(instruction: Instruction, name: str, text: str, column: int) -> int:
    try:
        return _value(instruction.by_name[name], text)
    except ValueError as error:
        raise _Fault(column, f"{name} {error}") from None


def _check_complete(instruction: Instruction, values: dict[str, int], column: int) -> None:
    for field in instruction.fields:
        if field.kind != "flag" and not field.optional and field.name not in values:
            raise _Fault(column, f"{instruction.name} needs {field.name}=... ({field.text})")


class _Fault(Exception):
    def __init__(self, column: int, text: str):
        super().__init__(text)
        self.column = column


def assemble(text: str, source: str = "program") -> list[int]:
    """Instruction words of a program's text.

    Raises
    ------
    InputError
        naming ``source``, line and column (from 1) and what is allowed.
    """
    words = []
    for number, line in enumerate(text.splitlines(), 1):
        tokens = list(_TOKEN.finditer(line.partition("#")[0]))
        if not tokens:
            continue
        try:
            words.append(_line(tokens))
        except _Fault as fault:
            raise InputError(
                f"{source}, line {number}, column {fault.column + 1}: {fault}"
            ) from None
    return words


def _operand(field: Field, value: int) -> str:
    if field.choices:
        return field.choices[value]
    return f"r{value}" if field.kind == "register" else str(value)


def disassemble(words: Iterable[int]) -> str:
    """Text of instruction words, a line each; :func:`assemble` gives the same words back.

    Raises
    ------
    InputError
        A word is no instruction, or a field has a value without a name.
    """
    lines, depth = [], 0
    for place, word in enumerate(words):
        instruction = BY_OPCODE.get(word & (1 << OPCODE_BITS) - 1)
        if instruction is None or word & ~instruction.mask:
            raise InputError(f"instruction {place} ({word:#034x}) is illegal")
        values = instruction.decode(word)
        for field in instruction.fields:
            low, high = field.range
            if not low <= values[field.name] <= high:
                raise InputError(
                    f"instruction {place}, {instruction.name}: {field.name} must be in "
                    f"{low}..{high}, not {values[field.name]}"
                )
        text = {f.name: _operand(f, values[f.name]) for f in instruction.fields}
        parts = [instruction.syntax.format(**text)]
        for field in instruction.fields:
            if f"{{{field.name}}}" in instruction.syntax:
                continue
            if field.optional and not values[field.name]:
                continue
            if field.kind != "flag":
                parts.append(f"{field.name}={text[field.name]}")
            elif values[field.name]:
                parts.append(field.name)
        depth -= instruction.name == "end"
        lines.append("  " * max(depth, 0) + " ".join(parts))
        depth += instruction.name == "loop"
    return "\n".join(lines) + "\n"


def to_bytes(words: Iterable[int]) -> bytes:
    """Instruction words as they stand in memory."""
    return b"".join(word.to_bytes(BYTES, "little") for word in words)


def from_bytes(image: bytes) -> list[int]:
    """Inverse of :func:`to_bytes`.

    Raises
    ------
    InputError
        The image is no whole number of instructions.
    """
    if len(image) % BYTES:
        raise InputError(f"a program is a multiple of {BYTES} bytes, not {len(image)}")
    return [
        int.from_bytes(image[low : low + BYTES], "little") for low in range(0, len(image), BYTES)
    ]
