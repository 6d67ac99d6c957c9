"""A small library whose delays can be added by hand, and netlists of its cells."""

import random
from collections.abc import Callable
from typing import Any

from lutcore.gen.asic.flat import Flat
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.timing import Timing
from lutcore.gen.tools.netlist import Json, new_cell

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


def gate(
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


def liberty(wires: bool) -> bytes:
    cells = [
        gate("INV1", 1, "A", "!A", 1, 0.02),
        gate("INV2", 1.5, "A", "!A", 2, 0.01),
        gate("BUF1", 2, "A", "A", 1, 0.02, "positive_unate"),
        gate("NAND1", 2, "AB", "!(A*B)", 1, 0.02),
        gate("NAND2", 3, "AB", "!(A*B)", 2, 0.01),
        _FLIP_FLOP,
    ]
    return "\n".join([_HEADER, _WIRES if wires else "", *cells, "}"]).encode()


LIBRARY = parse(liberty(False), "small")
WIRED = parse(liberty(True), "small")


def ports(**bits: int) -> dict[str, Any]:
    return {
        name: {"direction": "output" if name == "o" else "input", "bits": [bit]}
        for name, bit in bits.items()
    }


def made(ports: dict[str, Any], **cells: Json) -> Json:
    return {"ports": ports, "cells": cells, "netnames": {}}


def flip_flop(d: int, q: int) -> Json:
    return new_cell("DFF", {"CK": 2, "D": d}, {"Q": q})


def inverter(a: int, z: int, kind: str = "INV1") -> Json:
    return new_cell(kind, {"A": a}, {"Z": z})


def timed(modules: dict[str, Json], library=LIBRARY, **options: Any) -> Timing:
    return Timing(Flat({"modules": modules}, "top", library), library, **options)


def chain() -> Json:
    """Two flip-flops with two inverters between them; the first drives another pin, too."""
    return made(
        ports(clk=2),
        start=flip_flop(3, 4),
        first=inverter(4, 5),
        second=inverter(5, 6),
        other=inverter(5, 7),
        end=flip_flop(6, 8),
    )


def tangle(seed: int) -> Json:
    """Random gates between flip-flops."""
    choose = random.Random(seed)
    cells: dict[str, Json] = {f"s{i}": flip_flop(i + 3, i + 20) for i in range(6)}
    nets = list(range(20, 26))
    for i in range(60):
        out = 100 + i
        if choose.random() < 0.4:
            cells[f"g{i}"] = inverter(choose.choice(nets[-12:]), out)
        else:
            a, b = choose.choice(nets[-12:]), choose.choice(nets[-12:])
            cells[f"g{i}"] = new_cell("NAND1", {"A": a, "B": b}, {"Z": out})
        nets.append(out)
    cells |= {f"e{i}": flip_flop(net, 300 + i) for i, net in enumerate(nets[-8:])}
    return made(ports(clk=2), **cells)
