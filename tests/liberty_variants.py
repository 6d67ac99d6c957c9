"""Liberty libraries written in other ways that mean the same: a seed chooses which.

Statements come from a reader that knows the notation of this project's own libraries only, so that
nothing in it is of the reader that is tried.
"""

import copy
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from lutcore.gen.asic.liberty import DEMO_CELLS

_STATEMENT = re.compile(r'(\})|(\w+)\s*(?:\(([^()]*)\)\s*(\{)?|:\s*("[^"]*"|[^;}\n]*))')
_WORD = re.compile(r'"[^"]*"|[^\s,\\]+')


@dataclass
class Node:
    """``name : words``, ``name (words)`` or ``name (words) { body }``, as ``form`` says."""

    form: str
    name: str
    words: list[str]
    body: list["Node"] = field(default_factory=list)

    def of(self, *names: str) -> Iterator["Node"]:
        return (node for node in self.body if node.name in names)

    def word(self, name: str) -> str:
        """An attribute's first word without quotes, empty where it is missing."""
        return next((node.words[0].strip('"') for node in self.of(name)), "")


def read(text: str) -> Node:
    """The library of a text in this project's own notation."""
    stack = [Node("group", "", [])]
    for match in _STATEMENT.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
        end, name, arguments, opens, value = match.groups()
        if end:
            stack.pop()
            continue
        form = "simple" if value is not None else "group" if opens else "complex"
        node = Node(form, name, [value.strip()] if value is not None else _WORD.findall(arguments))
        stack[-1].body.append(node)
        if opens:
            stack.append(node)
    (library,) = stack[0].body
    return library


# What is said elsewhere --------------------------------------------------------------------------


def keep(library: Node, names: set[str]) -> Node:
    """The library with these of its cells."""
    body = [node for node in library.body if node.name != "cell" or _bare(node) in names]
    return Node("group", library.name, library.words, copy.deepcopy(body))


def _bare(node: Node) -> str:
    return node.words[0].strip('"') if node.words else ""


def _alike(cell: Node) -> list[list[Node]]:
    """Pins of a cell that say the same, where there are several."""
    found: dict[str, list[Node]] = {}
    for pin in cell.of("pin"):
        found.setdefault(repr(pin.body), []).append(pin)
    return [pins for pins in found.values() if len(pins) > 1]


def list_pins(cell: Node, rng: random.Random) -> None:
    """Pins that say the same become one group."""
    for pins in _alike(cell):
        pins[0].words = [pin.words[0] for pin in pins]
        cell.body = [node for node in cell.body if not any(node is pin for pin in pins[1:])]


def bundle_pins(cell: Node, rng: random.Random) -> None:
    """Pins that say the same become a bundle, whose load they overrule, some with all they say."""
    for pins in _alike(cell):
        shared = [node for node in pins[0].body if node.name != "capacitance"]
        bundle = Node("group", "bundle", ["".join(map(_bare, pins))], copy.deepcopy(shared))
        bundle.body.append(Node("complex", "members", [pin.words[0] for pin in pins]))
        bundle.body.append(Node("simple", "capacitance", ["99"]))
        for pin in pins:
            told = "" if rng.random() < 0.5 else "capacitance"
            own = [node for node in pin.body if node.form == "simple" and told in node.name]
            bundle.body.append(Node("group", "pin", pin.words, own))
        _replace(cell, pins, bundle)


def bus_pins(library: Node, cell: Node, rng: random.Random) -> None:
    """Pins ``D[1]``, ``D[0]`` become a bus, some of them by a range, of a type told somewhere."""
    pins = [pin for pin in cell.of("pin") if "[" in pin.words[0]]
    bits = [int(re.findall(r"\d+", _bare(pin))[0]) for pin in pins]
    name, first, last = _bare(pins[0]).partition("[")[0], bits[0], bits[-1]
    attributes = {
        **{"base_type": "array", "data_type": "bit", "bit_width": str(len(pins))},
        **{"bit_from": str(first), "bit_to": str(last)},
    }
    body = [Node("simple", attribute, [value]) for attribute, value in attributes.items()]
    rng.choice([library, cell]).body.append(Node("group", "type", [f"type_{name}"], body))
    shared = copy.deepcopy(pins[0].body)
    bus = Node("group", "bus", [name], [Node("simple", "bus_type", [f"type_{name}"]), *shared])
    if rng.random() < 0.5:
        bus.body.append(Node("group", "pin", [f"{name}[{first}:{last}]"], copy.deepcopy(shared)))
    _replace(cell, pins, bus)


def _replace(cell: Node, pins: list[Node], node: Node) -> None:
    place = next(i for i, found in enumerate(cell.body) if found is pins[0])
    cell.body.insert(place, node)
    cell.body = [node for node in cell.body if not any(node is pin for pin in pins)]


def shuffle(node: Node, rng: random.Random) -> None:
    """Statements in any order, at every depth, but for attributes of which the last counts."""
    names = [inner.name for inner in node.body if inner.form == "simple"]
    if len(names) == len(set(names)):
        rng.shuffle(node.body)
    for inner in node.body:
        shuffle(inner, rng)


# Units -------------------------------------------------------------------------------------------

#: Unit -> how many of it are 1 ns, 1 fF, 1 V, 1 nW.
TIMES = {"1ns": "1", "100ps": "10", "10ps": "100", "1ps": "1000", "1PS": "1000"}
LOADS = {
    **{("1", "ff"): "1", ("1", "pf"): "0.001", ("10", "fF"): "0.1"},
    ("1.0000000000", '"pf"'): "0.001",
}
VOLTS = {"1V": "1", "100mV": "10", "1mV": "1000"}
LEAKS = {"1nW": "1", "1pW": "1000", "10uW": "0.0001", "1mW": "0.000001"}
_TIME = tuple(f"{e}_{what}" for e in ("rise", "fall") for what in ("transition", "constraint"))
_TIME = (*_TIME, "cell_rise", "cell_fall")
_ENERGY = ("rise_power", "fall_power", "power")
_LOAD = ("capacitance", "max_capacitance", "rise_capacitance", "fall_capacitance")


class Measures:
    """Writes the numbers of a library that is in ns, fF, V and nW in other units."""

    def __init__(self, time: str, load: tuple[str, str], volts: str, leak: str):
        self._units = {"time_unit": time, "voltage_unit": volts, "leakage_power_unit": leak}
        self._load_unit = load
        self._time, self._load = Decimal(TIMES[time]), Decimal(LOADS[load])
        self._volts, self._leak = Decimal(VOLTS[volts]), Decimal(LEAKS[leak])
        self._variables: dict[tuple[str, str], str] = {}

    @classmethod
    def any(cls, rng: random.Random) -> "Measures":
        choices: list[list[Any]] = [list(units) for units in (TIMES, LOADS, VOLTS, LEAKS)]
        return cls(*map(rng.choice, choices))

    def convert(self, library: Node) -> None:
        for template in library.body:
            if template.name.endswith("_template"):
                for axis in "123":
                    self._variables[_bare(template), axis] = template.word(f"variable_{axis}")
        self._group(library, None)

    def _group(self, group: Node, inside: Decimal | None) -> None:
        """``inside``: what the values of the group's table are multiplied by."""
        for node in group.body:
            if node.name in self._units:
                node.words = [f'"{self._units[node.name]}"']
            elif node.name == "capacitive_load_unit":
                node.words = list(self._load_unit)
            elif node.name.startswith("index_"):
                self._scale(
                    node, self._axis(self._variables.get((_bare(group), node.name[-1]), ""))
                )
            elif node.name == "values" and inside is not None:
                self._scale(node, inside)
            elif node.form == "simple":
                self._scale(node, self._attribute(group.name, node.name))
            self._group(node, self._table(node.name))

    def _table(self, kind: str) -> Decimal | None:
        energy = self._load * self._volts**2
        return self._time if kind in _TIME else energy if kind in _ENERGY else None

    def _axis(self, variable: str) -> Decimal:
        if variable.endswith(("_transition", "_time")):
            return self._time
        return self._load if variable.endswith("_capacitance") else Decimal(1)

    def _attribute(self, kind: str, name: str) -> Decimal:
        if name in _LOAD:
            return self._load
        if name in ("nom_voltage", "voltage"):
            return self._volts
        leaks = name == "cell_leakage_power" or (kind, name) == ("leakage_power", "value")
        return self._leak if leaks else Decimal(1)

    @staticmethod
    def _scale(node: Node, factor: Decimal) -> None:
        if factor != 1:
            number = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
            node.words = [
                re.sub(number, lambda found: f"{Decimal(found[0]) * factor:f}", word)
                for word in node.words
            ]


# Notation ----------------------------------------------------------------------------------------

#: What may stand between any two tokens.
_GAPS = (" ", "\n", "\t ", "\r\n", " \\\n ", ' /* } { " ; */ ', ' // } { " ( \n', "\n\n  ")
#: What others can read: between statements, and in them.
_TAME, _TAMEST = (" ", "\n", "\t", "\n/* } { ; */\n"), (" ", "\t", "")


class Writer:
    """Writes a library with any white space, comments, quotes and semicolons.

    Parameters
    ----------
    rng : random.Random
    tame : bool
        Only as readers can take it that know no ``//``, want every semicolon, and end an attribute
        with its line.
    """

    def __init__(self, rng: random.Random, tame: bool = False):
        self._rng = rng
        self._tame = tame

    def text(self, library: Node) -> str:
        return f"{self._gap()}{self._statement(library)}{self._gap()}"

    def _gap(self) -> str:
        """Between statements."""
        return self._rng.choice(_TAME) if self._tame else self._inside()

    def _inside(self) -> str:
        """In a statement."""
        if self._tame:
            return self._rng.choice(_TAMEST)
        return self._rng.choice(_GAPS) if self._rng.random() < 0.3 else ""

    def _statement(self, node: Node) -> str:
        gap = self._inside
        if node.form == "simple":
            words = gap().join(map(self._quoted, node.words))
            return f"{node.name}{gap()}:{gap()}{words}{self._end()}"
        comma = f"{gap()},{gap()}"
        arguments = comma.join(self._quoted(self._broken(word)) for word in node.words)
        head = f"{node.name}{gap()}({gap()}{arguments}{gap()})"
        if node.form == "complex":
            return f"{head}{self._end()}"
        body = "".join(f"{self._statement(inner)}{self._gap()}" for inner in node.body)
        stray = "" if self._tame else self._rng.choice(("", ";"))
        return f"{head}{gap()}{{{self._gap()}{body}}}{stray}"

    def _end(self) -> str:
        """A semicolon, which may be missing where a line ends."""
        if self._tame or self._rng.random() < 0.8:
            return f"{self._inside()};"
        return "\n"

    def _quoted(self, word: str) -> str:
        """A word with or without quotes, where both mean the same."""
        bare = word.strip('"')
        if re.fullmatch(r"[A-Za-z_]\w*", bare) and self._rng.random() < 0.5:
            return bare if word.startswith('"') else f'"{word}"'
        return word

    def _broken(self, word: str) -> str:
        """A string of numbers that goes on in the next line."""
        if word.startswith('"') and "," in word and self._rng.random() < 0.2:
            return word.replace(",", ", \\\n", 1)
        return word


def in_units(text: str, *units: Any) -> str:
    """A library in ns, fF, V and nW written in the units that :class:`Measures` is given."""
    library = read(text)
    Measures(*units).convert(library)
    return Writer(random.Random(0), tame=True).text(library)


def variant(library: Node, seed: int, tame: bool = False) -> str:
    """The library, written anew; with ``tame`` the same statements as others can read them."""
    rng = random.Random(seed)
    library = copy.deepcopy(library)
    Measures.any(rng).convert(library)
    for cell in list(library.of("cell")):
        if any("[" in pin.words[0] for pin in cell.of("pin")) and rng.random() < 0.5:
            bus_pins(library, cell, rng)
        else:
            rng.choice([list_pins, bundle_pins, lambda *_: None])(cell, rng)
    shuffle(library, rng)
    return Writer(random.Random(seed), tame).text(library)


# What is written anew ----------------------------------------------------------------------------

#: Cells besides: clear and preset, and pins that a bus can be made of.
_MORE = """
  cell (DFFRS_X1) {
    area : 16; cell_leakage_power : 160;
    ff (IQ, IQN) {
      clocked_on : "CK"; next_state : "D"; clear : "!RN"; preset : "SN'";
      clear_preset_var1 : L; clear_preset_var2 : H;
    }
    pin (CK) { direction : input; clock : true; capacitance : 2; }
    pin (D) { direction : input; capacitance : 2.5; }
    pin (RN) { direction : input; rise_capacitance : 3; fall_capacitance : 4; capacitance : 3.5; }
    pin (SN) { direction : input; capacitance : 2.5; }
    pin (Q) { direction : output; function : "IQ"; max_capacitance : 32;
      internal_power () { related_pin : "CK"; power (scalar) { values ("7.5"); } } }
    leakage_power () { when : "D"; value : 11; }
  }
  cell (WORD_X1) {
    area : 30;
    pin (D[2]) { direction : input; capacitance : 1.25; }
    pin (D[1]) { direction : input; capacitance : 1.25; }
    pin (D[0]) { direction : input; capacitance : 1.25; }
    pin (Y) { direction : output; function : "D[0] & D[1] & D[2]"; max_capacitance : 16; }
  }
}
"""
TEXT = DEMO_CELLS.read_text().rstrip().removesuffix("}") + _MORE
TEXT = TEXT.replace("fanout_length (1, 1);", "fanout_length (1, 1); fanout_length (3, 3.5);")
NEEDED = {"INV_X1", "BUF_X1", "NAND2_X1", "DFF_X1", "DFFRS_X1", "WORD_X1"}
#: Of the others as many a variant, so that it is quick.
SOME = 3
LIBRARY = read(TEXT)
OTHERS = sorted({node.words[0] for node in LIBRARY.of("cell")} - NEEDED)
SEEDS = range(200)


def chosen(seed: int) -> Node:
    """The library with the cells of a variant."""
    names = random.Random(seed).sample(OTHERS, SOME)
    return keep(LIBRARY, NEEDED | set(names))
