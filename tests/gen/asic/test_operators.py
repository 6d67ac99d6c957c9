"""Plain operators, as people write them: their bits, and what they cost beside the best forms."""

import itertools

import pytest
from evaluated import LIBRARY, evaluate
from hypothesis import given, settings
from hypothesis import strategies as st
from mapped_verilog import mapped
from opensta import needs_opensta

from lutcore.gen.asic.compressor import Adders, compress
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.mapping import Mapped
from lutcore.gen.asic.prefix import prefix_gates
from lutcore.gen.asic.synth import read_library
from lutcore.gen.tools.netlist import Json

pytestmark = pytest.mark.asic

DEPTHS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 5.0, float("inf")])
#: A bit of an operand: a constant, an undefined one, which counts as zero, or (2) a variable.
BITS = st.lists(st.sampled_from(["0", "1", "x", 2, 2, 2, 2]), max_size=9)


def _replaced(cell: Json, outputs: list[int], depth: float, gates: bool = True) -> Json:
    """A module of the cell alone, whose sums are replaced."""
    pins = cell["connections"]
    read = [bit for pin in pins for bit in pins[pin] if isinstance(bit, int)]
    ports = {
        "i": {"direction": "input", "bits": [b for b in dict.fromkeys(read) if b < 1000]},
        "o": {"direction": "output", "bits": outputs},
    }
    module: Json = {"cells": {"cell": cell}, "ports": ports, "netnames": {}}
    own = prefix_gates(LIBRARY) if gates else {}
    compress({"modules": {"m": module}}, Adders(LIBRARY.full_adder, own, {"m": depth}))
    return module


def _number(bits: list, signed: bool, values: dict) -> int:
    ones = [values[bit] if isinstance(bit, int) else int(bit == "1") for bit in bits]
    return sum(one << i for i, one in enumerate(ones)) - (
        (ones[-1:] == [1] and signed) << len(bits)
    )


@st.composite
def _alus(draw: st.DrawFn) -> Json:
    """An ``$alu`` of Yosys; nets below 1000 are inputs."""
    free = itertools.count(2)
    bits = {pin: [next(free) if bit == 2 else bit for bit in draw(BITS)] for pin in ("A", "B")}
    one = {pin: [draw(st.sampled_from(["0", "1", next(free)]))] for pin in ("CI", "BI")}
    width = draw(st.integers(1, 10))
    outputs = {
        pin: list(range(start, start + width))
        for pin, start in {"X": 1000, "Y": 2000, "CO": 3000}.items()
    }
    signed = draw(st.booleans())
    return {
        "type": "$alu",
        "parameters": {"A_SIGNED": f"{signed:b}", "B_SIGNED": f"{signed:b}"},
        "port_directions": dict.fromkeys(("A", "B", "CI", "BI"), "input")
        | dict.fromkeys(outputs, "output"),
        "connections": bits | one | outputs,
    }


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(cell=_alus(), depth=DEPTHS, gates=st.booleans(), data=st.data())
def test_sums_and_carries_that_are_read(cell, depth, gates, data):
    pins = dict(cell["connections"])
    width, signed = len(pins["Y"]), cell["parameters"]["A_SIGNED"] == "1"
    every = [bit for pin in ("X", "Y", "CO") for bit in pins[pin]]
    read = data.draw(st.lists(st.sampled_from(every), min_size=1, unique=True))
    module = _replaced(cell, read, depth, gates)
    inputs = module["ports"]["i"]["bits"]
    values: dict = {bit: data.draw(st.integers(0, 1)) for bit in inputs}
    mask = (1 << width) - 1
    a, b, carry, flip = (
        _number(pins[pin], signed and pin in "AB", values) & mask for pin in ("A", "B", "CI", "BI")
    )
    b ^= mask * flip
    want = {"X": a ^ b, "Y": a + b + carry, "CO": 0}
    for i in range(width):
        low = (2 << i) - 1
        want["CO"] |= ((a & low) + (b & low) + carry >> i + 1) << i
    evaluate(module, values)
    for pin, number in want.items():
        for i, bit in enumerate(pins[pin]):
            assert bit not in read or values[bit] == number >> i & 1, (pin, i)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    factors=st.lists(st.tuples(BITS, BITS, st.booleans(), st.booleans()), min_size=1, max_size=3),
    addend=BITS,
    width=st.integers(1, 16),
    depth=DEPTHS,
    data=st.data(),
)
def test_products_in_a_sum(factors, addend, width, depth, data):
    free = itertools.count(2)
    pins: dict[str, list] = {"A": [], "B": [], "C": [], "Y": list(range(1000, 1000 + width))}
    operands = []
    for a, b, signed, negated in factors:
        a, b = ([next(free) if bit == 2 else bit for bit in bits] for bits in (a, b))
        pins["A"] += a
        pins["B"] += b
        operands.append((a, b, signed, negated))
    pins["C"] = [next(free) if bit == 2 else bit for bit in addend]
    words = lambda numbers: "".join(f"{n:016b}" for n in reversed(numbers))  # noqa: E731
    flags = lambda which: "".join("01"[f[which]] for f in reversed(factors))  # noqa: E731
    cell = {
        "type": "$macc_v2",
        "parameters": {
            "NPRODUCTS": f"{len(factors):b}",
            "NADDENDS": "1",
            "A_WIDTHS": words([len(f[0]) for f in factors]),
            "B_WIDTHS": words([len(f[1]) for f in factors]),
            "C_WIDTHS": words([len(addend)]),
            **dict.fromkeys(("A_SIGNED", "B_SIGNED"), flags(2)),
            "C_SIGNED": "0",
            "PRODUCT_NEGATED": flags(3),
            "ADDEND_NEGATED": "0",
        },
        "port_directions": dict.fromkeys("ABC", "input") | {"Y": "output"},
        "connections": dict(pins),
    }
    module = _replaced(cell, pins["Y"], depth)
    values: dict = {bit: data.draw(st.integers(0, 1)) for bit in module["ports"]["i"]["bits"]}
    want = _number(pins["C"], False, values)
    for a, b, signed, negated in operands:
        product = _number(a, signed, values) * _number(b, signed, values)
        want += -product if negated else product
    evaluate(module, values)
    assert _number(pins["Y"], False, values) == want % (1 << width)


# Verilog -----------------------------------------------------------------------------------------


def _mapped(body: str, period: float | None, words: str = "[31:0]", result: int = 32) -> Mapped:
    """A function of registers into registers, in a module of its own, which has none."""
    verilog = f"""
module made(input {words} a, b, input c, output [{result - 1}:0] y);
{body}
endmodule
module top(input clk, input {words} a, b, input c, output reg [{result - 1}:0] y);
  reg {words} a_, b_; reg c_; wire [{result - 1}:0] y_;
  made it(.a(a_), .b(b_), .c(c_), .y(y_));
  always @(posedge clk) begin a_ <= a; b_ <= b; c_ <= c; y <= y_; end
endmodule
"""
    return mapped(verilog, period)


def _area(found: Mapped) -> float:
    cells = read_library(DEMO).library.cells
    return sum(cells[kind].area * n for kind, n in found.modules["made"].items())


def _tree_of_comparison() -> str:
    """Of two words: where they differ first, from the top."""
    lines, level = [], [(f"~a[{i}] & b[{i}]", f"~(a[{i}] ^ b[{i}])") for i in range(32)]
    for depth in range(5):
        following = []
        for i in range(0, len(level), 2):
            (low, _), (high, same) = level[i : i + 2]
            name = f"{depth}_{i}"
            lines.append(f"wire less_{name} = ({high}) | (({same}) & ({low}));")
            lines.append(f"wire same_{name} = ({same}) & ({level[i][1]});")
            following.append((f"less_{name}", f"same_{name}"))
        level = following
    return "\n".join([*lines, f"assign y = {level[0][0]};"])


#: Operator -> as it is written, as one who knew the flow would write it, width of the result.
FORMS = {
    "comparison": ("assign y = a < b;", _tree_of_comparison(), 1),
    "carry in": (
        "assign y = a + b + c;",
        "wire [32:0] s = {a, 1'b1} + {b, c}; assign y = s[32:1];",
        32,
    ),
    "difference": (
        "assign y = a - b;",
        "wire [32:0] s = {a, 1'b1} + {~b, 1'b1}; assign y = s[32:1];",
        32,
    ),
}


@needs_opensta
@pytest.mark.parametrize("operator", FORMS)
def test_as_good_as_the_best_form(operator):
    plain, best, width = FORMS[operator]
    found, wanted = (_mapped(body, 1.2, result=width) for body in (plain, best))
    assert found.slack is not None and wanted.slack is not None
    assert wanted.slack >= 0, "the form that it is compared with misses the period"
    assert found.slack >= 0
    assert _area(found) <= 1.05 * _area(wanted)


@needs_opensta
@pytest.mark.parametrize(
    ("body", "period"),
    [
        ("assign y = a + c;", 1.0),
        ("assign y = a + 1;", 1.0),
        ("assign y = a <= b;", 1.0),
        ("assign y = $signed(a) < $signed(b);", 1.0),
        ("assign y = a[15:0] * b[15:0];", 2.0),
    ],
)
def test_no_operator_ripples(body, period):
    """In a module that has no flip-flops: the time that it takes is that of those around it."""
    loose, tight = _mapped(body, 9.0), _mapped(body, period)
    assert tight.slack is not None and tight.slack >= 0
    assert loose.slack is not None
    assert 9.0 - loose.slack > period, "the ripple meets the period as well"
    assert _area(loose) < _area(tight)


def test_a_comparison_has_no_full_adders():
    assert not any("FA" in kind for kind in _mapped("assign y = a < b;", None).modules["made"])


@needs_opensta
def test_signed_ports():
    found = _mapped("assign y = a * b;", 5.0, "signed [7:0]", 16)
    assert "signed" not in found.netlist
