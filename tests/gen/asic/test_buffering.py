"""Inverted outputs of flip-flops: fewer and smaller gates, of the same function."""

import itertools
from collections import Counter
from copy import deepcopy

import pytest

from lutcore.gen.asic.buffering import use_inverted_outputs
from lutcore.gen.asic.library import parse
from lutcore.gen.tools.netlist import Bit, Json, new_cell

_GATES = {
    "INV": ("A", "!A", 1),
    "BUF": ("A", "A", 2),
    "NAND2": ("AB", "!(A*B)", 2),
    "NOR2": ("AB", "!(A+B)", 2),
    "AND2": ("AB", "A*B", 3),
    "OR2": ("AB", "A+B", 3),
    "AOI22": ("ABCD", "!(A*B+C*D)", 4),
    "OAI22": ("CADB", "!((A+C)*(B+D))", 4),  # pins in another order than pairs
}


def _library(**gates):
    text = "library (small) {"
    for name, (pins, function, area) in gates.items():
        text += f"cell ({name}) {{ area : {area};"
        text += "".join(f" pin ({pin}) {{ direction : input; }}" for pin in pins)
        text += f' pin (Z) {{ direction : output; function : "{function}"; }} }}'
    text += (
        'cell (DFF) { area : 5; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }'
        " pin (CK) { direction : input; } pin (D) { direction : input; }"
        ' pin (Q) { direction : output; function : "IQ"; }'
        ' pin (QN) { direction : output; function : "IQN"; } } }'
    )
    return parse(text.encode(), "small")


LIBRARY = _library(**_GATES)
STORED = (11, 12, 13, 14)


def _module(output: int, **cells: Json) -> Json:
    stored = {f"f{q}": new_cell("DFF", {"CK": 2, "D": 3}, {"Q": q}) for q in STORED}
    ports = {
        "i": {"direction": "input", "bits": [2, 3]},
        "o": {"direction": "output", "bits": [output]},
    }
    return {"ports": ports, "netnames": {}, "cells": stored | cells}


def _values(module: Json, state: tuple[int, ...]) -> Bit:
    """The output for the flip-flops' contents."""
    known: dict[Bit, int] = {}
    for q, value in zip(STORED, state, strict=True):
        wired = module["cells"][f"f{q}"]["connections"]
        known |= {wired[pin][0]: value ^ (pin == "QN") for pin in ("Q", "QN") if pin in wired}
    (output,) = module["ports"]["o"]["bits"]
    while output not in known:
        for cell in module["cells"].values():
            kind = LIBRARY.cells[cell["type"]]
            nets = [cell["connections"][pin][0] for pin in kind.inputs]
            if not kind.flip_flop and all(net in known for net in nets):
                row = sum(known[net] << i for i, net in enumerate(nets))
                known[cell["connections"]["Z"][0]] = kind.tables["Z"] >> row & 1
    return known[output]


def _pair(kind: str, a: int, b: int, z: int) -> Json:
    return new_cell(kind, {"A": a, "B": b}, {"Z": z})


def _four(z: int) -> Json:
    return new_cell("AOI22", dict(zip("ABCD", STORED, strict=True)), {"Z": z})


def _invert(a: int, z: int) -> Json:
    return new_cell("INV", {"A": a}, {"Z": z})


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (_module(20, g=_pair("AND2", 11, 12, 20)), ["NOR2"]),
        (_module(20, g=_pair("OR2", 11, 12, 20)), ["NAND2"]),
        (_module(20, g=_pair("NAND2", 11, 12, 20)), ["NAND2"]),
        (_module(21, i=_invert(11, 20), g=_pair("AND2", 20, 12, 21)), ["NOR2"]),
        (_module(21, g=_four(20), i=_invert(20, 21)), ["OAI22"]),
        # The gate's own output is read, too: the inverter stays.
        (
            _module(22, g=_four(20), i=_invert(20, 21), h=_pair("NAND2", 20, 21, 22)),
            ["AOI22", "INV", "NAND2"],
        ),
        # Two inverters go.
        (
            _module(
                23, g=_four(20), i=_invert(20, 21), j=_invert(20, 22), h=_pair("OR2", 21, 22, 23)
            ),
            ["OAI22", "OR2"],
        ),
        # An input that is no flip-flop's.
        (_module(20, g=_pair("AND2", 11, 3, 20)), ["AND2"]),
    ],
)
def test_opposites_are_read_where_that_is_smaller(module: Json, expected: list[str]):
    changed = deepcopy(module)
    use_inverted_outputs({"modules": {"top": changed}}, LIBRARY)
    kinds = Counter(cell["type"] for cell in changed["cells"].values())
    assert kinds == Counter({"DFF": len(STORED)}) + Counter(expected)
    if expected == ["AND2"]:
        return
    for state in itertools.product((0, 1), repeat=len(STORED)):
        assert _values(changed, state) == _values(module, state)
