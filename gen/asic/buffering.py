"""What ABC does not do, in a mapped hierarchical netlist (Yosys JSON): buffer trees across modules.

ABC buffers a module at a time and sees no load beyond its ports; here a port's load is known from
the modules below it, and what drives it from the modules above.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from lutcore.gen.asic.library import INVERTER, Cell, Library
from lutcore.gen.tools.netlist import Bit, Json, free_numbers, nets, new_cell

#: Part of a driver's greatest load, at its strongest variant, that a net may have.
_NET_SHARE = 0.5
#: Part of a buffer's greatest load that it is given; less load is faster.
_BUFFER_SHARE = 0.35

#: A sink: cell, pin and bit of it.
_Sink = tuple[str, str, int]


class _Complements:
    """Inverted flip-flop outputs of a module, from the cells' second outputs."""

    def __init__(self, module: Json, library: Library, numbers: Iterator[int]):
        self._numbers = numbers
        #: Net -> flip-flop and the pin with the opposite value.
        self._pins: dict[Bit, tuple[Json, str]] = {}
        for cell in module["cells"].values():
            kind = library.cells.get(cell["type"])
            if kind is None or not kind.flip_flop or len(kind.outputs) != 2:
                continue
            states = set(kind.outputs.values())
            if len(states) == 2 and all(state.isidentifier() for state in states):
                for pin, other in itertools.permutations(kind.outputs):
                    for net in cell["connections"].get(pin, ()):
                        self._pins[net] = cell, other

    def has(self, net: Bit) -> bool:
        """Whether the net is a flip-flop's output with an opposite."""
        return net in self._pins

    def of(self, net: Bit) -> Bit:
        """The opposite net, made if it is not there."""
        cell, pin = self._pins[net]
        if not cell["connections"].get(pin):
            cell["connections"][pin] = [next(self._numbers)]
            cell["port_directions"][pin] = "output"
            (opposite,) = (other for other in cell["connections"] if self._is(cell, other, net))
            self._pins[cell["connections"][pin][0]] = cell, opposite
        return cell["connections"][pin][0]

    @staticmethod
    def _is(cell: Json, pin: str, net: Bit) -> bool:
        return cell["port_directions"][pin] == "output" and cell["connections"][pin] == [net]


def use_inverted_outputs(design: Json, library: Library) -> None:
    """Take inverted flip-flop outputs from the cells, which ABC does not know of.

    Inverters after flip-flops go. A gate between flip-flops becomes one that reads the opposite
    outputs where that is smaller: AND a NOR; AND-OR-INVERT and an inverter OR-AND-INVERT.
    """
    for module in design["modules"].values():
        complements = _Complements(module, library, free_numbers(module))
        _drop_inverters(module, library, complements)
        _read_opposites(module, library, complements)


def _gates(module: Json, library: Library) -> Iterator[tuple[str, Cell, list[Bit], Bit]]:
    """Gates with one output: name, cell, nets of its inputs and of its output."""
    for name, cell in list(module["cells"].items()):
        kind = library.cells.get(cell["type"])
        if kind is not None and len(kind.tables) == 1:
            wired = cell["connections"]
            (output,) = kind.outputs
            yield name, kind, [wired[pin][0] for pin in kind.inputs], wired[output][0]


def _is_inverter(cell: Cell) -> bool:
    return [*cell.tables.values()] == [INVERTER] and len(cell.inputs) == 1


def _drop_inverters(module: Json, library: Library, complements: _Complements) -> None:
    replaced: dict[Bit, Bit] = {}
    for name, cell, inputs, output in _gates(module, library):
        if _is_inverter(cell) and complements.has(inputs[0]):
            replaced[output] = complements.of(inputs[0])
            del module["cells"][name]
    _rename(module, replaced)


def _read_opposites(module: Json, library: Library, complements: _Complements) -> None:
    gates = list(_gates(module, library))
    inverters: dict[Bit, list[tuple[str, Cell, Bit]]] = {}
    for name, cell, inputs, output in gates:
        if _is_inverter(cell):
            inverters.setdefault(inputs[0], []).append((name, cell, output))
    ends = Counter(bit for bits in nets(module, named=False) for bit in bits)
    replaced: dict[Bit, Bit] = {}
    for name, cell, inputs, output in gates:
        if not all(map(complements.has, inputs)):
            continue
        after = inverters.get(output, [])
        options = [after] if after and ends[output] == 1 + len(after) else []
        options += [[]] if len(inputs) == 2 else []  # a wide NOR is slower than a wide AND
        for dropped in options:
            found = library.gate(len(inputs), _of_opposites(cell, inverted=bool(dropped)))
            spared = cell.area + sum(inverter.area for _, inverter, _ in dropped)
            if found is None or found[0].area >= spared:
                continue
            gate, pins = found
            opposites = {p: complements.of(net) for p, net in zip(pins, inputs, strict=True)}
            (pin,) = gate.outputs
            module["cells"][name] = new_cell(gate.name, opposites, {pin: output})
            for inverter, _, inverted in dropped:
                replaced[inverted] = output
                del module["cells"][inverter]
            break
    _rename(module, replaced)


def _of_opposites(cell: Cell, inverted: bool) -> int:
    """The function that a gate must have of opposite inputs to give the same, or its opposite."""
    (table,) = cell.tables.values()
    rows = range(1 << len(cell.inputs))
    found = sum((table >> len(rows) - 1 - row & 1) << row for row in rows)
    return found ^ (1 << len(rows)) - 1 if inverted else found


def _rename(module: Json, replaced: dict[Bit, Bit]) -> None:
    if replaced:
        for bits in nets(module):
            bits[:] = [replaced.get(bit, bit) for bit in bits]


class Buffering:
    """Buffers every module of a design, in place.

    Parameters
    ----------
    design : dict
        Yosys JSON of library cells and instances of its own modules.
    library : Library
    """

    def __init__(self, design: Json, library: Library):
        self._modules: Json = design["modules"]
        self._library = library
        #: Load of each input port bit of a finished module.
        self._loads: dict[str, dict[str, list[float]]] = {}

    def insert(self) -> dict[str, dict[str, list[float]]]:
        """Insert buffers where they are needed; returns the load of every module's input ports."""
        for name in self._modules:
            self._finish(name)
        return self._loads

    def _finish(self, name: str) -> None:
        if name in self._loads or name in self._library.cells:
            return
        module = self._modules[name]
        for cell in module["cells"].values():
            if cell["type"] in self._modules:
                self._finish(cell["type"])
        if self._library.buffers:
            self._buffer_nets(module)
        loads = {
            bit: sum(self._load(module, sink) for sink in sinks)
            for bit, sinks in self._sinks(module).items()
        }
        self._loads[name] = {
            port: [loads.get(bit, 0.0) for bit in found["bits"]]
            for port, found in module["ports"].items()
            if found["direction"] == "input"
        }

    def _buffer_nets(self, module: Json) -> None:
        numbers = free_numbers(module)
        limits = {
            bit: self._limit(cell["type"])
            for cell in module["cells"].values()
            for pin, bits in cell["connections"].items()
            if not self._is_input(cell["type"], pin)
            for bit in bits
        }
        for bit, sinks in self._sinks(module).items():
            if isinstance(bit, int):
                self._buffer(module, bit, sinks, limits.get(bit, self._port_limit), numbers)

    def _sinks(self, module: Json) -> dict[Bit, list[_Sink]]:
        """Net -> the input pins that it drives."""
        sinks: dict[Bit, list[_Sink]] = {}
        for cell_name, cell in module["cells"].items():
            for pin, bits in cell["connections"].items():
                if self._is_input(cell["type"], pin):
                    for i, bit in enumerate(bits):
                        sinks.setdefault(bit, []).append((cell_name, pin, i))
        return sinks

    def _is_input(self, kind: str, pin: str) -> bool:
        if kind in self._library.cells:
            return pin in self._library.cells[kind].inputs
        return kind in self._modules and self._modules[kind]["ports"][pin]["direction"] == "input"

    def _load(self, module: Json, sink: _Sink) -> float:
        cell_name, pin, index = sink
        cell = module["cells"][cell_name]
        if cell["type"] in self._library.cells:
            return self._library.cells[cell["type"]].capacitance[pin]
        return self._loads[cell["type"]][pin][index]

    @property
    def _port_limit(self) -> float:
        """Load of an input port from which on its module buffers it itself."""
        return _BUFFER_SHARE * self._library.buffers[0].max_load

    def _limit(self, kind: str) -> float:
        variants = self._library.variants.get(kind)
        if not variants:  # a module's output: its driver is inside
            return _NET_SHARE * self._library.buffers[0].max_load
        return _NET_SHARE * max(self._library.cells[name].max_load for name in variants)

    def _buffer(
        self, module: Json, bit: int, sinks: list[_Sink], limit: float, numbers: Any
    ) -> None:
        """Split the sinks of a net among buffers until what it drives is within its limit."""
        while sum(self._load(module, sink) for sink in sinks) > limit and len(sinks) > 1:
            strongest = self._library.buffers[min(2, len(self._library.buffers) - 1)]
            share = _BUFFER_SHARE * strongest.max_load
            groups: list[list[_Sink]] = [[]]
            load = 0.0
            for sink in sinks:
                load += self._load(module, sink)
                if load > share and groups[-1]:
                    groups.append([])
                    load = self._load(module, sink)
                groups[-1].append(sink)
            if len(groups) == len(sinks):
                return
            sinks = [self._add_buffer(module, bit, group, next(numbers)) for group in groups]

    def _add_buffer(self, module: Json, source: int, sinks: list[_Sink], output: int) -> _Sink:
        load = sum(self._load(module, sink) for sink in sinks)
        enough = [b for b in self._library.buffers if _BUFFER_SHARE * b.max_load >= load]
        buffer = (enough or self._library.buffers[-1:])[0]
        for cell_name, pin, index in sinks:
            module["cells"][cell_name]["connections"][pin][index] = output
        (result,) = buffer.outputs
        name = f"$fanout${output}"
        inputs: dict[str, Bit] = {buffer.inputs[0]: source}
        module["cells"][name] = new_cell(buffer.name, inputs, {result: output})
        return name, buffer.inputs[0], 0
