"""The cells of a netlist by family: cells of one function, which differ in their strength."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from lutcore.gen.asic.delays import ArcKey, CellDelays, Table, Tables, pin_loads
from lutcore.gen.asic.library import Library


class Kinds:
    """Tables by slot, an arc of a family, and strength: :attr:`table` ``[slot, strength]``.

    S slots, P input pins, E edges of data; V strengths of the largest family: in smaller ones the
    strongest stands for those above.

    Attributes
    ----------
    names : dict
        Cell name -> names of its family, by ascending strength.
    slots : dict
        Cell name -> :data:`~lutcore.gen.asic.delays.ArcKey` -> slot.
    pin_slots, setup_slots : dict
        Cell name -> input pin (and edge) -> index in ``pin_loads`` (and ``setup``).
    clocks : dict
        Cell name -> clock pins: those from which a flip-flop's outputs come.
    table : int array, [S, V]
        Index into ``delays`` and ``slews``.
    pin_loads : float array, [P, V, 2]
        Load of an input pin by edge.
    most_load : float array, [S, V]
        Greatest load of an output.
    setup : int array, [E, V]
        Index into ``setups``.
    """

    def __init__(self, library: Library, used: Iterable[str]):
        self.names: dict[str, tuple[str, ...]] = {}
        self.slots: dict[str, dict[ArcKey, int]] = {}
        self.pin_slots: dict[str, dict[str, int]] = {}
        self.setup_slots: dict[str, dict[tuple[str, int], int]] = {}
        self.clocks: dict[str, frozenset[str]] = {}
        arcs, setups = list[tuple[Table, Table]](), list[Table]()
        rows, setup_rows, load_rows, limits = ([] for _ in range(4))
        for kind in sorted(used):
            if kind in self.names:
                continue
            family = _family(library, kind)
            cells = [library.cells[name] for name in family]
            first = family[kind]
            slots = _numbered(first.arcs, len(rows))
            for key in slots:
                rows.append(_add(arcs, [delays.arcs[key] for delays in family.values()]))
                limits.append([cell.max_load for cell in cells])
            pins = _numbered(library.cells[kind].inputs, len(load_rows))
            load_rows += [[pin_loads(cell, pin) for cell in cells] for pin in pins]
            ends = _numbered(first.setups, len(setup_rows))
            for key in ends:
                setup_rows.append(_add(setups, [found.setups[key] for found in family.values()]))
            clocked = library.cells[kind].flip_flop
            clocks = frozenset(source for source, *_ in slots if clocked)
            for name in family:
                self.names[name], self.clocks[name] = tuple(family), clocks
                self.slots[name], self.pin_slots[name], self.setup_slots[name] = slots, pins, ends
        most = max(map(len, self.names.values()))
        self.table = _padded(rows, most, int).reshape(-1, most)
        self.setup = _padded(setup_rows, most, int).reshape(-1, most)
        self.pin_loads = _padded(load_rows, most, float)
        self.most_load = _padded(limits, most, float)
        self.delays = Tables([delay for delay, _ in arcs])
        self.slews = Tables([slew for _, slew in arcs])
        self.setups = Tables(setups)


def _family(library: Library, kind: str) -> dict[str, CellDelays]:
    """Cells that may stand for one, by ascending strength: those that have the same arcs."""
    names = library.variants.get(kind, (kind,))
    known = {name: CellDelays(library.cells[name]) for name in names}
    arcs = known[kind].arcs.keys()
    return {name: delays for name, delays in known.items() if delays.arcs.keys() == arcs}


def _numbered(keys: Iterable[Any], first: int) -> dict[Any, int]:
    return {key: first + i for i, key in enumerate(keys)}


def _add(store: list, items: list) -> list[int]:
    """Append items to a store; their indices there."""
    store += items
    return list(range(len(store) - len(items), len(store)))


def _padded(rows: list, width: int, kind: type) -> np.ndarray:
    """Rows of one width: the last element fills them."""
    return np.array([[*row, *[row[-1]] * (width - len(row))] for row in rows], dtype=kind)
