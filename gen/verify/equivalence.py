"""Which mutants do what the sound design does, by SAT.

The registers are cut: each is an input, what it takes an output. Mutant and sound design share the
inputs; where no output can differ, no state and no input ever shows a difference.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lutcore.errors import ToolError
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.mutation import CHOICE, Mutated

#: What Yosys says of a proof, and what that means.
_VERDICTS = {"no model found: SUCCESS": True, "model found: FAIL": False}

_Json = dict[str, Any]


def equivalent(
    mutated: Mutated, numbers: Sequence[int], seconds: float = 20
) -> dict[int, bool | None]:
    """Whether mutants take the same next state and give the same outputs as the sound design.

    True is a proof. False: a state and inputs show a difference; the state may be one that is never
    reached, or the registers that differ may be of no consequence. None: no answer within
    ``seconds``.

    Raises
    ------
    ToolError
        The design has cells that cannot be cut.
    """
    cut = _Cut.of(mutated)
    return {number: _same(cut, number, seconds) for number in numbers}


@dataclass(frozen=True)
class _Cut:
    """A flat design without its registers.

    ``chosen`` has the net of each mutant that says that it is the one; ``drivers`` and ``readers``
    the cells of every net.
    """

    ports: _Json
    cells: _Json
    chosen: dict[int, int]
    drivers: dict[int, str]
    readers: dict[int, list[str]]

    @classmethod
    def of(cls, mutated: Mutated) -> "_Cut":
        script = "read_rtlil mutated.il\nmemory_map\nopt_clean\ndffunmap\nwrite_json mutated.json\n"
        files = {"mutated.il": mutated.rtlil.encode()}
        design = json.loads(run_yosys(script, files, ["mutated.json"])["mutated.json"])
        module = design["modules"][mutated.top]
        ports, cells = module["ports"], module["cells"]
        registers = [name for name, cell in cells.items() if "CLK" in cell["connections"]]
        for place, name in enumerate(registers):
            cell = cells.pop(name)
            if cell["type"] != "$dff":
                raise ToolError(f"equivalence cannot cut a cell {cell['type']}")
            pins = cell["connections"]
            ports[f"state_{place}"] = {"direction": "input", "bits": pins["Q"]}
            ports[f"next_{place}"] = {"direction": "output", "bits": pins["D"]}
        chosen = _choices(cells, ports.pop(CHOICE)["bits"])
        drivers, readers = {}, defaultdict(list)
        for name, cell in cells.items():
            drivers |= dict.fromkeys(_nets(cell, "output"), name)
            for net in _nets(cell, "input"):
                readers[net].append(name)
        return cls(ports, cells, chosen, drivers, readers)

    def behind(self, net: int) -> set[int]:
        """All nets that a net has an influence on."""

        def next_ones(net: int) -> Iterator[int]:
            for name in self.readers.get(net, ()):
                yield from _nets(self.cells[name], "output")

        return _reached([net], next_ones)

    def before(self, nets: Iterable[int]) -> set[int]:
        """All nets that have an influence on some."""

        def next_ones(net: int) -> Iterable[int]:
            return _nets(self.cells[self.drivers[net]], "input") if net in self.drivers else ()

        return _reached(nets, next_ones)

    def part(self, number: int) -> tuple[_Json, _Json]:
        """Outputs that a mutant has an influence on, and inputs; and cells between them."""
        touched = self.behind(self.chosen[number]) if number in self.chosen else set()
        ports, wanted = {}, set()
        for name, port in self.ports.items():
            if port["direction"] == "input":
                ports[name] = port
            elif bits := [bit for bit in port["bits"] if bit in touched]:
                ports[name] = {"direction": "output", "bits": bits}
                wanted.update(bits)
        needed = self.before(wanted)
        names = {self.drivers[net] for net in needed if net in self.drivers}
        return (ports if wanted else {}), {name: self.cells[name] for name in sorted(names)}


def _choices(cells: _Json, bits: list[int]) -> dict[int, int]:
    """Take the comparisons with the number of the mutant out of a design; the net of each."""
    found = {}
    for name, cell in list(cells.items()):
        pins = cell["connections"]
        if cell["type"] == "$eq" and bits in (pins["A"], pins["B"]):
            other = pins["B" if pins["A"] == bits else "A"]
            (found[int("".join(map(str, reversed(other))), 2)],) = pins["Y"]
            del cells[name]
    return found


def _nets(cell: _Json, direction: str) -> set[int]:
    """Nets at a cell's inputs or outputs."""
    pins, directions = cell["connections"], cell["port_directions"]
    bits = itertools.chain.from_iterable(pins[pin] for pin in pins if directions[pin] == direction)
    return {bit for bit in bits if isinstance(bit, int)}


def _reached(start: Iterable[int], next_ones: Callable[[int], Iterable[int]]) -> set[int]:
    """All that can be reached from some nets, and these."""
    met = set(start)
    open_ = list(met)
    while open_:
        found = set(next_ones(open_.pop())) - met
        met |= found
        open_ += found
    return met


def _module(part: tuple[_Json, _Json], constants: Mapping[int | str, str]) -> _Json:
    """A module of ports and cells, in which some nets are constant."""
    ports, cells = part
    wired = {
        name: cell
        | {
            "connections": {
                pin: [constants.get(bit, bit) for bit in bits]
                for pin, bits in cell["connections"].items()
            }
        }
        for name, cell in cells.items()
    }
    return {"ports": ports, "cells": wired}


def _same(cut: _Cut, number: int, seconds: float) -> bool | None:
    """Whether one mutant is equivalent."""
    part = cut.part(number)
    if not part[0]:
        return True
    none = dict.fromkeys(cut.chosen.values(), "0")
    modules = {
        "sound": _module(part, none),
        "broken": _module(part, none | {cut.chosen[number]: "1"}),
    }
    script = (
        "read_json both.json\nmiter -equiv -flatten sound broken both\nhierarchy -top both\n"
        # What lies before the fault is the same in both, and becomes one.
        "opt_expr\nopt_merge\nopt_clean\n"
        "tee -q -o verdict.txt sat -prove trigger 0 both\n"
    )
    files = {"both.json": json.dumps({"modules": modules}).encode()}
    try:
        said = run_yosys(script, files, ["verdict.txt"], limit=seconds)["verdict.txt"]
    except ToolError as error:
        if "given up" not in str(error):
            raise
        return None
    return next(means for words, means in _VERDICTS.items() if words in said)
