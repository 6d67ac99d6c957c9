"""Delays of standard cells: the tables of a Liberty file, read at many points at once.

Times are in ns and loads in fF.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lutcore.gen.asic.liberty import Group
from lutcore.gen.asic.library import Cell, Library
from lutcore.gen.asic.units import lookup_table

#: Edges of a signal, by index.
EDGES = ("rise", "fall")
#: Source pin and edge, target pin and edge; the source of a flip-flop's output is its clock.
ArcKey = tuple[str, int, str, int]

#: Timing sense -> for each output edge, the input edges that cause it; of others, both.
_SOURCE_EDGES = {"positive_unate": ((0,), (1,)), "negative_unate": ((1,), (0,))}
_BOTH = ((0, 1), (0, 1))
#: Timing types of arcs through a cell -> the output edges they tell of.
_THROUGH = {"combinational": (0, 1), "combinational_rise": (0,), "combinational_fall": (1,)}
_CLOCKED = "rising_edge"
_SETUP = "setup_rising"
#: Names of the axis of what arrives: of the other, the load or the clock, there are more.
_ARRIVING = ("input_net_transition", "input_transition_time", "constrained_pin_transition")


@dataclass(frozen=True)
class Table:
    """Values over two axes: slew of what arrives, and load (or slew of the clock).

    Attributes
    ----------
    x, y : float array, [X], [Y], X, Y >= 2, ascending
    values : float array, [X, Y]
    """

    x: np.ndarray
    y: np.ndarray
    values: np.ndarray

    def or_worse(self, other: "Table") -> "Table":
        """The greater of both, at this table's points."""
        values = other.values
        if not (np.array_equal(self.x, other.x) and np.array_equal(self.y, other.y)):
            x, y = np.meshgrid(self.x, self.y, indexing="ij")
            which = np.zeros(x.size, dtype=int)
            values = Tables([other]).at(which, x.ravel(), y.ravel())[0].reshape(x.shape)
        return Table(self.x, self.y, np.maximum(self.values, values))


class Tables:
    """Many tables, read at many points at once: linear between points, and beyond the last ones."""

    def __init__(self, tables: Sequence[Table]):
        width = max((len(axis) for table in tables for axis in (table.x, table.y)), default=2)
        shape = (len(tables), width)
        self._x = np.full(shape, np.inf)
        self._y = np.full(shape, np.inf)
        self._values = np.zeros((*shape, width))
        for i, table in enumerate(tables):
            nx, ny = table.values.shape
            self._x[i, :nx], self._y[i, :ny] = table.x, table.y
            self._values[i, :nx, :ny] = table.values
        self._last_x = np.array([len(table.x) - 2 for table in tables], dtype=int)
        self._last_y = np.array([len(table.y) - 2 for table in tables], dtype=int)

    def at(
        self, which: np.ndarray, x: np.ndarray, y: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value of table ``which`` at x and y, and its derivatives by x and by y; all [P]."""
        i = np.clip((self._x[which, 1:] <= x[:, None]).sum(1), 0, self._last_x[which])
        j = np.clip((self._y[which, 1:] <= y[:, None]).sum(1), 0, self._last_y[which])
        x0, y0 = self._x[which, i], self._y[which, j]
        width_x, width_y = self._x[which, i + 1] - x0, self._y[which, j + 1] - y0
        u, v = (x - x0) / width_x, (y - y0) / width_y
        v00, v01 = self._values[which, i, j], self._values[which, i, j + 1]
        v10, v11 = self._values[which, i + 1, j], self._values[which, i + 1, j + 1]
        low, high = v00 + v * (v01 - v00), v10 + v * (v11 - v10)
        by_y = ((1 - u) * (v01 - v00) + u * (v11 - v10)) / width_y
        return low + u * (high - low), (high - low) / width_x, by_y


class CellDelays:
    """What a library tells of a cell's timing.

    Attributes
    ----------
    arcs : dict
        :data:`ArcKey` -> tables of delay and of output slew; of several conditions the worst.
    setups : dict
        Data pin and edge -> table of the setup time at a rising clock edge.
    """

    def __init__(self, cell: Cell):
        self._file = cell.file
        self.arcs: dict[ArcKey, tuple[Table, Table]] = {}
        self.setups: dict[tuple[str, int], Table] = {}
        for name, pin in cell.pins.items():
            for group in pin.of("timing"):
                kind = group.text("timing_type", "combinational")
                if kind == _SETUP:
                    self._add_setup(name, group)
                elif kind == _CLOCKED or kind in _THROUGH:
                    for related in group.text("related_pin").split():
                        self._add_arcs(name, related, kind, group)

    def _add_arcs(self, target: str, source: str, kind: str, group: Group) -> None:
        sources = _SOURCE_EDGES.get(group.text("timing_sense"), _BOTH)
        for edge in _THROUGH.get(kind, (0, 1)):
            delay = self._table(group, f"cell_{EDGES[edge]}")
            slew = self._table(group, f"{EDGES[edge]}_transition")
            if delay is None or slew is None:
                continue
            for source_edge in (0,) if kind == _CLOCKED else sources[edge]:
                key = source, source_edge, target, edge
                if known := self.arcs.get(key):
                    self.arcs[key] = known[0].or_worse(delay), known[1].or_worse(slew)
                else:
                    self.arcs[key] = delay, slew

    def _add_setup(self, pin: str, group: Group) -> None:
        for edge, name in enumerate(EDGES):
            if table := self._table(group, f"{name}_constraint"):
                known = self.setups.get((pin, edge))
                self.setups[pin, edge] = known.or_worse(table) if known else table

    def _table(self, group: Group, kind: str) -> Table | None:
        for found in group.of(kind):
            axes, values = lookup_table(found, self._file.templates, self._file.units, "time")
            x = next((name for name in axes if name in _ARRIVING), "")
            y = next((name for name in axes if name != x), "")
            if x and y and next(iter(axes)) == y:
                values = values.T
            columns, rows = (axes.get(name, np.zeros(1)) for name in (x, y))
            return _wide(columns, rows, values.reshape(len(columns), len(rows)))
        return None


def _wide(x: np.ndarray, y: np.ndarray, values: np.ndarray) -> Table:
    """A table of at least two points an axis."""
    if len(x) == 1:
        x, values = np.array([x[0], x[0] + 1]), np.repeat(values, 2, axis=0)
    if len(y) == 1:
        y, values = np.array([y[0], y[0] + 1]), np.repeat(values, 2, axis=1)
    return Table(x, y, values)


def pin_loads(cell: Cell, pin: str) -> tuple[float, float]:
    """Load of an input pin when it rises and when it falls, in fF."""
    group, units = cell.pins[pin], cell.file.units
    names = [f"{edge}_capacitance" for edge in EDGES]
    rise, fall = (
        units.convert(group.number(name), "capacitance")
        if name in group.simple
        else cell.capacitance[pin]
        for name in names
    )
    return rise, fall


def wire_loads(library: Library, fanout: np.ndarray) -> np.ndarray:
    """Load in fF of nets' wires, by their sinks, as the default wire-load model estimates it."""
    model = library.files[0].wires
    if model is None:
        return np.zeros(len(fanout))
    points = sorted(model.lengths)
    last = points[-1]
    length = np.interp(fanout, [0, *points], [0, *(model.lengths[point] for point in points)])
    length += np.maximum(fanout - last, 0) * model.slope
    return length * model.load
