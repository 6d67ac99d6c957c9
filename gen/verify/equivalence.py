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

from lutcore.errors import OutOfTime, ToolError
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.liveness import chooser_of, is_passed, live_bits
from lutcore.gen.verify.mutation import CHOICE, Mutated

#: What Yosys says of a proof, and what that means.
_VERDICTS = {"no model found: SUCCESS": True, "model found: FAIL": False}

_ALL = 1 << 30
#: Cells after a fault within which a difference is looked for: nearby, a proof is quick.
_DEPTHS = (3, 8, _ALL)
#: Cells that one run of Yosys takes, unless a mutant has more.
_BATCH = 2000

_Json = dict[str, Any]


def equivalent(
    mutated: Mutated, numbers: Sequence[int], seconds: float = 20
) -> dict[int, bool | None]:
    """Whether mutants take the same next state and give the same outputs as the sound design.

    True is a proof. False: a state and inputs show a difference; the state may be one that is never
    reached, or the registers that differ may be of no consequence. None: no answer within
    ``seconds``, of which each mutant has so many for each attempt.

    Raises
    ------
    ToolError
        The design has cells that cannot be cut.
    """
    cut = _Cut.of(mutated)
    found: dict[int, bool | None] = dict.fromkeys(numbers, False)
    for depth in _DEPTHS:
        claims = {
            number: _claim(cut, number, depth) for number in numbers if found[number] is False
        }
        found |= {number: True for number, claim in claims.items() if claim is None}
        for batch in _batches(claim for claim in claims.values() if claim):
            found |= _judge(batch, seconds * len(batch))
    return found


@dataclass(frozen=True)
class _Cut:
    """A flat design without its registers.

    ``chosen`` has the net of each mutant that says that it is the one; ``drivers`` and ``readers``
    the cells of every net while none is; ``faulty`` what such a net changes at once, and shows;
    ``live`` the nets that can ever show at an output of the whole design.
    """

    ports: _Json
    cells: _Json
    chosen: dict[int, int]
    drivers: dict[int, str]
    readers: dict[int, list[str]]
    faulty: dict[int, set[int]]
    live: set[int]

    @classmethod
    def of(cls, mutated: Mutated) -> "_Cut":
        script = "read_rtlil mutated.il\nmemory_map\nopt_clean\ndffunmap\nwrite_json mutated.json\n"
        files = {"mutated.il": mutated.rtlil.encode()}
        design = json.loads(run_yosys(script, files, ["mutated.json"])["mutated.json"])
        module = design["modules"][mutated.top]
        ports, cells = module["ports"], module["cells"]
        chosen = _choices(cells, ports.pop(CHOICE)["bits"])
        nobody = set(chosen.values())
        live = live_bits(ports, cells, nobody)
        registers = [name for name, cell in cells.items() if "CLK" in cell["connections"]]
        for place, name in enumerate(registers):
            cell = cells.pop(name)
            if cell["type"] != "$dff":
                raise ToolError(f"equivalence cannot cut a cell {cell['type']}")
            pins = cell["connections"]
            ports[f"state_{place}"] = {"direction": "input", "bits": pins["Q"]}
            # The clock, too: a mutant may have another one.
            ports[f"next_{place}"] = {"direction": "output", "bits": pins["D"] + pins["CLK"]}
        drivers, readers, faulty = {}, defaultdict(list), defaultdict(set)
        for name, cell in cells.items():
            drivers |= dict.fromkeys(_nets(cell, "output"), name)
            if (chooser := chooser_of(cell)) in nobody:
                faulty[chooser] |= _nets(cell, "output") & live
            for pin, bits in cell["connections"].items():
                for net in bits if is_passed(cell, pin, nobody) else ():
                    readers[net].append(name)
        if nobody & readers.keys():
            raise ToolError("equivalence knows only mutants that a multiplexer chooses")
        return cls(ports, cells, chosen, drivers, readers, faulty, live)

    def _behind(self, net: int) -> Iterator[int]:
        """Nets that are made of a net, and show."""
        for name in self.readers.get(net, ()):
            yield from _nets(self.cells[name], "output") & self.live

    def _before(self, net: int) -> Iterable[int]:
        """Nets that a net is made of."""
        return _nets(self.cells[self.drivers[net]], "input") if net in self.drivers else ()

    def part(self, number: int, depth: int) -> tuple[_Json, _Json]:
        """What can differ first, as outputs, with the inputs; and cells between them.

        Outputs are what ``depth`` cells after the fault make of it, and those of the design before;
        not what can never show.
        """
        start = self.faulty.get(self.chosen.get(number, -1), set())
        near, far = _reached(start, self._behind, depth)
        ports = {name: port for name, port in self.ports.items() if port["direction"] == "input"}
        of_design = [port["bits"] for port in self.ports.values() if port["direction"] == "output"]
        wanted = sorted(near.intersection(itertools.chain.from_iterable(of_design)) | far)
        if not wanted:
            return {}, {}
        ports["differing"] = {"direction": "output", "bits": wanted}
        needed, _ = _reached(wanted, self._before)
        names = {self.drivers[net] for net in needed if net in self.drivers}
        return ports, {name: self.cells[name] for name in sorted(names)}


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


def _reached(
    start: Iterable[int], next_ones: Callable[[int], Iterable[int]], depth: int = _ALL
) -> tuple[set[int], set[int]]:
    """What can be reached from some nets in so many steps, and these; and what with the last."""
    met = last = set(start)
    while last and depth:
        last = set(itertools.chain.from_iterable(map(next_ones, last))) - met
        met = met | last
        depth -= 1
    return met, last


def _module(ports: _Json, cells: _Json, constants: Mapping[Any, str]) -> _Json:
    """A module of ports and cells, in which some nets are constant."""
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


@dataclass(frozen=True)
class _Claim:
    """That two modules have the same outputs for all inputs, about a mutant."""

    number: int
    sound: _Json
    broken: _Json


def _claim(cut: _Cut, number: int, depth: int) -> _Claim | None:
    """What is to prove, up to so many cells after the fault; None where there is no output."""
    ports, cells = cut.part(number, depth)
    if not ports:
        return None
    none = dict.fromkeys(cut.chosen.values(), "0")
    broken = _module(ports, cells, none | {cut.chosen[number]: "1"})
    return _Claim(number, _module(ports, cells, none), broken)


def _batches(claims: Iterable[_Claim]) -> Iterator[list[_Claim]]:
    """Claims that one run of Yosys takes: small ones share it."""
    batch, size = [], 0
    for claim in claims:
        cells = len(claim.sound["cells"])
        if batch and size + cells > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(claim)
        size += cells
    if batch:
        yield batch


def _judge(claims: Sequence[_Claim], seconds: float) -> dict[int, bool | None]:
    """Whether each claim is right; all have the time together, and then each its part."""
    modules, making, proving = {}, "", ""
    for claim in claims:
        sound, broken, both = (f"{name}_{claim.number}" for name in ("sound", "broken", "both"))
        modules |= {sound: claim.sound, broken: claim.broken}
        making += f"miter -equiv -flatten {sound} {broken} {both}\ndelete {sound} {broken}\n"
        proving += f"tee -q -o {claim.number}.txt sat -prove trigger 0 {both}\n"
    # What lies before the fault is the same in both, and becomes one.
    script = f"read_json all.json\n{making}opt_expr\nopt_merge\nopt_clean\n{proving}"
    files = {"all.json": json.dumps({"modules": modules}).encode()}
    names = {claim.number: f"{claim.number}.txt" for claim in claims}
    try:
        said = run_yosys(script, files, list(names.values()), limit=seconds)
    except OutOfTime:
        if len(claims) == 1:
            return dict.fromkeys(names)
        alone = (_judge([claim], seconds / len(claims)) for claim in claims)
        return {number: right for one in alone for number, right in one.items()}
    return {
        number: next(means for words, means in _VERDICTS.items() if words in said[name])
        for number, name in names.items()
    }
