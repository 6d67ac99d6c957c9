"""Sums of every kind, compressed and evaluated gate by gate."""

import itertools

import pytest
from evaluated import LIBRARY, evaluate
from hypothesis import given, settings
from hypothesis import strategies as st

from lutcore.gen.asic.compressor import Adders, compress
from lutcore.gen.asic.library import Library
from lutcore.gen.asic.prefix import prefix_gates
from lutcore.gen.tools.netlist import Json


@st.composite
def _sums(draw: st.DrawFn) -> tuple[int, list[tuple[list, bool, bool]]]:
    """Width of a result, and terms: bits (2: a variable), signed, negated."""
    width = draw(st.integers(2, 14))
    bits = st.lists(st.sampled_from(["0", "1", 2, 2, 2, 2]), min_size=1, max_size=width)
    return width, draw(st.lists(st.tuples(bits, st.booleans(), st.booleans()), min_size=1,
                                max_size=9))  # fmt: skip


def _macc(terms: list[tuple[list, bool, bool]], result: list[int]) -> Json:
    """Cell that adds terms, as Yosys writes it."""
    ones = lambda which: "".join("1" if t[which] else "0" for t in terms)[::-1]  # noqa: E731
    return {
        "type": "$macc_v2",
        "parameters": {
            "NPRODUCTS": "0",
            "NADDENDS": f"{len(terms):032b}",
            "C_WIDTHS": "".join(f"{len(bits):016b}" for bits, _, _ in terms[::-1]),
            "C_SIGNED": ones(1),
            "ADDEND_NEGATED": ones(2),
        },
        "port_directions": {"C": "input", "Y": "output"},
        "connections": {"C": [bit for bits, _, _ in terms for bit in bits], "Y": result},
    }


def _value(term: tuple[list, bool, bool], values: dict) -> int:
    bits, signed, negated = term
    number = sum(values[bit] << i for i, bit in enumerate(bits))
    number -= (values[bits[-1]] << len(bits)) if signed else 0
    return -number if negated else number


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    first=_sums(),
    second=_sums(),
    signed=st.booleans(),
    depth=st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, float("inf")]),
    data=st.data(),
)
def test_sum_of_a_sum(first, second, signed, depth, data):
    free = itertools.count(2)
    inputs: list[int] = []

    def numbered(terms):
        made = []
        for bits, is_signed, negated in terms:
            bits = [next(free) if bit == 2 else bit for bit in bits]
            inputs.extend(bit for bit in bits if isinstance(bit, int))
            made.append((bits, is_signed, negated))
        return made

    inner = numbered(first[1])
    middle = [next(free) for _ in range(first[0])]
    outer = [*numbered(second[1]), (middle, signed, False)]
    result = [next(free) for _ in range(second[0] + 2)]
    module: Json = {
        "cells": {"inner": _macc(inner, middle), "outer": _macc(outer, result)},
        "ports": {
            "i": {"direction": "input", "bits": inputs},
            "o": {"direction": "output", "bits": result},
        },
        "netnames": {},
    }
    adders = Adders(LIBRARY.full_adder, prefix_gates(LIBRARY), {"m": depth})
    compress({"modules": {"m": module}}, adders)
    given_bits = data.draw(st.lists(st.integers(0, 1), min_size=len(inputs), max_size=len(inputs)))
    values: dict = dict(zip(inputs, given_bits, strict=True))
    evaluate(module, values)
    shown = sum(_value(term, values) for term in inner) % (1 << len(middle))
    known = values | {bit: shown >> i & 1 for i, bit in enumerate(middle)}
    want = sum(_value(term, known) for term in outer) % (1 << len(result))
    assert sum(values[bit] << i for i, bit in enumerate(result)) == want


def test_late_carries_take_the_prefix_tree():
    counts = []
    for depth in (float("inf"), 2.0):
        terms = [(list(range(i * 16 + 2, i * 16 + 18)), False, False) for i in range(2)]
        cell = _macc(terms, list(range(100, 116)))
        ports = {
            "i": {"direction": "input", "bits": list(range(2, 34))},
            "o": {"direction": "output", "bits": list(range(100, 116))},
        }
        module: Json = {"cells": {"sum": cell}, "ports": ports, "netnames": {}}
        adders = Adders(LIBRARY.full_adder, prefix_gates(LIBRARY), {"m": depth})
        compress({"modules": {"m": module}}, adders)
        counts.append(sum(c["type"] in ("AOI", "OAI") for c in module["cells"].values()))
    assert counts[0] == 0 < counts[1]


def _adders_in_series(module: Json) -> int:
    """Most full adders one behind the other."""
    depths: dict[int | str, int] = {}
    waiting = list(module["cells"].values())
    driven = {
        bit
        for cell in waiting
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] == "output"
        for bit in bits
    }
    while waiting:
        cell = waiting.pop(0)
        directions, pins = cell["port_directions"], cell["connections"]
        inputs = [bit for p, bits in pins.items() if directions[p] == "input" for bit in bits]
        if any(bit in driven and bit not in depths for bit in inputs):
            waiting.append(cell)
            continue
        deep = max((depths.get(bit, 0) for bit in inputs), default=0) + (cell["type"] == "FA")
        depths |= {
            bit: deep for p, bits in pins.items() if directions[p] == "output" for bit in bits
        }
    return max(depths.values())


@pytest.mark.parametrize("heights", [[3] * 14, [4] * 3 + [3] * 11, [4] * 14, [5, 4, 3, 2] * 4])
def test_columns_in_front_of_the_prefix_tree_do_not_ripple(heights):
    """Whether a column has an even or an odd number of bits, with the carries that it gets."""
    free = itertools.count(2)
    terms = []
    for row in range(max(heights)):
        bits = [next(free) if height > row else "0" for height in heights]
        terms.append((bits, False, False))
    result = [next(free) for _ in heights]
    inputs = [bit for bits, _, _ in terms for bit in bits if bit != "0"]
    in_series = []
    for depth in (2.0, float("inf")):
        module: Json = {
            "cells": {"sum": _macc(terms, result)},
            "ports": {
                "i": {"direction": "input", "bits": inputs},
                "o": {"direction": "output", "bits": result},
            },
            "netnames": {},
        }
        adders = Adders(LIBRARY.full_adder, prefix_gates(LIBRARY), {"m": depth})
        compress({"modules": {"m": module}}, adders)
        in_series.append(_adders_in_series(module))
    assert in_series[0] <= max(heights) < len(heights) - 2 <= in_series[1]


@pytest.mark.parametrize("missing", ["AOI", "OAI"])
def test_without_complex_gates_carries_ripple(missing: str):
    cells = {name: cell for name, cell in LIBRARY.cells.items() if name != missing}
    library = Library(LIBRARY.name, cells, LIBRARY.nand2, LIBRARY.full_adder)
    assert prefix_gates(library) == {}
