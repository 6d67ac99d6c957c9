"""Units of Liberty files: every one becomes ns, fF, V, kohm, nW or fJ, or is named."""

import re

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.gen.asic.liberty import library_group
from lutcore.gen.asic.units import Units, lookup_table


def group(text: str):
    return library_group(f"library (l) {{\n{text}\n}}".encode(), "some.lib")


def units(text: str) -> Units:
    return Units(group(text))


@pytest.mark.parametrize(
    ("text", "quantity", "expected"),
    [
        ('time_unit : "1ns";', "time", 3),
        ('time_unit : "100ps";', "time", 0.3),
        ('time_unit : "10 ps";', "time", 0.03),
        ("time_unit : 1PS;", "time", 0.003),
        ('time_unit : "ns";', "time", 3),
        ("", "time", 3),  # the standard's default
        ("capacitive_load_unit (1, ff);", "capacitance", 3),
        ('capacitive_load_unit (1.0000, "pf");', "capacitance", 3000),
        ('capacitive_load_unit ("0.1", pF);', "capacitance", 300),
        ("capacitive_load_unit (25, fF);", "capacitance", 75),
        ('voltage_unit : "1V";', "voltage", 3),
        ('voltage_unit : "10mV";', "voltage", 0.03),
        ("", "voltage", 3),
        ('pulling_resistance_unit : "1kohm";', "resistance", 3),
        ('pulling_resistance_unit : "10ohm";', "resistance", 0.03),
        ("", "resistance", 0.003),
        ('leakage_power_unit : "1nW";', "leakage", 3),
        ('leakage_power_unit : "100pW";', "leakage", 0.3),
        ('leakage_power_unit : "10uW";', "leakage", 30_000),
        ('leakage_power_unit : "1W";', "leakage", 3e9),
        ("capacitive_load_unit (1, ff);", "energy", 3),
        ("capacitive_load_unit (1, pf);", "energy", 3000),
        ('capacitive_load_unit (1, pf); voltage_unit : "100mV";', "energy", 30),
    ],
)
def test_numbers_are_converted(text, quantity, expected):
    assert units(text).convert(3.0, quantity) == pytest.approx(expected, rel=1e-15)
    assert units(text).convert(np.array([3.0, 0]), quantity)[1] == 0


def test_decimals_stay_what_they_are():
    """0.0943 ns and 94.3 ps are the same number, as 0.0017 pF and 1.7 fF are."""
    picoseconds = units('time_unit : "1ps"; capacitive_load_unit (1, pf);')
    steps = range(1, 5000)
    assert all(picoseconds.convert(float(n), "time") == float(f"{n}e-3") for n in steps)
    assert all(picoseconds.convert(n / 8, "capacitance") == n * 125 for n in steps)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('time_unit : "1parsec";', "unknown time_unit '1parsec': write 1, 10 or 100 of ps or ns"),
        ('time_unit : "5ns";', "unknown time_unit '5ns'"),
        ('time_unit : "1xs";', "unknown time_unit"),
        ('time_unit : "1nV";', "unknown time_unit"),
        ('time_unit : "";', "unknown time_unit"),
        ('voltage_unit : "1kg";', "unknown voltage_unit '1kg': write 1, 10 or 100 of mV or V"),
        ('leakage_power_unit : "1";', "unknown leakage_power_unit '1': write 1, 10 or 100 of pW"),
        (
            "capacitive_load_unit (1, nf);",
            r"unknown capacitive_load_unit \(1, nf\): write",
        ),
        ("capacitive_load_unit (0, ff);", "unknown capacitive_load_unit"),
        ("capacitive_load_unit (1);", "unknown capacitive_load_unit"),
        ("capacitive_load_unit (1, 1, ff);", "unknown capacitive_load_unit"),
        ("capacitive_load_unit (1e99999999, ff);", "unknown capacitive_load_unit"),
        ("capacitive_load_unit ();", "unknown capacitive_load_unit"),
    ],
)
def test_unknown_units_are_named_with_their_line(text, message):
    with pytest.raises(InputError, match=rf"^some\.lib, line 3: {message}"):
        units(f"a : 1;\n{text}")


@pytest.mark.parametrize("quantity", ["capacitance", "energy", "leakage"])
def test_units_that_have_no_default_are_asked_for(quantity):
    what = "leakage" if quantity == "leakage" else "loads"
    unit = r'leakage_power_unit : "1nW"' if what == "leakage" else r"capacitive_load_unit \(1, ff\)"
    message = rf"^some\.lib, line 1: library \(l\) has {what} but no unit .*: write {unit}; into it"
    with pytest.raises(InputError, match=message):
        units('time_unit : "1ns"; voltage_unit : "1V";').convert(1.0, quantity)


def test_units_are_spelled_as_every_tool_knows_them():
    text = 'capacitive_load_unit ("1.0", "PF"); time_unit : "10 PS"; a : 1; current_unit : "1mA";'
    assert list(units(text).spelled()) == [
        *('time_unit : "10ps";', "capacitive_load_unit (1.0, pf);", 'current_unit : "1mA";')
    ]


# Tables ------------------------------------------------------------------------------------------

TABLES = """
time_unit : "1ps"; capacitive_load_unit (1, pf); voltage_unit : "1V";
lu_table_template (two) { variable_1 : input_net_transition;
  variable_2 : total_output_net_capacitance; index_1 ("10, 20"); index_2 ("1, 2, 3"); }
lu_table_template (odd) { variable_1 : normalized_voltage; variable_2 : input_transition_time;
  index_1 ("0, 1"); index_2 ("50"); }
cell_rise (two) { index_1 ("30, 40"); values ("1, 2, 3", "4, 5, 6"); }
cell_fall (scalar) { values ("7"); }
rise_power (odd) { values ("1, 2"); }
"""


def table(kind: str, quantity, text: str = TABLES):
    library = group(text)
    templates = {found.name: found for found in library.of("lu_table_template")}
    (found,) = library.of(kind)
    return lookup_table(found, templates, Units(library), quantity)


def test_axes_and_values_of_tables_are_converted():
    axes, values = table("cell_rise", "time")
    assert list(axes) == ["input_net_transition", "total_output_net_capacitance"]
    slews, loads = axes.values()
    assert np.allclose(slews, [0.03, 0.04]) and np.allclose(loads, [1000, 2000, 3000])
    assert np.allclose(values, [[0.001, 0.002, 0.003], [0.004, 0.005, 0.006]])
    axes, values = table("cell_fall", "time")
    assert axes == {} and values == 0.007
    axes, values = table("rise_power", "energy")
    assert np.allclose(axes["normalized_voltage"], [0, 1])
    assert np.allclose(axes["input_transition_time"], [0.05])
    assert np.allclose(values, [[1000], [2000]])


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('("1, 2, 3",', '("1, 2",', 8, "has 5 values and its axes ask for 2 x 3: fetch the file"),
        ("cell_rise (two)", "cell_rise (too)", 8, "has 6 values and no template too says"),
        ('values ("1, 2, 3"', 'worth ("1, 2, 3"', 8, "has 0 values"),
        ('"4, 5, 6"', '"4, 5, six"', 8, "values of cell_rise .* must be numbers"),
        ('index_2 ("1,', 'index_2 ("one,', 5, "index_2 of lu_table_template .* must be numbers"),
    ],
)
def test_tables_that_do_not_fit(old, new, line, message):
    assert old in TABLES
    text = TABLES.replace(old, new)
    with pytest.raises(InputError, match=rf"^some\.lib, line {line}: .*{message}") as caught:
        table("cell_rise", "time", text)
    assert re.fullmatch(r"[^\n]+", str(caught.value))
