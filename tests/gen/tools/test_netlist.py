"""Netlists: nets that pass through modules are led around them; what the model tells."""

from lutcore.gen.tools.netlist import Netlist, below_first, bypass, new_cell


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


def _two_levels():
    below = {
        "ports": _ports(i=[2], o=[3]),
        "cells": {"inverter": new_cell("INV", {"A": 2}, {"Z": 3})},
        "netnames": {},
    }
    instance = {"port_directions": {"i": "input", "o": "output"}}
    top = {
        "ports": _ports(i=[2], o=[5, "0"]),
        "cells": {
            "first": _instance("below", i=[2], o=[4]) | instance,
            "second": _instance("below", i=[4], o=[5]) | instance,
            "reader": new_cell("NAND", {"A": 4, "B": "1"}, {"Z": 6}),
        },
        "netnames": {},
    }
    return {"modules": {"top": top, "below": below, "INV": {"ports": {}, "cells": {}}}}


def test_a_netlist_is_read_down_its_hierarchy():
    netlist = Netlist(_two_levels(), "top", {"INV"})
    assert netlist.counts() == {"top": {"below": 2, "NAND": 1}, "below": {"INV": 1}}
    paths = [(path, module.name) for path, module in netlist.instances()]
    assert paths == [("", "top"), ("first", "below"), ("second", "below")]
    first = netlist.modules["top"].cells[0]
    assert list(netlist.joined(first)) == [(2, 2), (4, 3)]
    assert list(below_first(_two_levels()["modules"])) == ["INV", "below", "top"]


def test_nets_of_a_module_have_a_driver_and_readers():
    module = Netlist(_two_levels(), "top").modules["top"]
    assert module.drivers() == {
        2: ("", "i"),
        4: ("below", "o"),
        5: ("below", "o"),
        6: ("NAND", "Z"),
    }
    assert module.readers() == {
        2: {("below", "i"): 1},
        4: {("below", "i"): 1, ("NAND", "A"): 1},
        5: {("", "o"): 1},
    }
