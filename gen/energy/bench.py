"""Verilog of a tile's gates that counts how often each net toggles."""

from collections.abc import Iterator

from lutcore.errors import InputError, ToolError
from lutcore.gen.energy.gates import CLOCK_PORT, Gates
from lutcore.gen.tools.netlist import Gate, Place

#: Slices of a job before counting starts: the pipeline is full and results drain.
WARM_UP = 32
#: Name that the runner of simulations takes for a recording.
RECORD = "dump.activity"
#: Nets that are compared at a time.
_WORD = 64

#: Counts cycles, slices, and of each net changes and cycles in which it is 1.
_COUNTING = """\
reg [{top}:0] now [0:{last}];
reg [{top}:0] earlier [0:{last}];
reg [31:0] counts [0:{last_count}];
integer taken, i, word, bit_;
initial begin
  taken = 0;
  for (i = 0; i <= {last_count}; i = i + 1) counts[i] = 0;
end
always @(posedge {clock}) begin
{take}
  if (!rst && weights__valid && taken >= {warm_up}) begin
    counts[0] = counts[0] + 1;
    if (weights__ready) counts[1] = counts[1] + 1;
    for (i = 0; i < {size}; i = i + 1) begin
      word = i / {width};
      bit_ = i % {width};
      if (now[word][bit_] != earlier[word][bit_]) counts[2*i+2] = counts[2*i+2] + 1;
      if (now[word][bit_]) counts[2*i+3] = counts[2*i+3] + 1;
    end
  end
  for (i = 0; i <= {last}; i = i + 1) earlier[i] = now[i];
  if (rst) taken = 0;
  else if (weights__valid && weights__ready) taken = taken + 1;
end
final $writememh("{record}", counts);"""


class Bench:
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
        rows: dict[Place, list[Gate]] = {}
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
        ports = ", ".join(
            f"{'input' if name in gates.inputs else 'output'} {_range(len(nets))}{name}"
            for name, nets in gates.ports.items()
        )
        results = [
            f"assign {name} = {{{', '.join(self._bit(net) for net in reversed(nets))}}};"
            for name, nets in gates.ports.items()
            if name not in gates.inputs
        ]
        words = [f"{{{', '.join(reversed(texts))}}}" for texts, _ in self._words()]
        size = len(words) * _WORD
        counting = _COUNTING.format(
            top=_WORD - 1,
            width=_WORD,
            last=len(words) - 1,
            size=size,
            last_count=2 * size + 1,
            clock=CLOCK_PORT,
            warm_up=WARM_UP,
            record=RECORD,
            take="\n".join(f"  now[{i}] = {word};" for i, word in enumerate(words)),
        )
        lines = [
            f"module {gates.top}_gates({ports});",
            *self._declarations,
            *self._assignments,
            f"always @(posedge {CLOCK_PORT}) begin",
            *self._registers,
            "end",
            *results,
            counting,
            "endmodule",
            # A module of its own: the top's own signals would all be kept for the bench to see.
            f"module {gates.top}({ports});",
            f"{gates.top}_gates gates({', '.join(f'.{name}({name})' for name in gates.ports)});",
            "endmodule",
        ]
        return "\n".join(lines) + "\n"


def _range(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
