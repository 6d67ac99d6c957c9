"""The timing graph of a flat netlist, as arrays.

Indices 2 n and 2 n + 1 are the rising and falling edge of net n: the nodes.
"""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from lutcore.errors import ToolError
from lutcore.gen.asic.delays import ArcKey
from lutcore.gen.asic.flat import CLOCK, Flat
from lutcore.gen.asic.kinds import Kinds
from lutcore.gen.asic.library import Library
from lutcore.gen.tools.netlist import Gate, Place

#: Source and target node, slot, place.
_Arc = tuple[int, int, int, int]


class Graph:
    """What of a design's timing its cells' strengths do not change.

    Parameters
    ----------
    flat : Flat
    library : Library

    Attributes
    ----------
    kinds : Kinds
    nodes : int
    places : list of Place
    family : list of tuple of str
        Of each place: the cells that may stand there.
    strength : int array, [places]
        Which of them does in the netlist.
    most : int array, [places]
        The strongest.
    source, target, slot, place : int array, [arcs]
        Of each arc, sorted by level of its target.
    pin_net, pin_slot, pin_place : int array, [pins]
        Of each input pin.
    fanout : int array, [nets]
        Input pins at each net.
    end_node, end_slot, end_place : int array, [ends]
        Of each edge of a flip-flop's data.
    levels : list of tuple
        Arcs of a level, as a slice; their targets; where the arcs of each target begin.
    """

    def __init__(self, flat: Flat, library: Library):
        gates = {gate.place: gate for gate in flat.gates}
        self.kinds = Kinds(library, {gate.cell for gate in flat.gates})
        self.nodes = 2 * flat.nets
        self.places: list[Place] = list(gates)
        self.family = [self.kinds.names[gate.cell] for gate in gates.values()]
        self.strength = np.array(
            [self.kinds.names[gate.cell].index(gate.cell) for gate in gates.values()]
        )
        self.most = np.array([len(family) - 1 for family in self.family])
        index = {place: i for i, place in enumerate(gates)}
        arcs, pins, ends = [], [], []
        for gate in flat.gates:
            clocks = dict.fromkeys(self.kinds.clocks[gate.cell] & gate.nets.keys(), CLOCK)
            arcs += self._arcs(gate, index[gate.place], gate.nets | clocks, gate.nets)
            data = {pin: net for pin, net in gate.nets.items() if pin not in clocks}
            pins += self._pins(gate, index[gate.place], data)
            ends += self._ends(gate, index[gate.place])
        also: list[_Arc] = []
        for gate in flat.further:
            pins += self._pins(gate, index[gate.place], gate.nets)
            ends += self._ends(gate, index[gate.place])
            if self.kinds.clocks[gate.cell].isdisjoint(gate.nets):
                outputs = gates[gate.place].nets
                also += self._arcs(gate, index[gate.place], gate.nets, outputs)
        self.pin_net, self.pin_slot, self.pin_place = _columns(pins, 3)
        self.fanout = np.bincount(self.pin_net, minlength=flat.nets)
        self.end_node, self.end_slot, self.end_place = _columns(ends, 3)
        self._sort(arcs, also)

    def _arcs(
        self, gate: Gate, place: int, inputs: Mapping[str, int], outputs: Mapping[str, int]
    ) -> list[_Arc]:
        """Arcs of a gate from these pins to those."""
        slots: dict[ArcKey, int] = self.kinds.slots[gate.cell]
        return [
            (2 * inputs[source] + edge, 2 * outputs[target] + out, slot, place)
            for (source, edge, target, out), slot in slots.items()
            if source in inputs and target in outputs
        ]

    def _pins(self, gate: Gate, place: int, nets: Mapping[str, int]) -> list[tuple[int, int, int]]:
        slots = self.kinds.pin_slots[gate.cell]
        return [(nets[pin], slot, place) for pin, slot in slots.items() if pin in nets]

    def _ends(self, gate: Gate, place: int) -> list[tuple[int, int, int]]:
        return [
            (2 * gate.nets[pin] + edge, slot, place)
            for (pin, edge), slot in self.kinds.setup_slots[gate.cell].items()
            if pin in gate.nets
        ]

    def _sort(self, arcs: list[_Arc], also: list[_Arc]) -> None:
        """Sort arcs by level.

        What comes to further instances, ``also``, comes to the one that is analysed, if that makes
        no loop.
        """
        source, target, _, _ = _columns(arcs, 4)
        level = _levels(source, target, self.nodes)
        arcs = arcs + [arc for arc in also if level[arc[0]] < level[arc[1]]]
        source, target, slot, place = _columns(arcs, 4)
        order = np.lexsort((target, level[target]))
        self.source, self.target, self.slot, self.place = (
            column[order] for column in (source, target, slot, place)
        )
        self.levels = list(_slices(level[self.target], self.target))


def _columns(rows: list, width: int) -> Iterator[np.ndarray]:
    return iter(np.array(rows, dtype=int).reshape(-1, width).T)


def _levels(source: np.ndarray, target: np.ndarray, nodes: int) -> np.ndarray:
    """Level of every node: 0, or one more than the highest that has an arc to it."""
    level = np.zeros(nodes, dtype=int)
    for _ in range(nodes):
        higher = level.copy()
        np.maximum.at(higher, target, level[source] + 1)
        if np.array_equal(higher, level):
            return level
        if higher.max() > len(source):
            break
        level = higher
    raise ToolError("the netlist has a combinational loop")


def _slices(
    level: np.ndarray, target: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    bounds = [0, *(np.flatnonzero(np.diff(level)) + 1).tolist(), len(level)]
    for begin, end in itertools.pairwise(bounds):
        targets, starts = np.unique(target[begin:end], return_index=True)
        yield slice(begin, end), targets, starts
