"""Static timing of a mapped netlist, as arrays: fast enough to be asked again after every change.

The model is that of :mod:`lutcore.gen.tools.opensta`, which has the last word: an ideal clock,
wires that load what drives them as the library estimates from the fanout, ports unconstrained,
slews merged to the worst at every net. Times are in ns and loads in fF; indices 2 n and 2 n + 1 are
the rising and falling edge of net n.
"""

from dataclasses import dataclass

import numpy as np

from lutcore.gen.asic.delays import wire_loads
from lutcore.gen.asic.flat import CLOCK, Flat
from lutcore.gen.asic.graph import Graph
from lutcore.gen.asic.library import Library
from lutcore.gen.tools.netlist import Json

#: Part of the worst arrival's worth below which an arc's delay does not count.
_NEGLIGIBLE = 1e-6
#: Arrival of what no clock edge starts.
NEVER = -1e6


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
    graph : Graph
    counts : dict
        Module -> its instances in the whole design.
    strength : int array, [places]
        Which cell of its family stands at each place.
    """

    def __init__(self, flat: Flat, library: Library, from_ports: bool = False):
        self.counts = flat.counts
        self.graph = Graph(flat, library)
        self.strength = self.graph.strength.copy()
        starts = np.array([CLOCK, *(flat.inputs if from_ports else ())])
        self._starts = np.concatenate((2 * starts, 2 * starts + 1))
        self._wires = np.repeat(wire_loads(library, self.graph.fanout), 2)
        self.analyse()

    def write(self, design: Json) -> None:
        """Exchange the cells of the design for those of the present strengths."""
        for (module, name), family, strength in zip(
            self.graph.places, self.graph.family, self.strength, strict=True
        ):
            design["modules"][module]["cells"][name]["type"] = family[strength]

    def loads(self) -> np.ndarray:
        """Load of every node, [nodes]."""
        graph = self.graph
        found = self._wires.copy()
        each = graph.kinds.pin_loads[graph.pin_slot, self.strength[graph.pin_place]]
        for edge in (0, 1):
            found += np.bincount(
                2 * graph.pin_net + edge, weights=each[:, edge], minlength=graph.nodes
            )
        return found

    def bear_loads(self) -> None:
        """Strengthen what is too weak for its load, as far as there is something stronger."""
        graph = self.graph
        while True:
            load = self.loads()[graph.target]
            over = load > graph.kinds.most_load[graph.slot, self.strength[graph.place]]
            weak = np.bincount(graph.place, weights=over, minlength=len(self.strength)) > 0
            weak &= self.strength < graph.most
            if not weak.any():
                return
            self.strength[weak] += 1

    def analyse(self) -> None:
        """Arrivals, slews and slacks for the present strengths.

        Sets ``load``, ``slew``, ``arrival`` [nodes]; ``delay``, and derivatives of delay and output
        slew ``delay_by_slew``, ``delay_by_load``, ``slew_by_slew``, ``slew_by_load`` [arcs];
        ``need``, the arrival and setup time [ends].
        """
        graph = self.graph
        self.load = self.loads()
        self.slew = np.zeros(graph.nodes)
        self.arrival = np.full(graph.nodes, NEVER)
        self.arrival[self._starts] = 0
        table = graph.kinds.table[graph.slot, self.strength[graph.place]]
        load = self.load[graph.target]
        arcs = len(graph.source)
        self.delay, self.delay_by_slew, self.delay_by_load = np.zeros((3, arcs))
        self.slew_by_slew, self.slew_by_load = np.zeros((2, arcs))
        for part, targets, starts in graph.levels:
            source = graph.source[part]
            x = self.slew[source]
            delay, by_slew, by_load = graph.kinds.delays.at(table[part], x, load[part])
            slew, by_x, by_y = graph.kinds.slews.at(table[part], x, load[part])
            self.slew_by_slew[part], self.slew_by_load[part] = by_x, by_y
            self.delay[part], self.delay_by_slew[part] = delay, by_slew
            self.delay_by_load[part] = by_load
            self.arrival[targets] = np.maximum.reduceat(self.arrival[source] + delay, starts)
            self.slew[targets] = np.maximum.reduceat(slew, starts)
        setup = graph.kinds.setup[graph.end_slot, self.strength[graph.end_place]]
        slew = self.slew[graph.end_node]
        self.need = self.arrival[graph.end_node] + graph.kinds.setups.at(setup, slew, 0 * slew)[0]

    def smooth(self, sharpness: float) -> float:
        """A smooth maximum of all ends' needs: it falls where any late end comes earlier."""
        latest = self.need.max()
        ends = np.exp((self.need - latest) / sharpness)
        return float(latest + sharpness * np.log(ends.sum()))

    def worth(self, sharpness: float) -> Worth:
        """How a smooth maximum of all ends' needs depends on every delay, slew and load.

        Ends, and inputs of a gate, that are earlier by ``sharpness`` count e times less.
        """
        graph = self.graph
        ends = np.exp((self.need - self.need.max()) / sharpness)
        node = np.bincount(graph.end_node, weights=ends / ends.sum(), minlength=graph.nodes)
        margin = self.arrival[graph.source] + self.delay - self.arrival[graph.target]
        share = np.exp(np.maximum(margin / sharpness, -50))
        delay, slew = np.zeros((2, len(graph.source)))
        of_slew, of_load, total = np.zeros((3, graph.nodes))
        for part, targets, starts in reversed(graph.levels):
            source, target = graph.source[part], graph.target[part]
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
        graph = self.graph
        total = np.zeros(len(strength))
        live = np.flatnonzero(worth.delay > _NEGLIGIBLE)  # most arcs are of no late path
        place = graph.place[live]
        table = graph.kinds.table[graph.slot[live], strength[place]]
        slew, load = self.slew[graph.source[live]], self.load[graph.target[live]]
        arcs = worth.delay[live] * graph.kinds.delays.at(table, slew, load)[0]
        arcs += worth.slew[live] * graph.kinds.slews.at(table, slew, load)[0]
        total += np.bincount(place, weights=arcs, minlength=len(total))
        loads = graph.kinds.pin_loads[graph.pin_slot, strength[graph.pin_place]]
        for edge in (0, 1):
            pins = worth.load[2 * graph.pin_net + edge] * loads[:, edge]
            total += np.bincount(graph.pin_place, weights=pins, minlength=len(total))
        weaker = strength < self.strength
        if weaker.any():
            most = graph.kinds.most_load[graph.slot, strength[graph.place]]
            over = self.load[graph.target] > most
            weak = np.bincount(graph.place, weights=over, minlength=len(total)) > 0
            total[weak & weaker] = np.inf
        return total

    def module_needs(self) -> dict[str, float]:
        """Module -> the greatest arrival and setup time of its flip-flops."""
        worst: dict[str, float] = {}
        for place, need in zip(self.graph.end_place, self.need, strict=True):
            module = self.graph.places[place][0]
            worst[module] = max(worst.get(module, NEVER), float(need))
        return worst
