"""A bit that cannot change is proved so, and one that can is not."""

import pytest

from lutcore.errors import ToolError
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.verify import constants
from lutcore.gen.verify.ties import Tie, ties
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset
from lutcore.verif.coverage.code import Coverage, Place

DESIGN = """
module top(input clk, input rst, input [3:0] a, input mode, output [7:0] q);
  wire [7:0] wide = {4'd0, a} + {4'd0, a};  // at most 30
  wire [7:0] other;
  reg [2:0] count;                          // 0 to 4
  reg sticky, free;
  always @(posedge clk)
    if (rst) count <= 3'd0;
    else count <= count == 3'd4 ? 3'd0 : count + 3'd1;
  wire beyond = count > 3'd4;
  always @(posedge clk) if (rst) sticky <= 1'b0; else sticky <= sticky | beyond;
  always @(posedge clk) free <= a[0];
  reg kept;
  always @(posedge clk) kept <= kept & a[0];
  wire chosen = mode & a[1];
  wire either = mode | a[2];
  reg [7:0] memory [3:0];
  always @(posedge clk) memory[a[1:0]] <= wide;
  wire [7:0] word = memory[a[3:2]];
  top__leaf leaf (.x(wide), .y(other));
  top__leaf loose (.x({a, a}), .y(q));
endmodule
module top__leaf(input [7:0] x, output [7:0] y);
  wire none = &{1'b0, x};
  wire high = x[7] & ~x[7];
  wire top_bit = x[7];
  assign y = {x[7:1], none};
endmodule
"""

#: Signal -> module, and bits that are proved.
PROVED = {
    "top.wide": ("top", 0b11100001),
    "top.other": ("top", 0b11100001),
    "top.count": ("top", 0),
    "top.beyond": ("top", 1),
    "top.sticky": ("top", 1),
    "top.free": ("top", 0),
    "top.kept": ("top", 1),  # registers start at 0
    "top.chosen": ("top", 0),
    "top.either": ("top", 0),
    "top.word": ("top", 0),
    "top.leaf.none": ("top__leaf", 1),
    "top.leaf.high": ("top__leaf", 1),
    "top.leaf.top_bit": ("top__leaf", 1),
    "top.loose.high": ("top__leaf", 1),
    "top.loose.top_bit": ("top__leaf", 0),
    "top.loose.y": ("top__leaf", 1),
    "top.loose.missing": ("top__leaf", 0),
}


def place(path, module):
    instance, _, name = path.rpartition(".")
    return Place("toggle", instance, module, 1, name)


ASKED = {place(path, module): 0xFF for path, (module, _) in PROVED.items()}


def proved(found):
    return {place(path, module): mask for path, (module, mask) in found.items() if mask}


def test_constants_are_proved_and_nothing_else():
    assert constants.constants(DESIGN, "top", ASKED) == proved(PROVED)


@pytest.mark.parametrize("value, name", [(0, "top.chosen"), (1, "top.either")])
def test_bits_that_are_tied_hold_others(value, name):
    mode = [Tie("mode", 0, value, "why")]
    found = constants.constants(DESIGN, "top", ASKED, mode)
    assert found == proved(PROVED | {name: ("top", 1)})


def test_what_takes_too_long_is_left(monkeypatch):
    """Induction over the whole design ends at its limit; modules and constants stay proved."""
    run = constants.run_yosys

    def slow(script, files, outputs, limit=0):
        if limit == 1:
            raise ToolError("Yosys took longer than 1 s")
        return run(script, files, outputs)

    monkeypatch.setattr(constants, "run_yosys", slow)
    found = constants.constants(DESIGN, "top", ASKED, limit=1)
    assert found == proved(PROVED)  # each of these holds for its module or passes on


def test_only_bits_that_never_changed_are_excluded():
    wide, free = place("top.wide", "top"), place("top.free", "top")
    points, seen = {wide: 0xFFFF, free: 0b11}, 0x03FC
    left = constants.without_constants(Coverage(points, {wide: seen, free: 0}), DESIGN)
    assert left.points == {wide: 0x03FC, free: 0b11}
    assert left.excluded == {constants.PROVED: {wide: 0xFC03}}


TIES = {
    "w2a8": {},
    "dense-w2a8": {("weights__payload", "advance"): 1},
    "w2a8-buffered": {},
    "ternary-a8": {
        **{("weights__payload", "plane"): 0, ("weights__payload", "advance"): 1},
        ("zero_points__payload", 0): 0,
    },
}


@pytest.mark.parametrize("name", TIES)
def test_ties_of_tiles(name):
    """By the Verilog's own list of the fields of a payload."""
    config: CoreConfig = preset(name).replace(n=4, result_columns=2)
    lines = verilog(config).splitlines()
    module = lines.index(f"module {design_name(config)} (")
    expected = set()
    for (port, what), value in TIES[name].items():
        bit = what
        if isinstance(what, str):
            (line,) = (s for s in lines[module : module + 50] if s.endswith(f"] {what}"))
            bit = int(line.partition("[")[2].partition("]")[0])
        expected.add((port, bit, value))
    assert {tie[:3] for tie in ties(config)} == expected
