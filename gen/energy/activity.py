"""How often each net of a mapped netlist toggles: gate-level simulation in the tile's own bench."""

import dataclasses
import functools
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lutcore.errors import InputError, ToolError
from lutcore.gen.energy.cell_models import CellModel, cell_model
from lutcore.gen.tools.hierarchy import block_below
from lutcore.gen.tools.netlist import Bit, Gate, Module, Netlist
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.job import TileJob
from lutcore.verif.sim.play import run_jobs
from lutcore.verif.sim.simulator import build

#: Slices of a job before counting starts: the pipeline is full and results drain.
WARM_UP = 32

#: The tile's only clock.
CLOCK_PORT = "clk"
#: Nets that are compared at a time.
_WORD = 64
#: Name that the runner of simulations takes for a recording.
_RECORD = "dump.activity"


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


@dataclass(frozen=True)
class Activity:
    """What was counted while the tile ran without a stall of its streams.

    Attributes
    ----------
    cycles, slices : int
        Clock cycles counted, and weight slices taken in them.
    toggles, highs : dict
        Net -> changes from one cycle to the next, and cycles in which it was 1.
    """

    cycles: int
    slices: int
    toggles: dict[int, int]
    highs: dict[int, int]


# Netlist -----------------------------------------------------------------------------------------


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


# Simulation --------------------------------------------------------------------------------------


class _Bench:
    """Verilog of the tile's gates that counts toggles.

    Instances of one module work side by side as the bits of vectors: simulators compile a module
    once however many instances it has.
    """

    def __init__(self, gates: Gates):
        self._gates = gates
        #: Net -> signal and bit there.
        self._places: dict[int, tuple[str, int]] = {}
        self._signals: dict[str, list[int]] = {}
        self._references: dict[tuple[int, ...], str] = {}
        self._declarations: list[str] = []
        self._assignments: list[str] = []
        self._registers: list[str] = []
        for port in sorted(gates.inputs):
            self._add(port, gates.ports[port])
        rows: dict[tuple[str, str], list[Gate]] = {}
        for gate in gates.gates:
            rows.setdefault(gate.place, []).append(gate)
        numbered = list(enumerate(rows.values()))
        for i, row in numbered:
            for pin in row[0].nets:
                if pin in gates.models[row[0].cell].outputs:
                    self._add(f"{pin}_{i}", [gate.nets[pin] for gate in row])
        for i, row in numbered:
            self._row(i, row)

    def _add(self, signal: str, nets: list[int]) -> None:
        self._signals[signal] = nets
        self._places |= {net: (signal, bit) for bit, net in enumerate(nets)}

    def _bit(self, net: int) -> str:
        if net < 2:
            return f"1'b{net}"
        if net not in self._places:
            raise ToolError(f"the netlist of {self._gates.top} has a net that nothing drives")
        signal, bit = self._places[net]
        return signal if len(self._signals[signal]) == 1 else f"{signal}[{bit}]"

    def _reference(self, nets: tuple[int, ...]) -> str:
        """An expression of these nets, low first."""
        if len(nets) == 1:
            return self._bit(nets[0])
        if nets not in self._references:
            signal = self._places.get(nets[0], ("", 0))[0]
            whole = [(signal, bit) for bit in range(len(self._signals.get(signal, ())))]
            if whole and [self._places.get(net) for net in nets] == whole:
                return signal
            parts = ", ".join(self._bit(net) for net in reversed(nets))
            if len(set(nets)) == 1:
                parts = f"{{{len(nets)}{{{self._bit(nets[0])}}}}}"
            name = f"joined_{len(self._references)}"
            self._declarations.append(f"wire {_range(len(nets))}{name} = {{{parts}}};")
            self._references[nets] = name
        return self._references[nets]

    def _row(self, number: int, row: list[Gate]) -> None:
        """One cell of a module, in all its instances."""
        model = self._gates.models[row[0].cell]
        nets = {pin: tuple(gate.nets.get(pin, 0) for gate in row) for pin in row[0].nets}
        if model.clock and not self._gates.clocks.issuperset(nets[model.clock]):
            raise InputError(f"a cell {row[0].cell} is clocked by another net than {CLOCK_PORT}")
        states = {state: f"{state}_{number}" for state in model.states}
        width = _range(len(row))
        inputs = {
            pin: self._reference(bits)
            for pin, bits in nets.items()
            if pin not in model.outputs and pin != model.clock
        }
        for state, after in model.states.items():
            self._declarations.append(f"reg {width}{states[state]};")
            self._registers.append(f"{states[state]} <= {after.format_map(inputs | states)};")
        for pin in nets.keys() & model.outputs.keys():
            text = model.outputs[pin].format_map(inputs | states)
            self._assignments.append(f"wire {width}{pin}_{number} = {text};")

    def _words(self) -> Iterator[tuple[list[str], list[int]]]:
        """Signals in words of at most :data:`_WORD` bits: expressions and nets, low first."""
        texts: list[str] = []
        nets: list[int] = []
        for signal, held in self._signals.items():
            for low in range(0, len(held), _WORD):
                part = held[low : low + _WORD]
                if len(nets) + len(part) > _WORD:
                    yield texts, nets
                    texts, nets = [], []
                whole = len(part) == len(held)
                texts.append(signal if whole else f"{signal}[{low + len(part) - 1}:{low}]")
                nets += part
        yield texts, nets

    def counters(self) -> dict[int, int]:
        """Net -> place of its two counters among those of all nets."""
        return {
            net: word * _WORD + bit
            for word, (_, nets) in enumerate(self._words())
            for bit, net in enumerate(nets)
        }

    def verilog(self) -> str:
        """The whole design: module ``top`` with the ports of the tile."""
        gates = self._gates
        ports = [
            f"{'input' if name in gates.inputs else 'output'} {_range(len(nets))}{name}"
            for name, nets in gates.ports.items()
        ]
        results = [
            f"assign {name} = {{{', '.join(self._bit(net) for net in reversed(nets))}}};"
            for name, nets in gates.ports.items()
            if name not in gates.inputs
        ]
        words = [f"{{{', '.join(reversed(texts))}}}" for texts, _ in self._words()]
        size, last = len(words) * _WORD, len(words) - 1
        lines = [
            f"module {gates.top}_gates({', '.join(ports)});",
            *self._declarations,
            *self._assignments,
            f"always @(posedge {CLOCK_PORT}) begin",
            *self._registers,
            "end",
            *results,
            f"reg [{_WORD - 1}:0] now [0:{last}];",
            f"reg [{_WORD - 1}:0] earlier [0:{last}];",
            f"reg [31:0] counts [0:{2 * size + 1}];",
            "integer taken, i, word, bit_;",
            "initial begin",
            f"taken = 0; for (i = 0; i < {2 * size + 2}; i = i + 1) counts[i] = 0;",
            "end",
            f"always @(posedge {CLOCK_PORT}) begin",
            *(f"now[{i}] = {word};" for i, word in enumerate(words)),
            f"if (!rst && weights__valid && taken >= {WARM_UP}) begin",
            "counts[0] = counts[0] + 1;",
            "if (weights__ready) counts[1] = counts[1] + 1;",
            f"for (i = 0; i < {size}; i = i + 1) begin",
            f"word = i / {_WORD}; bit_ = i % {_WORD};",
            "if (now[word][bit_] != earlier[word][bit_]) counts[2*i+2] = counts[2*i+2] + 1;",
            "if (now[word][bit_]) counts[2*i+3] = counts[2*i+3] + 1;",
            "end",
            "end",
            f"for (i = 0; i <= {last}; i = i + 1) earlier[i] = now[i];",
            "if (rst) taken = 0;",
            "else if (weights__valid && weights__ready) taken = taken + 1;",
            "end",
            f'final $writememh("{_RECORD}", counts);',
            "endmodule",
            # A module of its own: the top's own signals would all be kept for the bench to see.
            f"module {gates.top}({', '.join(ports)});",
            f"{gates.top}_gates gates({', '.join(f'.{name}({name})' for name in gates.ports)});",
            "endmodule",
        ]
        return "\n".join(lines) + "\n"


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""


def measure_activity(config: CoreConfig, gates: Gates, jobs: Sequence[TileJob]) -> Activity:
    """Play jobs into the gates, hold their results against the golden model, and count.

    Raises
    ------
    ToolError
        A result is wrong, or the simulation failed.
    """
    bench = _Bench(gates)
    built = build(bench.verilog(), gates.top, optimised=False)
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        record = Path(scratch) / _RECORD
        verdicts = run_jobs(built, config, jobs, waves_to=record)
        wrong = [problem for verdict in verdicts for problem in verdict["problems"]]
        if wrong or any(verdict["mismatches"] for verdict in verdicts):
            raise ToolError(f"the netlist of {gates.top} computes wrong results: {wrong[:1]}")
        counts = [int(line, 16) for line in record.read_text().split("\n") if line[:1].isalnum()]
    for path in built.folder.iterdir():  # what the compiler left is a hundred times the program
        if path.suffix in (".gch", ".cpp", ".o", ".a"):
            path.unlink(missing_ok=True)
    if not counts[1]:
        raise ToolError(f"the simulation of {gates.top} counted nothing: too few slices")
    places = bench.counters()
    return Activity(
        cycles=counts[0],
        slices=counts[1],
        toggles={net: counts[2 * place + 2] for net, place in places.items()},
        highs={net: counts[2 * place + 3] for net, place in places.items()},
    )


def mean_toggles(activity: Activity) -> float:
    """Mean toggles of a net in a cycle."""
    return float(np.mean(list(activity.toggles.values()))) / activity.cycles
