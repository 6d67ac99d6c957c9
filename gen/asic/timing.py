"""Static timing of a mapped netlist, as arrays: fast enough to be asked again after every change.

The model is that of :mod:`lutcore.gen.tools.opensta`, which has the last word: an ideal clock,
wires that load what drives them as the library estimates from the fanout, ports unconstrained,
slews merged to the worst at every net. Values are in the library's units; indices
2 n and 2 n + 1 are the rising and falling edge of net n.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lutcore.errors import ToolError
from lutcore.gen.asic.delays import CellDelays, Table, Tables, pin_loads, wire_loads
from lutcore.gen.asic.flat import CLOCK, Flat
from lutcore.gen.asic.library import Library
from lutcore.gen.tools.netlist import Json, Place

#: Arrival of what no clock edge starts.
NEVER = -1e6


class Kinds:
    """The cells of a netlist by family: cells of one function, which differ in their strength.

    Tables are found by slot, an arc of a family, and strength: :attr:`table` ``[slot, strength]``.

    Attributes
    ----------
    names : dict
        Cell name -> names of its family, by ascending strength.
    slots : dict
        Cell name -> :data:`~lutcore.gen.asic.delays.ArcKey` -> slot.
    pin_slots, setup_slots : dict
        Cell name -> input pin (and edge) -> index in ``pin_loads`` (and ``setup``).
    table : int array, [S, V]
        Index into ``delays`` and ``slews``.
    pin_loads : float array, [P, V, 2]
        Load of an input pin by edge.
    most_load : float array, [S, V]
        Greatest load of an output.
    setup : int array, [E, V]
        Index into ``setups``.
    """

    def __init__(self, library: Library, used: set[str]):
        self.names: dict[str, tuple[str, ...]] = {}
        self.slots: dict[str, dict] = {}
        self.pin_slots: dict[str, dict[str, int]] = {}
        self.setup_slots: dict[str, dict[tuple[str, int], int]] = {}
        delays, slews, setups = list[Table](), list[Table](), list[Table]()
        rows, setup_rows, load_rows, limits = ([] for _ in range(4))
        for kind in sorted(used):
            if kind in self.names:
                continue
            family = library.variants.get(kind, (kind,))
            known = {name: CellDelays(library.cells[name], library) for name in family}
            family = tuple(
                name for name in family if known[name].arcs.keys() == known[kind].arcs.keys()
            )
            slots, pins, ends = {}, {}, {}
            for key in known[kind].arcs:
                slots[key] = len(rows)
                rows.append(list(range(len(delays), len(delays) + len(family))))
                limits.append([library.cells[name].max_load for name in family])
                for name in family:
                    delay, slew = known[name].arcs[key]
                    delays.append(delay)
                    slews.append(slew)
            for pin in library.cells[kind].inputs:
                pins[pin] = len(load_rows)
                load_rows.append([pin_loads(library.cells[name], pin) for name in family])
            for key in known[kind].setups:
                ends[key] = len(setup_rows)
                setup_rows.append(list(range(len(setups), len(setups) + len(family))))
                setups += [known[name].setups[key] for name in family]
            for name in family:
                self.names[name] = family
                self.slots[name], self.pin_slots[name], self.setup_slots[name] = slots, pins, ends
        most = max(map(len, self.names.values()))

        def array(rows: list, kind: type) -> np.ndarray:
            return np.array([[*row, *[row[-1]] * (most - len(row))] for row in rows], dtype=kind)

        self.table = array(rows, int).reshape(-1, most)
        self.setup = array(setup_rows, int).reshape(-1, most)
        self.pin_loads = array(load_rows, float)
        self.most_load = array(limits, float)
        self.delays, self.slews, self.setups = Tables(delays), Tables(slews), Tables(setups)


@dataclass
class Worth:
    """What a unit of delay and of output slew is worth, by arc; and of load, by node."""

    delay: np.ndarray
    slew: np.ndarray
    load: np.ndarray


class Timing:
    """Arrivals and slews of a flat netlist whose cells' strengths may change.

    Parameters
    ----------
    flat : Flat
    library : Library
    from_ports : bool
        Inputs change at the clock edge.

    Attributes
    ----------
    counts : dict
        Module -> its instances in the whole design.
    places : list of Place
    family : list of tuple of str
        Of each place: the cells that may stand there.
    strength : int array, [places]
        Which of them does.
    most : int array, [places]
        The strongest.
    source, target, slot, place : int array, [arcs]
        Of each arc, sorted by level of its target.
    pin_net, pin_slot, pin_place : int array, [pins]
        Of each input pin.
    end_node, end_slot, end_place : int array, [ends]
        Of each edge of a flip-flop's data.
    levels : list of tuple
        Arcs of a level, as a slice; their targets; where the arcs of each target begin.
    """

    def __init__(self, flat: Flat, library: Library, from_ports: bool = False):
        self.counts = flat.counts
        starts = np.array([CLOCK, *(flat.inputs if from_ports else ())])
        self._starts = np.concatenate((2 * starts, 2 * starts + 1))
        self.kinds = kinds = Kinds(library, {gate.cell for gate in flat.gates})
        index: dict[Place, int] = {}
        arcs, pins, ends = [], [], []
        kind_of: list[str] = []
        for gate in flat.gates:
            place = index.setdefault(gate.place, len(index))
            if place == len(kind_of):
                kind_of.append(gate.cell)
            clocks = set()
            for (source, edge, target, out), slot in kinds.slots[gate.cell].items():
                if target not in gate.nets or source not in gate.nets:
                    continue
                clocked = library.cells[gate.cell].flip_flop
                start = 2 * (CLOCK if clocked else gate.nets[source]) + edge
                clocks |= {source} if clocked else set()
                arcs.append((start, 2 * gate.nets[target] + out, slot, place))
            for pin, slot in kinds.pin_slots[gate.cell].items():
                if pin in gate.nets and pin not in clocks:
                    pins.append((gate.nets[pin], slot, place))
            for (pin, edge), slot in kinds.setup_slots[gate.cell].items():
                if pin in gate.nets:
                    ends.append((2 * gate.nets[pin] + edge, slot, place))
        self.places = list(index)
        self.family = [kinds.names[kind] for kind in kind_of]
        self.strength = np.array(
            [family.index(kind) for family, kind in zip(self.family, kind_of, strict=True)]
        )
        self.most = np.array([len(family) - 1 for family in self.family])
        outputs = {gate.place: gate.nets for gate in flat.gates}
        also = []
        for gate in flat.further:
            ((pin, net),) = gate.nets.items()
            place, own = index[gate.place], outputs[gate.place]
            pins.append((net, kinds.pin_slots[gate.cell][pin], place))
            ends += [
                (2 * net + edge, slot, place)
                for (end, edge), slot in kinds.setup_slots[gate.cell].items()
                if end == pin
            ]
            also += [
                (2 * net + edge, 2 * own[target] + out, slot, place)
                for (source, edge, target, out), slot in kinds.slots[gate.cell].items()
                if source == pin and target in own and not library.cells[gate.cell].flip_flop
            ]
        self._nodes = 2 * flat.nets
        self.pin_net, self.pin_slot, self.pin_place = _columns(pins, 3)
        fanout = np.bincount(self.pin_net, minlength=flat.nets)
        self._wires = np.repeat(wire_loads(library, fanout), 2)
        self.end_node, self.end_slot, self.end_place = _columns(ends, 3)
        source, target, _, _ = _columns(arcs, 4)
        level = _levels(source, target, self._nodes)
        # What comes to other instances comes to the one that is analysed, if that makes no loop.
        arcs += [arc for arc in also if level[arc[0]] < level[arc[1]]]
        source, target, slot, place = _columns(arcs, 4)
        order = np.lexsort((target, level[target]))
        self.source, self.target, self.slot, self.place = (
            column[order] for column in (source, target, slot, place)
        )
        self.levels = list(_slices(level[self.target], self.target))
        self.analyse()

    def write(self, design: Json) -> None:
        """Exchange the cells of the design for those of the present strengths."""
        for (module, name), family, strength in zip(
            self.places, self.family, self.strength, strict=True
        ):
            design["modules"][module]["cells"][name]["type"] = family[strength]

    def loads(self) -> np.ndarray:
        """Load of every node, [nodes]."""
        found = self._wires.copy()
        each = self.kinds.pin_loads[self.pin_slot, self.strength[self.pin_place]]
        for edge in (0, 1):
            found += np.bincount(
                2 * self.pin_net + edge, weights=each[:, edge], minlength=self._nodes
            )
        return found

    def bear_loads(self) -> None:
        """Strengthen what is too weak for its load, as far as there is something stronger."""
        while True:
            load = self.loads()[self.target]
            over = load > self.kinds.most_load[self.slot, self.strength[self.place]]
            weak = np.bincount(self.place, weights=over, minlength=len(self.strength)) > 0
            weak &= self.strength < self.most
            if not weak.any():
                return
            self.strength[weak] += 1

    def analyse(self) -> None:
        """Arrivals, slews and slacks for the present strengths.

        Sets ``load``, ``slew``, ``arrival`` [nodes]; ``delay``, and derivatives of delay and output
        slew ``delay_by_slew``, ``delay_by_load``, ``slew_by_slew``, ``slew_by_load`` [arcs];
        ``need``, the arrival and setup time [ends].
        """
        self.load = self.loads()
        self.slew = np.zeros(self._nodes)
        self.arrival = np.full(self._nodes, NEVER)
        self.arrival[self._starts] = 0
        table = self.kinds.table[self.slot, self.strength[self.place]]
        load = self.load[self.target]
        arcs = len(self.source)
        self.delay, self.delay_by_slew, self.delay_by_load = np.zeros((3, arcs))
        self.slew_by_slew, self.slew_by_load = np.zeros((2, arcs))
        for part, targets, starts in self.levels:
            source = self.source[part]
            x = self.slew[source]
            delay, by_slew, by_load = self.kinds.delays.at(table[part], x, load[part])
            slew, by_x, by_y = self.kinds.slews.at(table[part], x, load[part])
            self.slew_by_slew[part], self.slew_by_load[part] = by_x, by_y
            self.delay[part], self.delay_by_slew[part] = delay, by_slew
            self.delay_by_load[part] = by_load
            self.arrival[targets] = np.maximum.reduceat(self.arrival[source] + delay, starts)
            self.slew[targets] = np.maximum.reduceat(slew, starts)
        setup = self.kinds.setup[self.end_slot, self.strength[self.end_place]]
        slew = self.slew[self.end_node]
        self.need = self.arrival[self.end_node] + self.kinds.setups.at(setup, slew, 0 * slew)[0]

    def worth(self, sharpness: float) -> Worth:
        """How a smooth maximum of all ends' needs depends on every delay, slew and load.

        Ends, and inputs of a gate, that are earlier by ``sharpness`` count e times less.
        """
        ends = np.exp((self.need - self.need.max()) / sharpness)
        node = np.bincount(self.end_node, weights=ends / ends.sum(), minlength=self._nodes)
        margin = self.arrival[self.source] + self.delay - self.arrival[self.target]
        share = np.exp(np.maximum(margin / sharpness, -50))
        delay, slew = np.zeros((2, len(self.source)))
        of_slew, of_load, total = np.zeros((3, self._nodes))
        for part, targets, starts in reversed(self.levels):
            source, target = self.source[part], self.target[part]
            total[targets] = np.add.reduceat(share[part], starts)
            here = share[part] / total[target]
            delay[part], slew[part] = node[target] * here, of_slew[target] * here
            np.add.at(node, source, delay[part])
            by_slew = delay[part] * self.delay_by_slew[part] + slew[part] * self.slew_by_slew[part]
            np.add.at(of_slew, source, by_slew)
            by_load = delay[part] * self.delay_by_load[part] + slew[part] * self.slew_by_load[part]
            of_load[targets] = np.add.reduceat(by_load, starts)
        return Worth(delay, slew, of_load)

    def cost(self, worth: Worth, strength: np.ndarray) -> np.ndarray:
        """Delay that each place causes if it has that strength and all others stay, [places].

        Infinite where it would be weaker than now and too weak for its load.
        """
        total = np.zeros(len(strength))
        of_arc = strength[self.place]
        table = self.kinds.table[self.slot, of_arc]
        slew, load = self.slew[self.source], self.load[self.target]
        arcs = worth.delay * self.kinds.delays.at(table, slew, load)[0]
        arcs += worth.slew * self.kinds.slews.at(table, slew, load)[0]
        total += np.bincount(self.place, weights=arcs, minlength=len(total))
        loads = self.kinds.pin_loads[self.pin_slot, strength[self.pin_place]]
        for edge in (0, 1):
            pins = worth.load[2 * self.pin_net + edge] * loads[:, edge]
            total += np.bincount(self.pin_place, weights=pins, minlength=len(total))
        over = load > self.kinds.most_load[self.slot, of_arc]
        weak = np.bincount(self.place, weights=over, minlength=len(total)) > 0
        total[weak & (strength < self.strength)] = np.inf
        return total

    def module_needs(self) -> dict[str, float]:
        """Module -> the greatest arrival and setup time of its flip-flops."""
        worst: dict[str, float] = {}
        for place, need in zip(self.end_place, self.need, strict=True):
            module = self.places[place][0]
            worst[module] = max(worst.get(module, NEVER), float(need))
        return worst


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
