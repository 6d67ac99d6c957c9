"""The core behind each control bus: a GEMM against the ISA model, between hosts of others."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb_plan import run
from sweeps import swept

from lutcore.compiler.lowering.gemm import gemm
from lutcore.gen.emit.lint import lint
from lutcore.gen.emit.rtl import component_verilog
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.core.axi_core import (
    CONTROL_BUSES,
    AxiAclkCore,
    AxiApbCore,
    AxiCore,
    AxiWishboneCore,
    axi_aclk_core_signature,
    axi_apb_core_signature,
    axi_core_signature,
    axi_wishbone_core_signature,
)
from lutcore.hdl.parts.pieces import forward
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.samples.cores import SMALL_CORES

CONFIG = SMALL_CORES["w4a8"]
#: Variant -> component, signature of its ports, what is named after its clock and its registers.
VARIANTS = {
    "axi": (AxiCore, axi_core_signature, False, "s_axi_araddr"),
    "axi-aclk": (AxiAclkCore, axi_aclk_core_signature, True, "s_axi_araddr"),
    "axi-apb": (AxiApbCore, axi_apb_core_signature, True, "s_apb_paddr"),
    "axi-wishbone": (AxiWishboneCore, axi_wishbone_core_signature, False, "s_wb_adr"),
}
#: Identifiers, which a core has none of and the memory wants.
IDENTIFIERS = {"arid": Out(1), "rid": In(1), "awid": Out(1), "bid": In(1)}


class Identified(wiring.Component):
    """A core with AXI identifiers, always 0."""

    def __init__(self, core):
        self._core = core
        identifiers = {f"m_axi_{name}": member for name, member in IDENTIFIERS.items()}
        super().__init__(dict(core.signature.members) | identifiers)

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = self._core
        for name, member in self._core.signature.members.items():
            forward(m, getattr(self, name), getattr(self._core, name), member.flow)
        return m


@pytest.mark.parametrize("name", VARIANTS)
def test_ports(name):
    _, signature, own_clock, address = VARIANTS[name]
    members = signature(CONFIG).members
    assert own_clock == ("aclk" in members and "aresetn" in members)
    assert members[address] == In(8)
    assert {"m_axi_arcache", "m_axi_awprot", "irq"} <= members.keys()
    assert VARIANTS.keys() == CONTROL_BUSES.keys()


#: One of them; the others, on a preset, are among the texts of ``test_lint.py``.
LINTED = [pytest.param(name, core) for name in VARIANTS for core in ("w4a8", "fp16")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "core"), swept(LINTED, 8))
def test_linters_have_nothing_to_say(name, core):
    made, signature, *_ = VARIANTS[name]
    component = made(SMALL_CORES[core])
    assert component.signature == signature(SMALL_CORES[core])
    text = component_verilog(component, "core")
    assert [opinion.messages for opinion in lint(text, "core")] == [()] * 5


@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_a_gemm(name, tmp_path):
    rng = np.random.default_rng(3)
    tensor = random_tensor((11, 64), 3, CONFIG.group_size, rng)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    program = gemm(CONFIG, tensor, random_activations(CONFIG, 2, 64, rng))
    before = program.image()
    after = before.copy()
    IsaModel(CONFIG, after).run(program.address, len(program.words))
    assert (after != before).any()
    plan = {
        "bus": CONTROL_BUSES[name].prefix,
        "address": program.address,
        "length": len(program.words),
        "before": before.tobytes().hex(),
        "after": after.tobytes().hex(),
    }
    made, signature, *_ = VARIANTS[name]
    component = made(CONFIG)
    assert component.signature == signature(CONFIG)
    text = component_verilog(Identified(component), "core")
    assert run("control_buses_in_cocotb", text, "core", plan, tmp_path) == (1, 0)
