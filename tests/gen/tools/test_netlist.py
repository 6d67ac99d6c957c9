"""Nets that pass through modules."""

from lutcore.gen.tools.netlist import bypass, new_cell


def _ports(**directions_and_bits):
    return {
        name: {"direction": "output" if name.startswith("o") else "input", "bits": bits}
        for name, bits in directions_and_bits.items()
    }


def _instance(kind, **connections):
    return {"type": kind, "connections": connections}


def test_what_passes_through_modules_is_led_around_them():
    below = {
        "ports": _ports(i=[2, 3], o=[3, 4, 4, "0", 3]),
        "cells": {"inverter": new_cell("INV", {"A": 2}, {"Z": 4})},
        "netnames": {"o": {"bits": [3, 4, 4, "0", 3]}},
    }
    between = {  # passes one bit on below, and another by itself
        "ports": _ports(i=[2, 3], o=[6, 2, 7]),
        "cells": {"b": _instance("below", i=[2, 3], o=[6, 7, 8, 9, 10])},
        "netnames": {},
    }
    top = {
        "ports": _ports(i=[2, 3], o=[20, 21]),
        "cells": {
            "first": _instance("between", i=[2, 3], o=[11, 12, 13]),
            "second": _instance("between", i=[11, 12], o=[20, 14, 21]),
            "reader": new_cell("NAND", {"A": 14, "B": 11}, {"Z": 30}),
        },
        "netnames": {"o": {"bits": [20, 21]}},
    }
    design = {"modules": {"top": top, "between": between, "below": below}}
    bypass(design)
    # What is read in the end are the inputs of the top, and the inverters' outputs.
    assert top["cells"]["second"]["connections"]["i"] == [3, 2]
    assert top["cells"]["reader"]["connections"] == {"A": [3], "B": [3], "Z": [30]}
    assert top["ports"]["o"]["bits"] == [2, 21]
    for module in (below, between):
        fed = [bit for bit in module["ports"]["i"]["bits"] if isinstance(bit, int)]
        out = [bit for bit in module["ports"]["o"]["bits"] if isinstance(bit, int)]
        assert len(set(out)) == len(out) and not set(out) & set(fed)
    assert below["netnames"]["o"]["bits"] == below["ports"]["o"]["bits"]
    assert below["ports"]["o"]["bits"][1] == 4 and below["ports"]["o"]["bits"][3] == "0"
