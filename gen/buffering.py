"""What ABC does not do, in a mapped hierarchical netlist (Yosys JSON): buffer trees across modules.

ABC buffers a module at a time and sees no load beyond its ports; here a port's load is known from
the modules below it, and what drives it from the modules above.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from gen.compressor import Bit, Json
from gen.liberty import INVERTER, Library

#: Part of a driver's greatest load, at its strongest variant, that a net may have.
_NET_SHARE = 0.5
#: Part of a buffer's greatest load that it is given; less load is faster.
_BUFFER_SHARE = 0.35

#: A sink: cell and pin.
_Sink = tuple[str, str]


def use_inverted_outputs(design: Json, library: Library) -> None:
    """Take inverted flip-flop outputs from the cell's second output, not through an inverter."""
    for module in design["modules"].values():
        outputs: dict[Bit, tuple[Json, str]] = {}
        for cell in module["cells"].values():
            kind = library.cells.get(cell["type"])
            if kind is None or not kind.flip_flop or len(kind.outputs) != 2:
                continue
            for pin, other in itertools.permutations(kind.outputs):
                names = {kind.outputs[pin], kind.outputs[other]}
                used = cell["connections"].get(pin), cell["connections"].get(other)
                if used[0] and not used[1] and len(names) == 2 and all(n.isalpha() for n in names):
                    outputs[used[0][0]] = cell, other
        replaced: dict[Bit, Bit] = {}
        for name, cell in list(module["cells"].items()):
            kind = library.cells.get(cell["type"])
            if kind is None or list(kind.tables.values()) != [INVERTER] or len(kind.inputs) != 1:
                continue
            (source,) = cell["connections"][kind.inputs[0]]
            (output,) = cell["connections"][next(iter(kind.outputs))]
            if source not in outputs:
                continue
            flip_flop, other = outputs[source]
            if other in flip_flop["connections"]:
                replaced[output] = flip_flop["connections"][other][0]
            else:
                flip_flop["connections"][other] = [output]
                flip_flop["port_directions"][other] = "output"
            del module["cells"][name]
        if replaced:
            for part in (
                *module["cells"].values(),
                *module["ports"].values(),
                *module["netnames"].values(),
            ):
                lists = part["connections"].values() if "connections" in part else [part["bits"]]
                for bits in lists:
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

    def insert(self) -> None:
        """Insert buffers where they are needed."""
        if self._library.buffers:
            for name in self._modules:
                self._finish(name)

    def _finish(self, name: str) -> None:
        if name in self._loads or name in self._library.cells:
            return
        module = self._modules[name]
        for cell in module["cells"].values():
            if cell["type"] in self._modules:
                self._finish(cell["type"])
        numbers = itertools.count(
            1
            + max((bit for net in _bits(module) for bit in net if isinstance(bit, int)), default=1)
        )
        sinks: dict[Bit, list[_Sink]] = {}
        limits: dict[Bit, float] = {}
        for cell_name, cell in module["cells"].items():
            for pin, bits in cell["connections"].items():
                for i, bit in enumerate(bits):
                    if self._is_input(cell["type"], pin):
                        sinks.setdefault(bit, []).append((cell_name, f"{pin}[{i}]"))
                    elif isinstance(bit, int):
                        limits[bit] = self._limit(cell["type"])
        for bit, found in sinks.items():
            if isinstance(bit, int):
                self._buffer(module, bit, found, limits.get(bit, self._port_limit), numbers)
        self._loads[name] = {
            port: [
                sum(self._load(module, sink) for sink in _sinks(module, bit, self._is_input))
                for bit in found["bits"]
            ]
            for port, found in module["ports"].items()
            if found["direction"] == "input"
        }

    def _is_input(self, kind: str, pin: str) -> bool:
        if kind in self._library.cells:
            return pin in self._library.cells[kind].inputs
        return kind in self._modules and self._modules[kind]["ports"][pin]["direction"] == "input"

    def _load(self, module: Json, sink: _Sink) -> float:
        cell_name, pin = sink
        cell = module["cells"][cell_name]
        name, index = pin[:-1].split("[")
        if cell["type"] in self._library.cells:
            return self._library.cells[cell["type"]].capacitance[name]
        return self._loads[cell["type"]][name][int(index)]

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
        for cell_name, pin in sinks:
            name, index = pin[:-1].split("[")
            module["cells"][cell_name]["connections"][name][int(index)] = output
        (result,) = buffer.outputs
        module["cells"][f"$fanout${output}"] = {
            "hide_name": 1,
            "type": buffer.name,
            "parameters": {},
            "attributes": {},
            "port_directions": {buffer.inputs[0]: "input", result: "output"},
            "connections": {buffer.inputs[0]: [source], result: [output]},
        }
        return f"$fanout${output}", f"{buffer.inputs[0]}[0]"


def _bits(module: Json) -> Iterator[list[Bit]]:
    for net in module["netnames"].values():
        yield net["bits"]
    for cell in module["cells"].values():
        yield from cell["connections"].values()


def _sinks(module: Json, wanted: Bit, is_input: Any) -> Iterator[_Sink]:
    for cell_name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            for i, bit in enumerate(bits):
                if bit == wanted and is_input(cell["type"], pin):
                    yield cell_name, f"{pin}[{i}]"
