"""What goes into a user's design: it compiles there, and a timer takes the constraints."""

import re

import pytest
from pyslang.ast import Compilation  # pyright: ignore[reportMissingModuleSource]
from pyslang.syntax import SyntaxTree  # pyright: ignore[reportMissingModuleSource]

from lutcore.gen.asic.liberty import DEMO, DEMO_CELLS
from lutcore.gen.asic.synth import netlist
from lutcore.gen.collateral.integration import clock_and_reset, instance, sdc, xdc
from lutcore.gen.emit.interfaces import TOPS, ports
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.gen.tools.opensta import run_sta, sta_command
from lutcore.hdl.config.presets import PRESETS
from lutcore.verif.samples.cores import SMALL_CORES


def diagnostics(*texts):
    compilation = Compilation()
    for text in texts:
        compilation.addSyntaxTree(SyntaxTree.fromText(text))
    return [str(found.code) for found in compilation.getAllDiagnostics()]


@pytest.mark.parametrize("top", TOPS)
def test_an_instance_stands_in_a_module(top):
    config = SMALL_CORES["w4a8"]
    clock, reset = clock_and_reset(config, top)
    text = instance(config, top)
    around = f"module around (input wire {clock}, input wire {reset});\n{text}\nendmodule\n"
    assert diagnostics(around, verilog(config, top)) == []
    assert diagnostics(around.replace(f".{clock}(", ".no_such_port("), verilog(config, top)) != []
    for port in ports(config, top):
        assert text.count(f".{port['name']}({port['name']})") == 1


@pytest.mark.parametrize("top", TOPS)
def test_constraints_name_every_port_once(top):
    config = SMALL_CORES["w4a8"]
    clock, _ = clock_and_reset(config, top)
    for text in (sdc(config, top), xdc(config, top)):
        listed = re.findall(r"^  (\w+)(?:\[\*\])?$", text, re.MULTILINE)
        assert sorted([*listed, clock]) == sorted(port["name"] for port in ports(config, top))


@pytest.mark.slow
@pytest.mark.asic
@pytest.mark.skipif(sta_command() is None, reason="apt-get install opensta")
@pytest.mark.parametrize("make", [sdc, xdc])
def test_a_timer_takes_them(make):
    """OpenSTA finds no port without a delay and no register without a clock."""
    config = PRESETS["w2a8"].replace(n=2, m=1)
    name = design_name(config)
    script = f"""
read_liberty cells.lib
read_verilog {name}.v
link_design {name}
read_sdc constraints.sdc
check_setup -verbose -no_input_delay -no_clock -unconstrained_endpoints
report_checks
"""
    files = {
        "cells.lib": DEMO_CELLS.read_bytes(),
        f"{name}.v": netlist(config, DEMO, period=3.0).encode(),
        "constraints.sdc": make(config, "tile").encode(),
    }
    printed, _ = run_sta(script, files)
    assert "Warning" not in printed and "slack" in printed
    assert run_sta(script, files | {"constraints.sdc": b""})[0].count("Warning") >= 2
