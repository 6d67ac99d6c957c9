"""What synthesis needs of a library: cells by their functions, loads by any unit."""

import re

import pytest
from liberty_variants import TEXT, in_units

from lutcore.errors import InputError
from lutcore.gen.asic.delays import CellDelays
from lutcore.gen.asic.library import Library, parse, parse_files
from lutcore.gen.asic.synth import NEUTRAL_CELLS

CELLS = NEUTRAL_CELLS.read_text()
FF = 'ff (IQ, IQN) { clocked_on : "CLK"; next_state : "D"; }'
_PIN = " pin ({}) {{ direction : input; }}"


def without(text: str, cell: str) -> str:
    found = re.sub(rf"  cell \({cell}\) \{{.*?\n  \}}\n", "", text, flags=re.DOTALL)
    assert found != text
    return found


def flip_flop(state: str, pins: str = "") -> str:
    """The neutral library, its flip-flop's state told so, and with more input pins."""
    more = "".join(map(_PIN.format, pins.split()))
    assert FF in CELLS
    return CELLS.replace(FF, state + more)


def library(text: str) -> Library:
    return parse(text.encode(), "some.lib")


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        *(("DFF", "D flip-flop cell"), ("NAND2", "2-input NAND cell with an area")),
        *(("INV", "inverter cell with an area"), ("BUF", "buffer cell with an area")),
    ],
)
@pytest.mark.parametrize("how", ["missing", "forbidden"])
def test_what_must_be_there(cell, name, how):
    text = without(CELLS, cell)
    if how == "forbidden":
        text = CELLS.replace(f"cell ({cell}) {{", f"cell ({cell}) {{ dont_use : true;")
    remedy = "give a library with D flip-flop, 2-input NAND, inverter and buffer"
    with pytest.raises(InputError, match=rf"^some\.lib: no {name}: {remedy}$"):
        library(text)


@pytest.mark.parametrize(
    ("state", "pins", "fits"),
    [
        (FF, "", True),
        ('ff (IQ, IQN) { clocked_on : "(CLK)"; next_state : "D\'"; }', "", True),
        ('ff (IQ, IQN) { clocked_on : "!CLK"; next_state : D; }', "", True),
        (FF.replace("}", 'clear : "!RN"; }'), "RN", True),
        (FF.replace("}", 'clear : "!RN"; preset : "S"; clear_preset_var1 : L; }'), "RN S", True),
        (FF.replace("}", 'clear : "!RN & D"; }'), "RN", False),
        (FF, "E", False),
        (FF.replace('"D"', '"(SE & SI) | (!SE & D)"'), "SE SI", False),
        (FF.replace('next_state : "D";', ""), "", False),
        ('latch (IQ, IQN) { enable : "CLK"; data_in : "D"; }', "", False),
    ],
)
def test_what_counts_as_a_d_flip_flop(state, pins, fits):
    text = flip_flop(state, pins)
    if fits:
        cell = library(text).cells["DFF"]
        assert cell.takes_d and cell.flip_flop and not cell.tables
    else:
        with pytest.raises(InputError, match=r"^some\.lib: no D flip-flop cell: "):
            library(text)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ('statetable ("CLK D", "IQ") { table : "R L : - : L, R H : - : H"; }', "a statetable"),
        (FF.replace("ff (IQ, IQN)", "ff_bank (IQ, IQN, 2)"), "an ff_bank"),
        (f"{FF} pin (B[0]) {{ direction : input; }}", "a pin B[0]"),
        (f"{FF} type (t) {{ }} bus (B) {{ bus_type : t; }}", "a bus"),
    ],
)
def test_states_that_are_not_read_are_refused_by_name(state, words):
    line = CELLS[: CELLS.index("cell (DFF)")].count("\n") + 1
    message = f"line {line}: no D flip-flop cell, and DFF has {words}, which is not read: give"
    with pytest.raises(InputError, match=rf"^some\.lib, {re.escape(message)}"):
        library(flip_flop(state))
    spare = flip_flop(state).rstrip().removesuffix("}") + CELLS[CELLS.index("  cell (DFF)") :]
    found = library(spare.replace("cell (DFF)", "cell (OWN)", 1))
    assert found.cells["OWN"].unread == words and not found.cells["OWN"].usable
    assert found.cells["DFF"].takes_d and "OWN" not in found.variants


def test_a_clock_gate_by_a_statetable_is_not_taken_for_the_flip_flop():
    gate = 'cell (G) { clock_gating_integrated_cell : latch_posedge; statetable ("C", "Q") { } }'
    text = without(CELLS, "DFF").rstrip().removesuffix("}") + gate + "}"
    with pytest.raises(InputError, match=r"^some\.lib: no D flip-flop cell: "):
        library(text)


# Loads -------------------------------------------------------------------------------------------

_LOADED = "pin (A) { direction : input; capacitance : 2; }"


def loaded(text: str, units: str = "capacitive_load_unit (1, pf);") -> str:
    """The neutral library with units and the first pin of its inverter as told."""
    found = CELLS.replace("{\n", f"{{\n {units}\n", 1)
    return found.replace("pin (A) { direction : input; }", text, 1)


def test_loads_are_in_femtofarads():
    assert library(loaded(_LOADED)).cells["INV"].capacitance == {"A": 2000}
    edges = _LOADED.replace("capacitance : 2", "fall_capacitance : 3; rise_capacitance : 2")
    assert library(loaded(edges)).cells["INV"].capacitance == {"A": 2000}
    bare = _LOADED.replace("capacitance : 2;", "")
    assert library(loaded(bare)).cells["INV"].capacitance == {"A": 0}
    default = "capacitive_load_unit (1, pf); default_input_pin_cap : 3;"
    assert library(loaded(bare, default)).cells["INV"].capacitance == {"A": 3000}
    assert library(loaded(_LOADED, default)).cells["INV"].capacitance == {"A": 2000}


def test_loads_without_a_unit_are_refused():
    message = r"^some\.lib, line \d+: library \(\w+\) has loads but no unit for them: write capac"
    with pytest.raises(InputError, match=message):
        library(loaded(_LOADED, ""))
    assert library(CELLS).cells["INV"].capacitance == {"A": 0}  # nor is one needed


def test_files_of_one_library_may_have_units_of_their_own():
    """Each file's cells are read in its own, and its tables by its own templates."""
    one = TEXT[: TEXT.index("  cell (XOR2_X1)")] + "}"
    other = in_units(TEXT, "1ps", ("1", "pf"), "1V", "1nW")
    other = re.sub(r"cell\s*\(\s*\"?INV_X1\"?", "cell (INV_X9", other)
    plain = library(TEXT).cells
    both = parse_files([("one.lib", one.encode()), ("other.lib", other.encode())]).cells
    assert {both[name].file.group.source.where for name in ("INV_X1", "INV_X9")} == {
        *("one.lib", "other.lib")
    }
    for name, cell in both.items():
        same = plain[name.replace("X9", "X1")]
        assert cell.max_load == pytest.approx(same.max_load)
        delays, expected = CellDelays(cell).arcs, CellDelays(same).arcs
        for key, tables in expected.items():
            for one_table, other_table in zip(delays[key], tables, strict=True):
                assert one_table.values == pytest.approx(other_table.values)
    with pytest.raises(InputError, match=r"^other\.lib, line 1: "):
        parse_files([("one.lib", one.encode()), ("other.lib", b"library (l) { cell (A) {")])
    with pytest.raises(InputError, match=r"^one\.lib, two\.lib: no D flip-flop cell"):
        parse_files([("one.lib", b"library (l) { }"), ("two.lib", b"library (m) { }")])
