"""Results of operators as wide as what is read of them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping

from lutcore.gen.emit.rtlil import Cell, Chunk, Signal, Wire
from lutcore.gen.emit.signals import part_of, width_of

#: Operators whose low bits depend on the low bits of their operands only.
MODULAR = {"$add", "$sub", "$mul", "$and", "$or", "$xor", "$not", "$neg", "$mux", "$shl"}
_SUMS = ("$add", "$sub")


def fit(
    cells: list[Cell], own: Mapping[str, Wire], signals: Callable[[], Iterable[Signal]]
) -> None:
    """Cut bits that nothing reads; extend sums before they are added, instead of what they give.

    A sum that is extended by its highest bit, as Verilog has to say it, is more than a sum to those
    who map it: they would not add three numbers at once.

    Parameters
    ----------
    cells : list
        Cells of ``MODULAR`` kinds.
    own : mapping
        Name -> net, of those that have no name in the source and one driver, which may change.
    signals : callable
        Gives all that the parts of the module read.
    """
    while _narrow(cells, own, signals()):
        pass
    while _widen(cells, own, signals()):
        pass


def _narrow(cells: list[Cell], own: Mapping[str, Wire], signals: Iterable[Signal]) -> bool:
    """Make results as wide as what is read of them; whether any became narrower."""
    top: dict[str, int] = defaultdict(int)
    for signal in signals:
        for chunk in signal:
            top[chunk.wire] = max(top[chunk.wire], chunk.low + chunk.width)
    changed = False
    for cell in cells:
        wire = own.get(cell.ports["Y"][0].wire)
        if wire is None or not 0 < top[wire.name] < wire.width:
            continue
        width = wire.width = top[wire.name]
        cell.ports["Y"] = (Chunk(wire.name, 0, width),)
        for port in ("A",) if cell.kind == "$shl" else ("A", "B"):
            if port in cell.ports:
                cell.ports[port] = part_of(cell.ports[port], 0, width)
        changed = True
    return changed


def _widen(cells: list[Cell], own: Mapping[str, Wire], signals: Iterable[Signal]) -> bool:
    """Make sums as wide as the sum that alone reads them; whether any became wider."""
    reads = Counter(chunk.wire for signal in signals for chunk in signal)
    sums = [cell for cell in cells if cell.kind in _SUMS]
    given = {cell.ports["Y"][0].wire: cell for cell in cells if cell.kind in (*_SUMS, "$neg")}
    changed = False
    for cell in sums:
        width = width_of(cell.ports["Y"])
        for port in "AB":
            wire = cell.ports[port][0].wire if len(cell.ports[port]) == 1 else ""
            inner = given.get(wire) if wire in own and reads[wire] == 1 else None
            if inner is None or not _extends(cell, port, inner, width):
                continue
            own[wire].width = width
            inner.ports["Y"] = cell.ports[port] = (Chunk(wire, 0, width),)
            changed = True
    return changed


def _extends(cell: Cell, port: str, inner: Cell, width: int) -> bool:
    """Whether a sum reads the whole of another one, extended, which is what that gives if wider."""
    (chunk,) = cell.ports[port]
    have, signed = width_of(inner.ports["Y"]), inner.parameters["A_SIGNED"] == "1"
    most = max(width_of(inner.ports[p]) for p in "AB" if p in inner.ports)
    exact = have > most and (signed or inner.kind == "$add")
    same = (cell.parameters[f"{port}_SIGNED"] == "1") == signed
    return exact and same and chunk.low == 0 and chunk.width == have < width
