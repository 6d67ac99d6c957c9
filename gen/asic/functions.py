"""Boolean functions as Liberty writes them."""

import re

_TOKEN = re.compile(r"[\w\[\].]+|\S")


def truth_table(function: str, inputs: tuple[str, ...]) -> int:
    """Truth table of a Liberty function: bit r is its value where input i is bit i of r.

    Operators, the tightest first: ``!`` before or ``'`` after an operand; ``^``; ``&``, ``*`` or
    nothing between operands; ``|`` or ``+``.

    Raises
    ------
    ValueError
        ``function`` is not such an expression of ``inputs``.
    """
    return _Function(function, inputs).table()


class _Function:
    """Reads a function by recursive descent; what each method returns is a truth table."""

    def __init__(self, function: str, inputs: tuple[str, ...]):
        rows = range(1 << len(inputs))
        self._function = function
        self._tokens = _TOKEN.findall(function)[::-1]
        self._ones = (1 << len(rows)) - 1
        self._operands = {"0": 0, "1": self._ones} | {
            pin: sum(1 << row for row in rows if row >> i & 1) for i, pin in enumerate(inputs)
        }

    def table(self) -> int:
        value = self._disjunction()
        if self._tokens:
            raise ValueError(f"unexpected {self._tokens[-1]!r} in {self._function!r}")
        return value

    def _ahead(self, choices: str) -> bool:
        return bool(self._tokens) and self._tokens[-1] in choices

    def _take(self, choices: str) -> bool:
        """Whether the next token is one of these, which is then taken."""
        return self._ahead(choices) and bool(self._tokens.pop())

    def _disjunction(self) -> int:
        value = self._conjunction()
        while self._take("|+"):
            value |= self._conjunction()
        return value

    def _conjunction(self) -> int:
        value = self._parity()
        while self._tokens and not self._ahead(")|+"):
            self._take("&*")
            value &= self._parity()
        return value

    def _parity(self) -> int:
        value = self._operand()
        while self._take("^"):
            value ^= self._operand()
        return value

    def _operand(self) -> int:
        if self._take("!"):
            return self._ones ^ self._operand()
        if self._take("("):
            value = self._disjunction()
            if not self._take(")"):
                raise ValueError(f"unbalanced parenthesis in {self._function!r}")
        else:
            token = self._tokens.pop() if self._tokens else ""
            if token not in self._operands:
                raise ValueError(f"unexpected {token!r} in {self._function!r}")
            value = self._operands[token]
        while self._take("'"):
            value ^= self._ones
        return value
