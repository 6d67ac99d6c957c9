"""Verilog of library cells, each a module of its name and pins, by the functions in Liberty files.

A function is a user-defined primitive, which is X only where it depends on an input that is.
Expressions have more X.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from lutcore.errors import InputError
from lutcore.gen.asic.functions import truth_table
from lutcore.gen.asic.library import Cell, Library

#: An instance as Yosys writes it: what of.
_INSTANCE = re.compile(r"^  (\w+) \S+ ?\(\n(?:    \.\w+\(.*\),?\n)+  \);\n", re.MULTILINE)
#: What a flip-flop does while nothing clears or presets it: input and state for each edge.
_EDGES = (
    ("(01) 0", "?", "0"),
    ("(01) 1", "?", "1"),
    ("(0x) 0", "0", "0"),
    ("(0x) 1", "1", "1"),
    ("(?0) ?", "?", "-"),
    ("(1x) ?", "?", "-"),
    ("? *", "?", "-"),
)
#: What clear and preset, both active high, do: they, the state before, and after.
_FORCED = (
    ("1 0", "?", "0"),
    ("0 1", "?", "1"),
    ("1 1", "?", "x"),
    ("x 0", "0", "0"),
    ("0 x", "1", "1"),
    ("(10) 0", "?", "-"),
    ("0 (10)", "?", "-"),
)


def cell_modules(netlist: str, library: Library) -> str:
    """Verilog of the cells that a netlist has instances of.

    Outputs of flip-flops change a unit of time after the clock, which has reached all of them then.

    Raises
    ------
    InputError
        One of them is neither a gate nor a flip-flop, or does what is not known.
    """
    names = set(_INSTANCE.findall(netlist)) & library.cells.keys()
    return "\n".join(_module(library.cells[name]) for name in sorted(names))


def _module(cell: Cell) -> str:
    ports = [*(f"input {pin}" for pin in cell.inputs), *(f"output {pin}" for pin in cell.outputs)]
    try:
        lines, primitives = (_flip_flop if cell.flip_flop else _gate)(cell)
    except ValueError as error:
        raise InputError(f"cell {cell.name} cannot be simulated: {error}") from error
    body = "".join(f"  {line}\n" for line in lines)
    head = f"module {cell.name} ({', '.join(ports)});\n"
    return "".join([f"`celldefine\n{head}{body}endmodule\n`endcelldefine\n", *primitives])


def _gate(cell: Cell) -> tuple[list[str], list[str]]:
    floats = any(group.text("three_state") for group in cell.pins.values())
    if cell.storage or floats or not any(cell.outputs.values()):
        raise ValueError("it is neither a gate nor a flip-flop")
    nets = {pin: pin for pin in cell.inputs}
    found = [_function(cell, pin, text, nets) for pin, text in cell.outputs.items()]
    return [line for line, _ in found], [primitive for _, primitive in found]


def _function(cell: Cell, net: str, text: str, nets: Mapping[str, str]) -> tuple[str, str]:
    """An instance that drives a net by a function of what others are called, and its primitive."""
    inputs = tuple(name for name in nets if re.search(rf"\b{re.escape(name)}\b", text))
    name, table = f"{cell.name}_to_{net}", truth_table(text, inputs)
    if not inputs:
        return f"assign {net} = 1'b{table};", ""
    rows = [f"{' '.join(cube)} : {value}" for cube, value in cubes(inputs, table)]
    wired = [nets[of] for of in inputs]
    return f"{name} to_{net} ({', '.join((net, *wired))});", _primitive(name, net, wired, rows)


def _primitive(
    name: str, output: str, inputs: Sequence[str], rows: Sequence[str], stored: str = ""
) -> str:
    listed = ", ".join(inputs)
    table = "".join(f"    {row};\n" for row in rows)
    return (
        f"\nprimitive {name} ({output}, {listed});\n  output {output};\n{stored}"
        f"  input {listed};\n  table\n{table}  endtable\nendprimitive\n"
    )


def _beside(name: str, pins: Collection[str]) -> str:
    """Name of a net that is none of the pins."""
    while name in pins:
        name += "_"
    return name


def _flip_flop(cell: Cell) -> tuple[list[str], list[str]]:
    (group,) = cell.group.of("ff")
    names, told, pins = group.names, dict(cell.state), cell.pins.keys()
    if not {"clocked_on", "next_state"} <= told.keys():
        raise ValueError("nothing says what it stores, and when")
    roles = {"clocked_on": "clock", "next_state": "next", "clear": "clear", "preset": "preset"}
    roles = {role: _beside(net, pins) for role, net in roles.items() if role in told}
    held, name = _beside("held", pins), f"{cell.name}_held"
    nets = {pin: pin for pin in cell.inputs} | {names[0]: held}
    found = [_function(cell, net, told[role], nets) for role, net in roles.items()]
    inside = list(roles.values())
    stored = _primitive(name, held, inside, list(_rows(roles)), f"  reg {held};\n")
    lines = [f"wire {', '.join((held, *inside))};", *(line for line, _ in found)]
    lines.append(f"{name} to_{held} ({', '.join((held, *inside))});")
    for pin, text in cell.outputs.items():
        table = truth_table(text, names)
        shown = table >> 2 & 1, table >> 1 & 1  # of a state of 0, whose complement is 1; and of 1
        if shown not in ((0, 1), (1, 0)):
            raise ValueError(f"output {pin} is neither its state nor the opposite")
        lines.append(f"{'buf' if shown[1] else 'not'} #1 to_{pin} ({pin}, {held});")
    return lines, [*(primitive for _, primitive in found), stored]


def _rows(roles: Collection[str]) -> Iterator[str]:
    """Table of a flip-flop's state, by what it has."""
    has = [role in roles for role in ("clear", "preset")]
    for edge, before, after in _EDGES:
        yield " ".join([edge, *("0" for _ in range(sum(has)))]) + f" : {before} : {after}"
    for words, before, after in _FORCED:
        parts = [word for word, there in zip(words.split(), has, strict=True) if there]
        absent = [word for word, there in zip(words.split(), has, strict=True) if not there]
        if parts and set(parts) != {"0"} and set(absent) <= {"0"}:
            yield f"? ? {' '.join(parts)} : {before} : {after}"


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
