"""Expressions of Verilog for signals: every operand as wide as its result, no sign by accident.

What is read once is written where it is read, as long as that stays short; all else is a net.
"""

from collections import defaultdict
from collections.abc import Callable
from itertools import groupby

from lutcore.gen.emit.names import Names
from lutcore.gen.emit.nets import OPERATORS, Nets
from lutcore.gen.emit.rtlil import Cell, Chunk, Signal, is_private
from lutcore.gen.emit.signals import joined, part_of, width_of
from lutcore.gen.emit.widths import MODULAR

#: Operators of two operands: their sign, and whether a chain of them needs no brackets.
_BINARY = {
    **{"$and": ("&", True), "$or": ("|", True), "$xor": ("^", True)},
    **{"$add": ("+", True), "$sub": ("-", False), "$mul": ("*", False)},
}
_COMPARE = {"$eq": "==", "$ne": "!=", "$lt": "<", "$le": "<=", "$gt": ">", "$ge": ">="}
_REDUCE = {"$reduce_or": "|", "$reduce_and": "&", "$reduce_xor": "^", "$reduce_bool": "|"}
_SHIFTS = {"$shl": "<<", "$shr": ">>", "$sshr": ">>", "$shift": ">>"}
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
        have = width_of(signal)
        if have >= width:
            return part_of(signal, 0, width)
        if not signed or not signal:
            return joined([*signal, Chunk("", 0, width - have, "0" * (width - have))])
        top = part_of(signal, have - 1, 1)[0]
        if top.wire:
            self._nets.kept.add(top.wire)  # its highest bit is read by itself
        return joined([*signal, *[top] * (width - have)])

    def cell(self, cell: Cell, width: int) -> Text:
        """The lowest bits of what an operator gives."""
        return _WAYS[cell.kind](self, cell, width)

    def _reduced(self, cell: Cell, width: int) -> Text:
        operand, mark = cell.ports["A"], _REDUCE[cell.kind]
        if not operand:
            return Text("1'b1" if mark == "&" else "1'b0")
        return Text(f"{mark}{self.text(operand).primary()}", "unary")

    def _inverted(self, cell: Cell, width: int) -> Text:
        operand = self.text(self.fitted(cell.ports["A"], width, _signed(cell)))
        return Text(operand[1:]) if operand.sign == "~" else Text(f"~{operand.primary()}", "~")

    def _negated(self, cell: Cell, width: int) -> Text:
        operand = self.text(self.fitted(cell.ports["A"], width, _signed(cell)))
        return Text(f"-{operand.primary()}", "unary")

    def _denied(self, cell: Cell, width: int) -> Text:
        return Text(f"!{self.text(cell.ports['A']).primary()}", "unary")

    def _chosen(self, cell: Cell, width: int) -> Text:
        signals = (cell.ports["S"], *(part_of(cell.ports[p], 0, width) for p in "BA"))
        on, yes, no = (self.text(signal).within("none") for signal in signals)
        return Text(f"{on} ? {yes} : {no}", "?")

    def _binary(self, cell: Cell, width: int) -> Text:
        sign, chains = _BINARY[cell.kind]
        if same := self._neutral(cell, width):
            return self.text(same)
        chain = sign if chains else ""
        operands = (self.fitted(cell.ports[p], width, _signed(cell)) for p in "AB")
        left, right = (self.text(o, True, chain).within(chain or "none") for o in operands)
        return Text(f"{left} {sign} {right}", sign)

    def _neutral(self, cell: Cell, width: int) -> Signal | None:
        """The operand that an operator leaves as it is: + 0, | 0, & 1, * 1."""
        neutral = {"$mul": 1, "$and": (1 << width) - 1}.get(cell.kind, 0)
        for port, other in ("BA", "AB"):
            known = cell.ports[port]
            if (port == "A" and cell.kind == "$sub") or constant(known) is None:
                continue
            if constant(self.fitted(known, width, _signed(cell))) == neutral:
                return self.fitted(cell.ports[other], width, _signed(cell))
        return None

    def _compared(self, cell: Cell, width: int) -> Text:
        sign, signed = _COMPARE[cell.kind], _signed(cell)
        most = max(width_of(cell.ports[p]) for p in "AB")
        if not most:
            return Text("1'b1" if sign in ("==", "<=", ">=") else "1'b0")
        left, right = (self.text(self.fitted(cell.ports[p], most, signed)) for p in "AB")
        if signed and sign not in ("==", "!="):
            return Text(f"$signed({left}) {sign} $signed({right})", sign)
        return Text(f"{left.within('none')} {sign} {right.within('none')}", sign)

    def _shifted(self, cell: Cell, width: int) -> Text:
        arithmetic = cell.kind == "$sshr" and _signed(cell)
        known = constant(cell.ports["B"])
        if known is not None and known >= width and not arithmetic:
            return Text(number("0" * width))
        operand = self.text(self.fitted(cell.ports["A"], width, _signed(cell)))
        if not cell.ports["B"]:
            return operand
        amount = self.text(cell.ports["B"]).within("none")
        if arithmetic:
            return Text(f"$unsigned($signed({operand}) >>> {amount})")
        return Text(f"{operand.within('none')} {_SHIFTS[cell.kind]} {amount}", "<<")


#: Operator -> how it is written.
_WAYS: dict[str, Callable[[Expressions, Cell, int], Text]] = {
    **dict.fromkeys(_REDUCE, Expressions._reduced),
    **dict.fromkeys(_BINARY, Expressions._binary),
    **dict.fromkeys(_COMPARE, Expressions._compared),
    **dict.fromkeys(_SHIFTS, Expressions._shifted),
    "$not": Expressions._inverted,
    "$neg": Expressions._negated,
    "$logic_not": Expressions._denied,
    "$mux": Expressions._chosen,
}


def _signed(cell: Cell) -> bool:
    return cell.parameters["A_SIGNED"] == "1"


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
