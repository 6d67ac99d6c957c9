"""A mapped hierarchical netlist as one flat list of gates, for timing."""

from collections import Counter

from lutcore.gen.asic.library import Library
from lutcore.gen.tools.netlist import Bit, Gate, Json, Module, Netlist

#: Net of the clock.
CLOCK = 0


class Flat:
    """A hierarchical netlist without its hierarchy, one instance of each module in its parent.

    Of further instances only the pins at their parent's nets are there. Pins at constants are left
    out.

    Parameters
    ----------
    design : dict
        Mapped netlist, Yosys JSON, in which no net passes through a module
        (:func:`~lutcore.gen.tools.netlist.bypass`).
    top : str
    library : Library

    Attributes
    ----------
    gates : list of Gate
    further : list of Gate
        Input pins of further instances.
    inputs : list of int
        Nets of input ports.
    counts : dict
        Module -> its instances in the whole design.
    nets : int
        Nets are numbered below this.
    """

    def __init__(self, design: Json, top: str, library: Library):
        self._netlist = Netlist(design, top, library.cells)
        self._library = library
        self._at_ports: dict[str, list[tuple[str, int, Gate]]] = {}
        self.gates: list[Gate] = []
        self.further: list[Gate] = []
        self.nets = CLOCK + 1
        instances = Counter(module.name for _, module in self._netlist.instances())
        self.counts = {name: instances[name] for name in self._netlist.modules}
        module = self._netlist.modules[top]
        nets: dict[Bit, int] = dict.fromkeys(module.ports["clk"], CLOCK)
        self._visit(module, nets)
        inputs = {bit for port in module.inputs for bit in module.ports[port]}
        self.inputs = [net for bit, net in nets.items() if bit in inputs]

    def _visit(self, module: Module, nets: dict[Bit, int]) -> None:
        """``nets``: bit of the module -> net, of its ports and all others met so far."""
        seen: set[str] = set()
        for cell in module.cells:
            for bits in cell.pins.values():
                for bit in bits:
                    if isinstance(bit, int) and bit not in nets:
                        nets[bit] = self.nets
                        self.nets += 1
            if cell.kind not in self._netlist.modules:
                pins = {pin: bits[0] for pin, bits in cell.pins.items() if bits}
                used = {pin: nets[bit] for pin, bit in pins.items() if bit in nets}
                self.gates.append(Gate((module.name, cell.name), cell.kind, used))
            elif cell.kind in seen:
                for port, index, gate in self._at(cell.kind):
                    outer = nets.get(cell.pins[port][index]) if port in cell.pins else None
                    if outer is not None:
                        taken = dict.fromkeys(gate.nets, outer)
                        self.further.append(Gate(gate.place, gate.cell, taken))
            else:
                seen.add(cell.kind)
                inner: dict[Bit, int] = {
                    bit: nets[outer]
                    for outer, bit in self._netlist.joined(cell)
                    if outer in nets and isinstance(bit, int)
                }
                self._visit(self._netlist.modules[cell.kind], inner)

    def _at(self, name: str) -> list[tuple[str, int, Gate]]:
        """Pins of gates at a module's input ports: port, bit, the gate with that pin alone."""
        if name in self._at_ports:
            return self._at_ports[name]
        module = self._netlist.modules[name]
        ports = {
            bit: (port, i)
            for port, bits in module.ports.items()
            if port in module.inputs
            for i, bit in enumerate(bits)
        }
        found: list[tuple[str, int, Gate]] = []
        for cell in module.cells:
            if cell.kind in self._netlist.modules:
                for port, i, gate in self._at(cell.kind):
                    if port in cell.pins and cell.pins[port][i] in ports:
                        found.append((*ports[cell.pins[port][i]], gate))
            else:
                for pin in self._library.cells[cell.kind].inputs:
                    if cell.pins.get(pin) and cell.pins[pin][0] in ports:
                        gate = Gate((module.name, cell.name), cell.kind, {pin: 0})
                        found.append((*ports[cell.pins[pin][0]], gate))
        self._at_ports[name] = found
        return found
