"""Modules of random operators, mapped: Yosys's solver proves that the gates do what was written."""

import random

import pytest
from mapped_verilog import mapped
from opensta import needs_opensta
from sweeps import swept

from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.synth import read_library
from lutcore.gen.tools.yosys import run_yosys

pytestmark = [pytest.mark.asic, pytest.mark.slow]

_FORMS = (
    *("({a} + {b})", "({a} - {b})", "({a} < {b})", "({a} <= {b})", "({a} > {b})", "({a} >= {b})"),
    *("({a} + {b} + {c})", "(-{a})", "({a} + ({b} << 2))", "({x} * {y})", "({a} + {x} * {y})"),
    *("($signed({a}) < $signed({b}))", "($signed({x}) * $signed({y}))", "(&({a} - {b}))"),
    "(({a}) > ({b}) ? ({a}) - ({b}) : ({b}) - ({a}))",
)
_INPUTS = ("p", "q", "r")


def _expression(chance: random.Random, depth: int) -> str:
    """Operators on inputs and constants, so many of them in each other."""
    if depth == 0 or chance.random() < 0.1:
        constant = f"{chance.randint(1, 7)}'d{chance.randrange(64)}"
        return chance.choice([*_INPUTS, constant])
    inner = {name: _expression(chance, depth - 1) for name in "abc"}
    factors = {name: chance.choice(_INPUTS) for name in "xy"}  # solvers take no larger products
    return chance.choice(_FORMS).format(**inner, **factors)


def _design(chance: random.Random) -> str:
    """Verilog of two results of three registers, by a module that has none."""
    widths = {name: chance.randint(1, 6) for name in _INPUTS}
    result = chance.randint(1, 12)
    ports = "".join(
        f"input {chance.choice(('', '', 'signed'))} [{width - 1}:0] {name}, "
        for name, width in widths.items()
    )
    inputs = "".join(f"input [{width - 1}:0] {name}, " for name, width in widths.items())
    held = " ".join(f"reg [{width - 1}:0] {name}_;" for name, width in widths.items())
    return f"""
module made({ports} output [{result - 1}:0] y, output z);
  assign y = {_expression(chance, 3)};
  assign z = ^{{p, q, r}} ^ ({_expression(chance, 2)});
endmodule
module top(input clk, {inputs} output reg [{result - 1}:0] y, output reg z);
  {held} wire [{result - 1}:0] y_; wire z_;
  made it(.p(p_), .q(q_), .r(r_), .y(y_), .z(z_));
  always @(posedge clk) begin p_ <= p; q_ <= q; r_ <= r; y <= y_; z <= z_; end
endmodule
"""


#: Reads both, and asks for a state and inputs after which results differ once registers are filled.
_PROOF = """
read_verilog written.v
hierarchy -top top
proc
flatten
opt_clean
rename top written
design -stash written
{libraries}
read_verilog netlist.v
hierarchy -top top
flatten
opt_clean
rename top mapped
design -copy-from written written
miter -equiv -flatten -make_outputs written mapped both
sat -verify -prove trigger 0 -seq 4 -prove-skip 3 -set-def-inputs both
"""


@needs_opensta
@pytest.mark.parametrize("seed", swept(range(32), 8))
@pytest.mark.parametrize("period", [None, 0.3, 0.6])
def test_gates_do_what_was_written(seed, period):
    verilog = _design(random.Random(seed))
    libraries = read_library(DEMO).contents
    reading = "read_liberty -ignore_miss_func -ignore_miss_dir"
    proof = _PROOF.format(libraries="\n".join(f"{reading} {name}" for name in libraries))
    netlist = {"netlist.v": mapped(verilog, period).netlist.encode(), "written.v": verilog.encode()}
    run_yosys(proof, {**libraries, **netlist}, ())  # fails where they differ
