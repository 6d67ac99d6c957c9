"""A mapped hierarchical netlist as one flat list of gates, for timing."""

from dataclasses import dataclass

from lutcore.gen.asic.library import Library
from lutcore.gen.tools.netlist import Bit, Json

#: Net of the clock.
CLOCK = 0

#: A cell of a module: all instances of the module share its type.
Place = tuple[str, str]


@dataclass
class Gate:
    """A cell of the flat netlist: its place, and its pins' nets, those of constants left out."""

    place: Place
    kind: str
    pins: dict[str, int]


class Flat:
    """A hierarchical netlist without its hierarchy, one instance of each module in its parent.

    Of further instances only the pins at their parent's nets are there.

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
        self._modules = design["modules"]
        self._library = library
        self._at_ports: dict[str, list[tuple[str, int, Gate]]] = {}
        self.gates: list[Gate] = []
        self.further: list[Gate] = []
        self.nets = CLOCK + 1
        self.counts = dict.fromkeys(self._modules, 0)
        self._count(top)
        nets: dict[Bit, int] = dict.fromkeys(self._modules[top]["ports"]["clk"]["bits"], CLOCK)
        self._visit(top, nets)
        ports = self._modules[top]["ports"].values()
        inputs = {bit for port in ports if port["direction"] == "input" for bit in port["bits"]}
        self.inputs = [net for bit, net in nets.items() if bit in inputs]

    def _count(self, module: str) -> None:
        self.counts[module] += 1
        for cell in self._modules[module]["cells"].values():
            if self._is_module(cell["type"]):
                self._count(cell["type"])

    def _is_module(self, kind: str) -> bool:
        return kind in self._modules and kind not in self._library.cells

    def _visit(self, module: str, nets: dict[Bit, int]) -> None:
        """``nets``: bit of the module -> net, of its ports and all others met so far."""
        seen: set[str] = set()

        def net(bit: Bit) -> int:
            if bit not in nets:
                nets[bit] = self.nets
                self.nets += 1
            return nets[bit]

        for name, cell in self._modules[module]["cells"].items():
            kind = cell["type"]
            pins = {
                pin: [net(bit) if isinstance(bit, int) else None for bit in bits]
                for pin, bits in cell["connections"].items()
            }
            if not self._is_module(kind):
                used = {pin: bits[0] for pin, bits in pins.items() if bits and bits[0] is not None}
                self.gates.append(Gate((module, name), kind, used))
            elif kind in seen:
                for port, index, gate in self._at(kind):
                    outer = pins[port][index] if port in pins else None
                    if outer is not None:
                        taken = dict.fromkeys(gate.pins, outer)
                        self.further.append(Gate(gate.place, gate.kind, taken))
            else:
                seen.add(kind)
                inner: dict[Bit, int] = {}
                for port, found in self._modules[kind]["ports"].items():
                    for bit, outer in zip(found["bits"], pins.get(port, ()), strict=False):
                        if outer is not None and isinstance(bit, int):
                            inner[bit] = outer
                self._visit(kind, inner)

    def _at(self, module: str) -> list[tuple[str, int, Gate]]:
        """Pins of gates at a module's input ports: port, bit, the gate with that pin alone."""
        if module in self._at_ports:
            return self._at_ports[module]
        ports = {
            bit: (port, i)
            for port, found in self._modules[module]["ports"].items()
            if found["direction"] == "input"
            for i, bit in enumerate(found["bits"])
        }
        found: list[tuple[str, int, Gate]] = []
        for name, cell in self._modules[module]["cells"].items():
            kind, wired = cell["type"], cell["connections"]
            if self._is_module(kind):
                for port, i, gate in self._at(kind):
                    if port in wired and wired[port][i] in ports:
                        found.append((*ports[wired[port][i]], gate))
            else:
                for pin in self._library.cells[kind].inputs:
                    if wired.get(pin) and wired[pin][0] in ports:
                        gate = Gate((module, name), kind, {pin: 0})
                        found.append((*ports[wired[pin][0]], gate))
        self._at_ports[module] = found
        return found
