"""Expressions of Verilog for signals: every operand as wide as its result, no sign by accident.

What is read once is written where it is read, as long as that stays short; all else is a net.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import groupby

from lutcore.gen.emit.names import Names
from lutcore.gen.emit.nets import MODULAR, OPERATORS, Nets, is_private
from lutcore.gen.emit.rtlil import Cell, Chunk, Signal
from lutcore.gen.emit.signals import joined, part_of

#: Operators of two operands: their sign, and whether a chain of them needs no brackets.
_BINARY = {
    **{"$and": ("&", True), "$or": ("|", True), "$xor": ("^", True)},
    **{"$add": ("+", True), "$sub": ("-", False), "$mul": ("*", False)},
}
_COMPARE = {"$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">="}
_REDUCE = {"$reduce_or": "|", "$reduce_and": "&", "$reduce_xor": "^", "$reduce_bool": "|"}
_SHIFTS = {"$shl": "<<", "$shr": ">>", "$shift": ">>"}
#: Longest expression that is written into another, in characters; and into a chain of its operator.
_SHORT, _CHAIN = 60, 900
#: Longest hexadecimal number in one piece, in bits.
_PIECE = 128


class Text(str):
    """An expression; ``sign`` is its outermost operator, empty for what needs no brackets."""

    sign: str

    def __new__(cls, text: str, sign: str = "") -> "Text":
        """As a string."""
        found = super().__new__(cls, text)
        found.sign = sign
        return found

    def within(self, sign: str) -> str:
        """The expression as an operand of an operator."""
        return str(self) if self.sign in ("", "~", sign) else f"({self})"

    def primary(self) -> str:
        """The expression as the operand of an operator before it."""
        return f"({self})" if self.sign else str(self)


class Expressions:
    """Writes the signals of a module.

    Parameters
    ----------
    need : callable
        Called with each net that an expression names.
    """

    def __init__(self, nets: Nets, names: Names, need: Callable[[str], None]):
        self._nets, self._names, self._need = nets, names, need
        #: Wire -> its bits that are read.
        self.read: dict[str, set[int]] = defaultdict(set)

    def text(self, signal: Signal, fields: bool = True, chain: str = "") -> Text:
        """A signal of any width; with ``fields``, bits of a structure by their own name.

        ``chain`` is the operator that it is an operand of, where a chain of it needs no brackets.
        """
        if len(signal) == 1 and not self._is_long(signal[0]):
            return self._chunk(signal[0], fields, chain)
        pieces: list[Text] = []
        for chunk in reversed(signal):
            if self._is_long(chunk):
                parts = [part_of((chunk,), low, _PIECE) for low in range(0, chunk.width, _PIECE)]
                pieces += [self._chunk(part[0], fields) for part in reversed(parts)]
            else:
                pieces.append(self._chunk(chunk, fields))
        groups = [(piece, len(list(same))) for piece, same in groupby(pieces)]
        told = [piece if n == 1 else f"{{{n}{{{piece}}}}}" for piece, n in groups]
        return Text(told[0] if len(told) == 1 else f"{{{', '.join(told)}}}")

    @staticmethod
    def _is_long(chunk: Chunk) -> bool:
        """Whether a chunk is a constant of more digits than a line should have."""
        return not chunk.wire and len(chunk.bits) > _PIECE and len(set(chunk.bits)) > 1

    def target(self, signal: Signal) -> str:
        """A signal that is assigned."""
        pieces = [self._named(chunk) for chunk in reversed(signal)]
        return pieces[0] if len(pieces) == 1 else f"{{{', '.join(pieces)}}}"

    def _chunk(self, chunk: Chunk, fields: bool, chain: str = "") -> Text:
        if not chunk.wire:
            return Text(number(chunk.bits))
        if inline := self._inline(chunk, chain):
            return inline
        if fields and chunk in self._nets.fields:
            wire = self._nets.fields[chunk]
            self.read[wire].update(range(chunk.width))
            self._need(wire)
            return Text(self._names[wire])
        self.read[chunk.wire].update(range(chunk.low, chunk.low + chunk.width))
        return Text(self._named(chunk))

    def _named(self, chunk: Chunk) -> str:
        self._need(chunk.wire)
        name, width = self._names[chunk.wire], self._nets.module.wires[chunk.wire].width
        if chunk.width == width:
            return name
        high = chunk.low + chunk.width - 1
        return f"{name}[{high}]" if high == chunk.low else f"{name}[{high}:{chunk.low}]"

    def _inline(self, chunk: Chunk, chain: str) -> Text | None:
        """The expression of a net without a name of its own, where it can stand for it."""
        if not is_private(chunk.wire) or chunk.low or chunk.wire in self._nets.kept:
            return None
        drivers = self._nets.driver[chunk.wire]
        cell = drivers[0] if len(drivers) == 1 else None
        if not isinstance(cell, Cell) or cell.kind not in OPERATORS:
            return None
        whole = chunk.width == self._nets.module.wires[chunk.wire].width
        if not whole and cell.kind not in MODULAR:
            return None
        if len(self._nets.readers[chunk.wire]) > 1 and not self._plain_inverse(cell):
            return None
        text = self.cell(cell, chunk.width)
        return text if len(text) <= (_CHAIN if chain and text.sign == chain else _SHORT) else None

    def _plain_inverse(self, cell: Cell) -> bool:
        """Whether a cell inverts one bit that has a name."""
        operand = cell.ports.get("A", ())
        return (
            cell.kind == "$not"
            and len(operand) == 1
            and operand[0].width == 1
            and not is_private(operand[0].wire)
        )

    def fitted(self, signal: Signal, width: int, signed: bool) -> Signal:
        """A signal cut or extended to a width."""
        have = sum(chunk.width for chunk in signal)
        if have >= width:
            return part_of(signal, 0, width)
        if not signed or not signal:
            return joined([*signal, Chunk("", 0, width - have, "0" * (width - have))])
        top = part_of(signal, have - 1, 1)[0]
        if top.wire:
            self._nets.kept.add(top.wire)  # its highest bit is read by itself
        return (
            (*signal, *[top] * (width - have))
            if top.wire
            else joined([*signal, *[top] * (width - have)])
        )

    def cell(self, cell: Cell, width: int) -> Text:
        """The lowest bits of what an operator gives."""
        kind, ports = cell.kind, cell.ports
        signed = cell.parameters.get("A_SIGNED") == "1"
        if kind in _REDUCE and not ports["A"]:
            return Text("1'b1" if kind == "$reduce_and" else "1'b0")
        if kind in _REDUCE:
            return Text(f"{_REDUCE[kind]}{self.text(ports['A']).primary()}", "unary")
        if kind == "$logic_not":
            return Text(f"!{self.text(ports['A']).primary()}", "unary")
        if kind in ("$not", "$neg"):
            operand = self.text(self.fitted(ports["A"], width, signed))
            if kind == "$not" and operand.sign == "~":
                return Text(operand[1:])
            mark = "~" if kind == "$not" else "-"
            return Text(f"{mark}{operand.primary()}", "~" if kind == "$not" else "unary")
        if kind == "$mux":
            on, yes, no = (self.text(s) for s in (
                ports["S"], part_of(ports["B"], 0, width), part_of(ports["A"], 0, width)
            ))  # fmt: skip
            return Text(f"{on.within('none')} ? {yes.within('none')} : {no.within('none')}", "?")
        if kind in _SHIFTS or kind == "$sshr":
            return self._shift(cell, width, signed)
        if kind in _COMPARE:
            return self._compare(cell, signed)
        sign, chains = _BINARY[kind]
        if same := self._neutral(cell, width, signed):
            return self.text(same)
        chain = sign if chains else ""
        pair = [self.text(self.fitted(ports[p], width, signed), True, chain) for p in "AB"]
        left, right = (text.within(sign if chains else "none") for text in pair)
        return Text(f"{left} {sign} {right}", sign)

    def _neutral(self, cell: Cell, width: int, signed: bool) -> Signal | None:
        """The operand that an operator leaves as it is: + 0, | 0, & 1, * 1."""
        pair = [self.fitted_bits(cell.ports[p], width, signed) for p in "AB"]
        neutral = {"$mul": 1, "$and": (1 << width) - 1}.get(cell.kind, 0)
        for at, other in ((1, "A"), (0, "B")):
            if constant(pair[at]) == neutral and (at or cell.kind != "$sub"):
                return self.fitted(cell.ports[other], width, signed)
        return None

    @staticmethod
    def fitted_bits(signal: Signal, width: int, signed: bool) -> Signal:
        """A constant cut or extended to a width; anything else as it is."""
        value = constant(signal)
        if value is None:
            return signal
        have = sum(chunk.width for chunk in signal)
        if signed and have and value >> have - 1:
            value -= 1 << have
        return (Chunk("", 0, width, f"{value % (1 << width):0{width}b}"),)

    def _compare(self, cell: Cell, signed: bool) -> Text:
        widths = [sum(chunk.width for chunk in cell.ports[p]) for p in "AB"]
        most = max(*widths, 1)
        pair = [self.text(self.fitted(cell.ports[p], most, signed)) for p in "AB"]
        sign = _COMPARE[cell.kind]
        if not any(widths):
            return Text("1'b1" if "=" in sign and sign != "!=" else "1'b0")
        if signed and cell.kind not in ("$eq", "$ne"):
            return Text(f"$signed({pair[0]}) {sign} $signed({pair[1]})", sign)
        return Text(f"{pair[0].within('none')} {sign} {pair[1].within('none')}", sign)

    def _shift(self, cell: Cell, width: int, signed: bool) -> Text:
        known = constant(cell.ports["B"])
        if cell.kind != "$sshr" and known is not None and known >= width:
            return Text(number("0" * width))
        operand = self.text(self.fitted(cell.ports["A"], width, signed))
        if not cell.ports["B"]:
            return operand
        amount = self.text(cell.ports["B"]).within("none")
        if cell.kind == "$sshr" and signed:
            return Text(f"$unsigned($signed({operand}) >>> {amount})")
        return Text(f"{operand.within('none')} {_SHIFTS.get(cell.kind, '>>')} {amount}", "<<")


def constant(signal: Signal) -> int | None:
    """Value of a constant without undefined bits, as it stands; None of anything else."""
    bits = "".join(chunk.bits for chunk in reversed(signal))
    if any(chunk.wire for chunk in signal) or set(bits) - {"0", "1"}:
        return None
    return int(bits or "0", 2)


def number(bits: str) -> str:
    """A constant of these bits, highest first."""
    width = len(bits)
    if set(bits) - {"0", "1"}:
        return f"{{{width}{{1'bx}}}}" if set(bits) == {"x"} and width > 1 else f"{width}'b{bits}"
    value = int(bits, 2)
    if width > 8 and "0" not in bits:
        return f"{{{width}{{1'b1}}}}"
    if width == 1:
        return f"1'b{bits}"
    return f"{width}'d{value}" if value < 16 else f"{width}'h{value:x}"
