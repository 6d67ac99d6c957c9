"""A mapped netlist as its cells compute: flat, on nets that are joined where ports join them."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lutcore.gen.energy.cell_models import CellModel, cell_model
from lutcore.gen.tools.hierarchy import block_below
from lutcore.gen.tools.netlist import Bit, Gate, Module, Netlist
from lutcore.gen.tools.yosys import run_yosys

#: The tile's only clock.
CLOCK_PORT = "clk"


@dataclass(frozen=True)
class Gates:
    """A flat netlist. Nets are numbers; 0 and 1 are the constants.

    Attributes
    ----------
    top : str
    ports : dict
        Port -> nets of its bits, low first.
    inputs : frozenset of str
        Ports that are inputs.
    gates : list of Gate
    blocks : list of str
        Block of the design of each, as in area reports.
    models : dict
        Library cell -> :class:`~lutcore.gen.energy.cell_models.CellModel`.
    """

    top: str
    ports: dict[str, list[int]]
    inputs: frozenset[str]
    gates: list[Gate]
    blocks: list[str]
    models: dict[str, CellModel]

    @functools.cached_property
    def clocks(self) -> frozenset[int]:
        """Nets of the clock: its port, and what buffers drive from it."""
        found = set(self.ports[CLOCK_PORT])
        buffers = [gate for gate in self.gates if self.models[gate.cell].is_buffer]
        size = 0
        while size != len(found):
            size = len(found)
            for gate in buffers:
                if not found.isdisjoint(gate.nets.values()):
                    found |= set(gate.nets.values())
        return frozenset(found)


def read_gates(netlist: str, libraries: Sequence[bytes], top: str) -> Gates:
    """Flatten a mapped netlist of these Liberty files' cells.

    Raises
    ------
    InputError
        It has a cell that cannot be simulated.
    """
    names = [f"cells_{i}.lib" for i in range(len(libraries))]
    ignore = "-ignore_miss_func -ignore_miss_dir -ignore_miss_data_latch"
    script = [
        *(f"read_liberty {ignore} {name}" for name in names),
        "setattr -mod -set library_cell 1 *",
        "read_verilog netlist.v",
        f"hierarchy -check -top {top}",
        "write_json netlist.json",
    ]
    files = {"netlist.v": netlist.encode(), **dict(zip(names, libraries, strict=True))}
    found = json.loads(run_yosys("\n".join(script), files, ["netlist.json"])["netlist.json"])
    modules = found["modules"]
    library = {name for name, module in modules.items() if "library_cell" in module["attributes"]}
    flat = _Flattening(Netlist(found, top, library))
    used = {gate.cell for gate in flat.gates}
    return Gates(
        top=top,
        ports=flat.ports,
        inputs=flat.inputs,
        gates=flat.gates,
        blocks=flat.blocks,
        models={name: cell_model(modules[name], name) for name in sorted(used)},
    )


class _Flattening:
    """Library cells below the top, on nets that are joined where ports join them."""

    def __init__(self, netlist: Netlist):
        self._netlist = netlist
        self._parents = [0, 1]
        self.blocks: list[str] = []
        top = netlist.modules[netlist.top]
        local: dict[Bit, int] = {}
        ports = {name: [self._net(bit, local) for bit in bits] for name, bits in top.ports.items()}
        found = list(self._visit(top, local, "tile"))
        self.inputs = top.inputs
        self.ports = {name: [self._find(net) for net in nets] for name, nets in ports.items()}
        self.gates = [
            dataclasses.replace(gate, nets={pin: self._find(net) for pin, net in gate.nets.items()})
            for gate in found
        ]

    def _net(self, bit: Bit, local: dict[Bit, int]) -> int:
        if isinstance(bit, str):
            return int(bit == "1")
        if bit not in local:
            local[bit] = len(self._parents)
            self._parents.append(local[bit])
        return local[bit]

    def _find(self, net: int) -> int:
        while self._parents[net] != net:
            self._parents[net] = net = self._parents[self._parents[net]]
        return net

    def _join(self, one: int, other: int) -> None:
        first, second = sorted((self._find(one), self._find(other)))
        self._parents[second] = first

    def _visit(self, module: Module, local: dict[Bit, int], block: str) -> Iterator[Gate]:
        for cell in module.cells:
            if cell.kind not in self._netlist.modules:
                nets = {pin: self._net(bits[0], local) for pin, bits in cell.pins.items() if bits}
                self.blocks.append(block)
                yield Gate((module.name, cell.name), cell.kind, nets)
                continue
            inside: dict[Bit, int] = {}
            for bit, inner in self._netlist.joined(cell):
                net = self._net(bit, local)
                if isinstance(inner, str) or inner in inside:
                    self._join(net, self._net(inner, inside))
                else:
                    inside[inner] = net
            below = block_below(block, cell.kind, self._netlist.top)
            yield from self._visit(self._netlist.modules[cell.kind], inside, below)
