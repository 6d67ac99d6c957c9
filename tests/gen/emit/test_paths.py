"""No path without a register leads from what a bus gives to what it gets, as AXI asks (A3.2.1)."""

import itertools
import json
from collections import defaultdict

import pytest

from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.tools.yosys import run_yosys
from lutcore.verif.samples.cores import SMALL_CORES

#: Wishbone lets a slave end a transfer in the cycle in which the master has it.
ALLOWED = {"axi-wishbone": {("s_wb_cyc", "s_wb_ack"), ("s_wb_cyc", "s_wb_err")}}


def paths(text, top):
    """(input, output) of each path through cells that wait for no clock."""
    script = (
        f"read_verilog design.v\nhierarchy -top {top}\nproc\nflatten\nopt_clean\nmemory_dff\n"
        "splitcells\nopt_clean\nwrite_json design.json\n"
    )
    made = run_yosys(script, {"design.v": text.encode()}, ["design.json"])
    module = json.loads(made["design.json"])["modules"][top]
    behind = defaultdict(set)
    for cell in module["cells"].values():
        # A memory's port has a clock, which it need not use.
        clocked = int(cell["parameters"].get("CLK_ENABLE", "1"), 2)
        if "CLK" in cell["connections"] and clocked:
            continue
        ends = {"input": [], "output": []}
        for pin, bits in cell["connections"].items():
            ends[cell["port_directions"][pin]] += [bit for bit in bits if isinstance(bit, int)]
        for bit in ends["input"]:
            behind[bit].update(ends["output"])
    ports = {"input": {}, "output": {}}
    for name, port in module["ports"].items():
        ports[port["direction"]] |= dict.fromkeys(port["bits"], name)
    for first, name in ports["input"].items():
        met = last = {first}
        while last:
            last = set(itertools.chain.from_iterable(behind[bit] for bit in last)) - met
            met = met | last
        yield from ((name, ports["output"][bit]) for bit in met if bit in ports["output"])


@pytest.mark.slow
@pytest.mark.parametrize("top", ["axi", "axi-aclk", "axi-apb", "axi-wishbone"])
def test_no_path_leads_through_a_core(top):
    config = SMALL_CORES["w4a8"]
    found = set(paths(verilog(config, top), design_name(config, top)))
    assert found == ALLOWED.get(top, set())


def test_a_path_is_found():
    text = (
        "module t (input wire clk, input wire a, input wire b, output reg y, output wire z);\n"
        "  wire c = a & b;\n  assign z = ~c;\n  always @(posedge clk) y <= a;\nendmodule\n"
    )
    assert set(paths(text, "t")) == {("a", "z"), ("b", "z")}
