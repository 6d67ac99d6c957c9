"""A mapped netlist for a simulator: cells become primitives, by the functions in Liberty files.

Each output of a cell is a user-defined primitive, which is X only where it depends on an input that
is. Modules of expressions have more X, and Icarus takes a time for them that grows with the square
of their number.
"""

import itertools
import re
from collections.abc import Iterator

from lutcore.errors import InputError
from lutcore.gen.asic.library import Cell, Library

#: An instance as Yosys writes it: what of, its name, its pins.
_INSTANCE = re.compile(r"^  (\w+) (\S+) ?\(\n((?:    \.\w+\(.*\),?\n)+)  \);\n", re.MULTILINE)
_PIN = re.compile(r"\.(\w+)\((.*)\),?\n")
#: A flip-flop takes its input as the clock rises, is X after an edge that may have been one and
#: mattered, and else stays.
_EDGES = """    (01) 0 : ? : {0};
    (01) 1 : ? : {1};
    (0x) 0 : {0} : {0};
    (0x) 1 : {1} : {1};
    (?0) ? : ? : -;
    (1x) ? : ? : -;
    ? * : ? : -;
"""
#: What an output of a flip-flop holds -> what it becomes of an input of 0, and of 1.
_HELD = {"IQ": (0, 1), "IQN": (1, 0)}


def simulated_netlist(netlist: str, library: Library) -> str:
    """Verilog of a netlist in which primitives stand for cells, and these primitives.

    Flip-flops change a nanosecond after the clock, which then has reached all of them.

    Raises
    ------
    InputError
        A cell of the netlist is neither a gate nor a simple flip-flop.
    """
    used: set[str] = set()

    def placed(found: re.Match[str]) -> str:
        if found[1] not in library.cells:
            return found[0]
        used.add(found[1])
        cell, nets = library.cells[found[1]], dict(_PIN.findall(found[3]))
        inputs = ", ".join(nets[pin] for pin in _inputs(cell))
        delay = "#1 " if cell.flip_flop else ""
        return "".join(
            f"  {cell.name}_to_{pin} {delay}{found[2]}_{pin} ({nets[pin]}, {inputs});\n"
            for pin in cell.outputs
            if nets.get(pin)
        )

    text = _INSTANCE.sub(placed, netlist)
    return text + "".join(_primitives(library.cells[name]) for name in sorted(used))


def instances(netlist: str) -> set[str]:
    """What a netlist has instances of."""
    return {found[1] for found in _INSTANCE.finditer(netlist)}


def _inputs(cell: Cell) -> tuple[str, ...]:
    """Inputs of the primitives of a cell; of a flip-flop its clock and what it takes."""
    if cell.tables:
        return cell.inputs
    state = dict(cell.state)
    found = state.get("clocked_on", ""), state.get("next_state", "")
    plain = set(found) <= set(cell.inputs) and set(cell.outputs.values()) <= _HELD.keys()
    if not cell.flip_flop or not plain:
        raise InputError(f"cell {cell.name} cannot be simulated: neither gate nor plain flip-flop")
    return found


def _primitives(cell: Cell) -> str:
    inputs = ", ".join(_inputs(cell))
    found = []
    for pin, function in cell.outputs.items():
        if cell.tables:
            table = cell.tables[pin]
            rows = "".join(f"    {' '.join(c)} : {v};\n" for c, v in cubes(cell.inputs, table))
        else:
            rows = _EDGES.format(*_HELD[function])
        stored = "" if cell.tables else f"  reg {pin};\n"
        found.append(
            f"primitive {cell.name}_to_{pin}({pin}, {inputs});\n  output {pin};\n{stored}"
            f"  input {inputs};\n  table\n{rows}  endtable\nendprimitive\n"
        )
    return "".join(found)


def cubes(inputs: tuple[str, ...], table: int) -> Iterator[tuple[str, int]]:
    """Inputs, ``?`` for any, for which a function is the same whatever these are; and its value.

    ``table`` is one of :func:`lutcore.gen.asic.functions.truth_table`.
    """
    found: list[str] = []
    # Those with most of ? first, so that what they cover is known.
    for cube in sorted(itertools.product("?01", repeat=len(inputs)), key=_known):
        covered = any(all(a in ("?", b) for a, b in zip(f, cube, strict=True)) for f in found)
        values = {table >> place & 1 for place in _places(cube)}
        if len(values) == 1 and not covered:
            found.append("".join(cube))
            yield found[-1], values.pop()


def _known(cube: tuple[str, ...]) -> int:
    return len(cube) - cube.count("?")


def _places(cube: tuple[str, ...]) -> Iterator[int]:
    """Rows of a truth table that a cube covers; its first input is bit 0 of their numbers."""
    for bits in itertools.product(*("01" if bit == "?" else bit for bit in cube)):
        yield sum(int(bit) << place for place, bit in enumerate(bits))
