"""Mutants of RTL: one text that has many small faults, of which an input chooses one.

A fault is what Yosys' ``mutate`` makes: a bit of a cell's pin inverted, stuck, or mixed with its
neighbour. What no job notices is a hole in the verification, unless the mutant is equivalent
(:mod:`lutcore.gen.verify.equivalence`): then nothing could notice it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lutcore.errors import InputError
from lutcore.gen.tools.yosys import run_yosys

#: Name of the input that chooses; 0 is the sound design.
CHOICE = "mutant"
#: Mode of a mutant -> what happens to the bit; the place is that of another bit.
KINDS = {
    "inv": "inverted",
    "const0": "stuck at 0",
    "const1": "stuck at 1",
    "cnot0": "inverted where {} is 0",
    "cnot1": "inverted where {} is 1",
}
#: First line and column, last line and column, both from 1, the last one not included.
_PLACE = re.compile(r"design\.v:(\d+)\.(\d+)-(\d+)\.(\d+)")
#: A clock's pin: its mutants are no faults of logic, and show what simulators do at edges.
_CLOCK = re.compile(r"-port \w*CLK ")
#: Pins of a memory's port that Yosys takes to be constant where it reads without a clock.
_FIXED = re.compile(r"-port (?:RD_EN|RD_ARST|RD_SRST) -portbit (\d+)")
#: Characters of an expression that are quoted.
_QUOTED = 60


@dataclass(frozen=True)
class Mutant:
    """One fault, and where an engineer finds it in the Verilog.

    Attributes
    ----------
    number : int
        What the input ``mutant`` has to be.
    kind : str
        What happens to the bit.
    module : str
        Module of the Verilog that has it.
    instance : str
        Path of the module below the top, with dots; empty for the top.
    signal : str
        The bit that is faulty, with its path; what it is an operand of where it has no name.
    pin : str
        The cell's pin and bit, as ``A[3]``: ``Y`` and ``Q`` are results of an expression or of a
        register, ``D`` what a register takes, all others operands from left to right.
    line : int
        First line of the expression in the Verilog, from 1.
    text : str
        The expression.
    """

    number: int
    kind: str
    module: str
    instance: str
    signal: str
    pin: str
    line: int
    text: str

    def __str__(self) -> str:
        return (
            f"{self.instance or 'top'}, line {self.line}: {self.signal} at {self.pin[0]} of "
            f"{self.text!r} {self.kind}"
        )


@dataclass(frozen=True)
class Mutated:
    """A design with an input that chooses a mutant.

    Attributes
    ----------
    verilog, top : str
        One flat module, with the ports of the original and ``mutant``.
    mutants : list of Mutant
        Numbered from 1; some numbers stand for none.
    rtlil : str
        The same module in Yosys' own language.
    """

    verilog: str = field(repr=False)
    top: str
    mutants: list[Mutant]
    rtlil: str = field(repr=False)

    def of(self, numbers: Sequence[int]) -> list[Mutant]:
        """The mutants with these numbers."""
        by_number = {mutant.number: mutant for mutant in self.mutants}
        return [by_number[number] for number in numbers]


def mutants(verilog: str, top: str, count: int, seed: int = 0) -> Mutated:
    """Put faults into a design, spread evenly over its source and its signals.

    Parameters
    ----------
    verilog : str
        The design, as it is generated.
    count : int
        Faults; fewer where the design has no more, and where some would be of clocks.
    seed : int
        Which of them.

    Raises
    ------
    InputError
        ``count`` is below 1.
    ToolError
        Yosys cannot read the design.
    """
    if count < 1:
        raise InputError(f"the number of mutants must be at least 1, not {count}")
    script = (
        f"read_verilog design.v\nhierarchy -check -top {top}\nproc\nflatten -scopename\nprep\n"
        # Bits that nothing reads go: their mutants would be equivalent.
        "splitcells\nopt_clean\nautoname\nwrite_json sound.json\nwrite_rtlil sound.il\n"
        f"mutate -list {count} -seed {seed} -ctrl {CHOICE} {count.bit_length()} 1 -o list.ys\n"
    )
    files = {"design.v": verilog.encode()}
    out = run_yosys(script, files, ["list.ys", "sound.il", "sound.json"])
    source, module = verilog.splitlines(), json.loads(out["sound.json"])["modules"][top]
    commands = [line for line in out["list.ys"].splitlines() if _is_logic(line, module)]
    # Of a $pmux with two selects, which a fault may make 1 both, tools take different values.
    script = (
        "read_rtlil sound.il\nscript list.ys\npmuxtree\nopt_clean\nwrite_rtlil mutated.il\n"
        "write_verilog -noattr mutated.v\n"
    )
    files = {"sound.il": out["sound.il"].encode(), "list.ys": "\n".join([*commands, ""]).encode()}
    made = run_yosys(script, files, ["mutated.il", "mutated.v"])
    names = _names(module["netnames"])
    listed = [_mutant(line, source, module, names) for line in commands]
    return Mutated(made["mutated.v"], top, listed, made["mutated.il"])


def _is_logic(command: str, module: Mapping[str, Any]) -> bool:
    """Whether a mutant is a fault of logic, and leaves a design that Yosys can write."""
    if _CLOCK.search(command):
        return False
    fixed = _FIXED.search(command)
    if not fixed:
        return True
    cell = module["cells"][re.findall(r"-cell (\S+)", command)[0]]
    clocked = cell["parameters"]["RD_CLK_ENABLE"]
    return clocked[-1 - int(fixed[1])] == "1"


def _names(nets: Mapping[str, Any]) -> dict[int | str, str]:
    """Name of each bit of a design; names that Yosys made up only where there is no other."""
    found: dict[int | str, str] = {"0": "constant 0", "1": "constant 1", "x": "constant x"}
    for name in sorted(nets, key=lambda name: ("$" in name, len(name), name)):
        bits = nets[name]["bits"]
        for place, bit in enumerate(bits):
            found.setdefault(bit, f"{name}[{place}]" if len(bits) > 1 else name)
    return found


def _mutant(
    command: str, source: Sequence[str], module: Mapping[str, Any], names: Mapping[int | str, str]
) -> Mutant:
    """A mutant, from the command that makes it, and the design's netlist and names of its bits."""
    number = int(re.findall(rf"-ctrl {CHOICE} \d+ (\d+)", command)[0])
    given = dict(re.findall(r"-(\w+) (\S+)", command))
    cell = module["cells"][given["cell"]]
    # What joins several values of a case has no place of its own, but is named as what it is for.
    places = _PLACE.findall(command) or _PLACE.findall(_declared(module, given["cell"]))
    first, column, last, end = map(int, places[-1])
    # Yosys sorts the operands of some cells: a pin's bit need not be that of the expression.
    pin = [_named(names[bit]) for bit in cell["connections"][given["port"]]]
    other = pin[int(given.get("ctrlbit", 0))].split(".")[-1]
    return Mutant(
        number=number,
        kind=KINDS[given["mode"]].format(other),
        module=_module(source, first),
        instance=cell["attributes"].get("scopename", "").replace(" ", "."),
        signal=pin[int(given["portbit"])],
        pin=f"{given['port']}[{given['portbit']}]",
        line=first,
        text=_text(source[first - 1 : last], column, end),
    )


def _declared(module: Mapping[str, Any], cell: str) -> str:
    """Where the signal is declared that a cell without a place is named after."""
    return module["netnames"][cell.split("_$")[0]]["attributes"]["src"]


def _named(name: str) -> str:
    """A name that stands in the Verilog: one made up, as ``sum_$add_Y_B``, begins with it."""
    signal, *made_up = name.split("_$")
    return f"an operand of {signal}" if made_up else signal


def _module(source: Sequence[str], line: int) -> str:
    """Name of the module around a line."""
    heads = (re.match(r"module (\w+)", text) for text in reversed(source[:line]))
    return next((head[1] for head in heads if head), "")


def _text(lines: Sequence[str], column: int, end: int) -> str:
    """Part of the source, in one line."""
    lines = [*lines[:-1], lines[-1][: end - 1]]
    lines[0] = lines[0][column - 1 :]
    text = " ".join(" ".join(lines).split())
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."
