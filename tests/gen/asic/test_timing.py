"""Static timing and sizing, against sums done by hand and against OpenSTA."""

import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from opensta import needs_opensta

from lutcore.errors import ToolError
from lutcore.gen.asic.closing import Closing
from lutcore.gen.asic.delays import Table, Tables
from lutcore.gen.asic.flat import Flat
from lutcore.gen.asic.liberty import DEMO_CELLS
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.sizing import Sizer
from lutcore.gen.asic.timing import Timing
from lutcore.gen.tools.netlist import Bit, Json, new_cell

pytestmark = pytest.mark.asic

#: Load of a wire by sinks: 0.5 for the first, 1 for each further one.
_WIRES = """
  default_wire_load : "w";
  wire_load ("w") {
    capacitance : 0.5; resistance : 0; slope : 2;
    fanout_length (1, 1); fanout_length (2, 3);
  }
"""
_HEADER = """
library (small) {
  delay_model : table_lookup; time_unit : "1ns"; capacitive_load_unit (1, ff);
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 30; slew_lower_threshold_pct_fall : 30;
  slew_upper_threshold_pct_rise : 70; slew_upper_threshold_pct_fall : 70;
  lu_table_template (t) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0, 1"); index_2 ("0, 10, 100");
  }
  lu_table_template (c) {
    variable_1 : related_pin_transition; variable_2 : constrained_pin_transition;
    index_1 ("0, 1"); index_2 ("0, 1");
  }
"""


def _table(kind: str, template: str, value: Callable[[float, float], float]) -> str:
    points = ((0, 1), (0, 10, 100)) if template == "t" else ((0, 1), (0, 1))
    rows = (", ".join(f"{value(x, y):.6f}" for y in points[1]) for x in points[0])
    values = ", ".join(f'"{row}"' for row in rows)
    return f"{kind} ({template}) {{ values ({values}); }}"


def _arc(
    source: str, sense: str, base: float, resistance: float, kind: str = "", slew: float = 0.0
) -> str:
    """Delay base + 0.1 slew + resistance * load, 0.01 more to fall; slew + 2 resistance * load."""
    tables = [
        _table("cell_rise", "t", lambda x, y: base + 0.1 * x + resistance * y),
        _table("cell_fall", "t", lambda x, y: base + 0.01 + 0.1 * x + resistance * y),
        _table("rise_transition", "t", lambda x, y: slew + 2 * resistance * y),
        _table("fall_transition", "t", lambda x, y: slew + 2 * resistance * y),
    ]
    timing = f'related_pin : "{source}"; timing_sense : {sense};'
    timing += f" timing_type : {kind};" if kind else ""
    return f"timing () {{ {timing} {' '.join(tables)} }}"


def _gate(
    name: str,
    area: float,
    pins: str,
    function: str,
    load: float,
    resistance: float,
    sense: str = "negative_unate",
) -> str:
    text = f"cell ({name}) {{ area : {area};"
    for pin in pins:
        text += f" pin ({pin}) {{ direction : input; capacitance : {load}; }}"
    # What comes by a later pin leaves with a slower edge.
    arcs = " ".join(_arc(pin, sense, 0.02, resistance, slew=0.05 * i) for i, pin in enumerate(pins))
    text += f' pin (Z) {{ direction : output; max_capacitance : 100; function : "{function}";'
    return f"{text} {arcs} }} }}"


_FLIP_FLOP = (
    'cell (DFF) { area : 5; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }'
    " pin (CK) { direction : input; clock : true; capacitance : 1; }"
    " pin (D) { direction : input; capacitance : 1; timing () {"
    ' related_pin : "CK"; timing_type : setup_rising;'
    + _table("rise_constraint", "c", lambda clock, data: 0.03 + 0.2 * data - 0.1 * clock)
    + _table("fall_constraint", "c", lambda clock, data: 0.04 + 0.2 * data - 0.1 * clock)
    + ' } } pin (Q) { direction : output; max_capacitance : 100; function : "IQ";'
    + _arc("CK", "non_unate", 0.1, 0.01, "rising_edge")
    + " } }"
)


def _liberty(wires: bool) -> bytes:
    cells = [
        _gate("INV1", 1, "A", "!A", 1, 0.02),
        _gate("INV2", 1.5, "A", "!A", 2, 0.01),
        _gate("BUF1", 2, "A", "A", 1, 0.02, "positive_unate"),
        _gate("NAND1", 2, "AB", "!(A*B)", 1, 0.02),
        _gate("NAND2", 3, "AB", "!(A*B)", 2, 0.01),
        _FLIP_FLOP,
    ]
    return "\n".join([_HEADER, _WIRES if wires else "", *cells, "}"]).encode()


LIBRARY = parse(_liberty(False), "small")
DEMO = parse(DEMO_CELLS.read_bytes(), "demo")
WIRED = parse(_liberty(True), "small")


def _ports(**bits: int) -> dict[str, Any]:
    return {
        name: {"direction": "output" if name == "o" else "input", "bits": [bit]}
        for name, bit in bits.items()
    }


def _module(ports: dict[str, Any], **cells: Json) -> Json:
    return {"ports": ports, "cells": cells, "netnames": {}}


def _flip_flop(d: int, q: int) -> Json:
    return new_cell("DFF", {"CK": 2, "D": d}, {"Q": q})


def _inverter(a: int, z: int, kind: str = "INV1") -> Json:
    return new_cell(kind, {"A": a}, {"Z": z})


def _timing(modules: dict[str, Json], library=LIBRARY, **options: Any) -> Timing:
    return Timing(Flat({"modules": modules}, "top", library), library, **options)


def _chain() -> Json:
    """Two flip-flops with two inverters between them; the first drives another pin, too."""
    return _module(
        _ports(clk=2),
        start=_flip_flop(3, 4),
        first=_inverter(4, 5),
        second=_inverter(5, 6),
        other=_inverter(5, 7),
        end=_flip_flop(6, 8),
    )


def test_tables_are_linear_between_and_beyond_their_points():
    table = Table(
        np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0]), np.array([[0, 2], [1, 3], [5, 9]])
    )
    which = np.zeros(4, dtype=int)
    x, y = np.array([0.5, 2.0, 4.0, 1.0]), np.array([1.0, 1.0, 0.0, 4.0])
    values, by_x, by_y = Tables([table]).at(which, x, y)
    assert values.tolist() == [1.5, 4.5, 7.0, 5.0]
    assert by_x[0] == 1 and by_y[0] == 1


def test_a_chain_by_hand():
    timing = _timing({"top": _chain()})
    # The flip-flop drives one pin, the first inverter two, the second a flip-flop.
    start, slew0 = 0.1 + 0.01 * 1, 2 * 0.01 * 1
    first, slew1 = start + 0.02 + 0.1 * slew0 + 0.02 * 2, 2 * 0.02 * 2
    second, slew2 = first + 0.02 + 0.1 * slew1 + 0.02 * 1, 2 * 0.02 * 1
    rising = second + 0.01 + 0.03 + 0.2 * slew2  # one of the two inverters falls
    falling = second + 0.01 + 0.01 + 0.04 + 0.2 * slew2  # the flip-flop and the other one fall
    assert timing.need.max() == pytest.approx(max(rising, falling))
    assert timing.module_needs() == {"top": pytest.approx(max(rising, falling))}


def test_wires_load_by_their_fanout():
    plain, wired = (_timing({"top": _chain()}, library) for library in (LIBRARY, WIRED))
    extra = wired.load - plain.load
    assert sorted(set(extra[extra > 0].round(6))) == [0.5, 1.5]


def test_inputs_count_only_where_they_are_asked_to():
    module = _module(_ports(clk=2, i=3), end=_flip_flop(3, 4))
    assert _timing({"top": module}).need.max() < 0
    assert _timing({"top": module}, from_ports=True).need.max() == pytest.approx(0.04)


def _twice() -> dict[str, Json]:
    """One driver for two instances of a module that registers its input."""
    inner = _module(_ports(clk=2, i=3), end=_flip_flop(4, 5), inverter=_inverter(3, 4))
    instance = {
        **new_cell("inner", {"clk": 2, "i": 4}, {}),
        "port_directions": {"clk": "input", "i": "input"},
    }
    top = _module(_ports(clk=2), start=_flip_flop(3, 4), one=instance, two=deepcopy(instance))
    return {"inner": inner, "top": top}


def test_further_instances_load_what_drives_them_and_cost_area():
    timing = _timing(_twice())
    assert timing.counts == {"inner": 2, "top": 1}
    place = timing.graph.places.index(("inner", "inverter"))
    net = timing.graph.pin_net[timing.graph.pin_place == place]
    assert timing.load[2 * net].tolist() == [2, 2]
    timing.strength[place] = 1
    timing.analyse()
    assert timing.load[2 * net].tolist() == [4, 4]


def test_what_drives_a_further_instance_is_timed_too():
    """Two buffers, of which the further instance's has more to drive."""

    def modules(loaded: int) -> dict[str, Json]:
        found = _twice()
        cells = found["top"]["cells"]
        cells |= {"fast": _inverter(4, 6), "slow": _inverter(4, 7)}
        cells |= {f"load{i}": _inverter(loaded, 20 + i) for i in range(8)}
        cells["one"]["connections"]["i"], cells["two"]["connections"]["i"] = [6], [7]
        return found

    late, early = _timing(modules(7)), _timing(modules(4))
    assert late.need.max() > _timing(_twice()).need.max() + 0.1
    gains = late.cost(late.worth(1e-3), late.strength)
    assert gains[late.graph.places.index(("top", "slow"))] > 0
    assert early.counts == late.counts


def test_further_flip_flops_are_ends():
    inner = _module(_ports(clk=2, i=3), end=_flip_flop(3, 5))
    modules = _twice() | {"inner": inner}
    modules["top"]["cells"]["slow"] = _inverter(4, 6)
    before = _timing(modules).need.max()
    modules["top"]["cells"]["two"]["connections"]["i"] = [6]
    assert _timing(modules).need.max() > before


def test_instances_in_a_row_are_no_loop():
    inner = _module(_ports(clk=2, i=3) | {"o": {"direction": "output", "bits": [4]}},
                    inverter=_inverter(3, 4))  # fmt: skip

    def instance(source: int, target: int) -> Json:
        return {
            **new_cell("inner", {"clk": 2, "i": source}, {"o": target}),
            "port_directions": {"clk": "input", "i": "input", "o": "output"},
        }

    top = _module(_ports(clk=2), start=_flip_flop(3, 4), one=instance(4, 5), two=instance(5, 6),
                  end=_flip_flop(5, 7))  # fmt: skip
    assert _timing({"inner": inner, "top": top}).need.max() > 0


def test_loops_are_told():
    module = _module(_ports(clk=2), a=_inverter(3, 4), b=_inverter(4, 3))
    with pytest.raises(ToolError, match="combinational loop"):
        _timing({"top": module})


def _tangle(seed: int) -> Json:
    """Random gates between flip-flops."""
    choose = random.Random(seed)
    cells: dict[str, Json] = {f"s{i}": _flip_flop(i + 3, i + 20) for i in range(6)}
    nets = list(range(20, 26))
    for i in range(60):
        out = 100 + i
        if choose.random() < 0.4:
            cells[f"g{i}"] = _inverter(choose.choice(nets[-12:]), out)
        else:
            a, b = choose.choice(nets[-12:]), choose.choice(nets[-12:])
            cells[f"g{i}"] = new_cell("NAND1", {"A": a, "B": b}, {"Z": out})
        nets.append(out)
    cells |= {f"e{i}": _flip_flop(net, 300 + i) for i, net in enumerate(nets[-8:])}
    return _module(_ports(clk=2), **cells)


@pytest.mark.parametrize("seed", range(3))
def test_sizing_meets_what_it_can_and_wastes_nothing(seed: int):
    timing = _timing({"top": _tangle(seed)})
    slow = timing.need.max()
    area = _area(timing)
    period = 0.95 * slow
    assert Sizer(timing, LIBRARY).run(period)
    assert timing.need.max() <= period
    assert area < _area(timing)
    for place in np.flatnonzero(timing.strength):  # none is stronger than it need be
        timing.strength[place] -= 1
        timing.analyse()
        assert timing.need.max() > period
        timing.strength[place] += 1
    assert not Sizer(timing, LIBRARY).run(0.1 * slow)


def test_sizing_passes_over_a_strength_that_is_no_better():
    """As clock buffers are among buffers: larger than the weakest, smaller than the next, slow."""
    slow = _gate("INV_C", 1.2, "A", "!A", 1, 0.03)
    library = parse(
        _liberty(False).replace(b"cell (INV2)", slow.encode() + b"cell (INV2)"), "small"
    )
    assert library.variants["INV1"] == ("INV1", "INV_C", "INV2")
    best = _timing({"top": _chain()}, library)
    best.strength[:] = best.graph.most
    best.analyse()
    timing = _timing({"top": _chain()}, library)
    assert Sizer(timing, library).run(float(best.need.max()) + 1e-6)
    assert 1 not in timing.strength and 2 in timing.strength
    assert Sizer(timing, library).run(10.0)  # and all of them are weakened past it again
    assert not timing.strength.any()


def test_sizing_goes_on_while_a_broad_front_moves():
    """The worst arrival falls only when all of 500 equal paths were sped up."""
    cells: dict[str, Json] = {}
    for i in range(500):
        at = 10 * i + 10
        cells |= {
            f"start{i}": _flip_flop(3, at),
            f"first{i}": _inverter(at, at + 1),
            f"second{i}": _inverter(at + 1, at + 2),
            f"other{i}": _inverter(at + 1, at + 3),
            f"end{i}": _flip_flop(at + 2, at + 4),
        }
    timing = _timing({"top": _module(_ports(clk=2), **cells)})
    assert Sizer(timing, LIBRARY).run(float(timing.need.max()) - 0.01)
    assert timing.strength.sum() >= 500


@pytest.mark.parametrize("most", [2, 1])
def test_cells_that_are_too_weak_for_their_load_are_exchanged(most: int):
    """An inverter bears one or two loads in its weaker form; ``other`` makes its load two."""
    text = _liberty(False).replace(b"max_capacitance : 100", b"max_capacitance : %d" % most, 1)
    library = parse(text, "small")
    design: Json = {"modules": {"top": _chain()}}
    timing = Closing(library, {"small.lib": text}, "top", 5.0).timing(design)
    first = design["modules"]["top"]["cells"]["first"]["type"]
    assert first == ("INV2" if most == 1 else "INV1")
    assert timing.need.max() == pytest.approx(_timing(design["modules"], library).need.max())
    timing.strength[:] = 0
    assert Sizer(timing, library).run(5.0)
    assert timing.strength.sum() == (most == 1)  # nor is it weakened again


def _area(timing: Timing) -> float:
    return sum(
        LIBRARY.cells[family[strength]].area
        for family, strength in zip(timing.graph.family, timing.strength, strict=True)
    )


def test_worth_is_what_the_worst_arrival_changes_by():
    timing = _timing({"top": _tangle(0)})
    worth = timing.worth(1e-4 * timing.need.max())
    before = timing.cost(worth, timing.strength)
    base = timing.need.max()
    for place in range(len(timing.strength)):
        changed = timing.strength.copy()
        changed[place] = timing.graph.most[place]
        foretold = timing.cost(worth, changed)[place] - before[place]
        timing.strength, kept = changed, timing.strength
        timing.analyse()
        # A gain may end where another path becomes the worst.
        assert timing.need.max() - base >= foretold - 0.01
        timing.strength = kept
        timing.analyse()


@needs_opensta
@pytest.mark.parametrize(("wires", "seed"), [(w, s) for w in (False, True) for s in range(2)])
def test_opensta_agrees(wires: bool, seed: int):
    library = WIRED if wires else LIBRARY
    design: Json = {"modules": {"top": _tangle(seed)}}
    closing = Closing(library, {"small.lib": _liberty(wires)}, "top", 5.0)
    timing = closing.timing(design)
    found = closing.check(design)
    assert found.slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)
    assert found.slacks == {"top": found.slack}
    sized = closing.size(design, timing)
    assert sized.slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)


def _many_kinds(seed: int) -> Json:
    """Random gates of every kind of the demonstration library between flip-flops."""
    choose = random.Random(seed)
    gates = [cell for cell in DEMO.cells.values() if cell.tables and cell.name.endswith("_X1")]
    cells: dict[str, Json] = {}
    for i in range(4):
        cells[f"s{i}"] = new_cell("DFF_X1", {"CK": 2, "D": i + 3}, {"Q": i + 10, "QN": i + 20})
    nets: list[Bit] = [*range(10, 14), *range(20, 24)]
    for i, gate in enumerate(choose.sample(gates * 5, 5 * len(gates))):
        outputs: dict[str, Bit] = {pin: 100 + 2 * i + bit for bit, pin in enumerate(gate.outputs)}
        cells[f"g{i}"] = new_cell(
            gate.name, {pin: choose.choice(nets[-12:]) for pin in gate.inputs}, outputs
        )
        nets += outputs.values()
    for i, net in enumerate(nets[-8:]):
        cells[f"e{i}"] = new_cell(f"DFF_X{1 + i % 2}", {"CK": 2, "D": net}, {"Q": 400 + i})
    return _module(_ports(clk=2), **cells)


@needs_opensta
@pytest.mark.parametrize("seed", range(3))
def test_opensta_agrees_on_every_kind_of_cell(seed: int):
    design: Json = {"modules": {"top": _many_kinds(seed)}}
    closing = Closing(DEMO, {"demo.lib": DEMO_CELLS.read_bytes()}, "top", 5.0)
    timing = closing.timing(design)
    assert closing.check(design).slack == pytest.approx(5.0 - timing.need.max(), abs=2e-4)
    period = round(0.95 * float(timing.need.max()), 3)
    closing = Closing(DEMO, {"demo.lib": DEMO_CELLS.read_bytes()}, "top", period)
    sized = closing.size(design, timing)
    assert timing.strength.any()
    assert sized.slack == pytest.approx(period - timing.need.max(), abs=2e-4)


@needs_opensta
def test_closing_gives_the_sized_netlist():
    design: Json = {"modules": {"top": _tangle(1)}}
    slow = _timing(design["modules"]).need.max()
    closing = Closing(LIBRARY, {"small.lib": _liberty(False)}, "top", round(0.95 * slow, 3))
    found = closing.size(design, closing.timing(design))
    assert found.slack >= 0
    assert "INV2" in found.netlist or "NAND2" in found.netlist
    assert found.path[0].split()[1].endswith("/CK")
