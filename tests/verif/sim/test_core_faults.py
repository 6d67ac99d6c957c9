"""Random programs notice a broken core: each fault in its Verilog makes one of few seeds differ.

All faults are in one design, which is built once; what it is told as it starts chooses one of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from lutcore.gen.emit.rtl import verilog
from lutcore.gen.verify.core_runs import TESTS, drawn
from lutcore.gen.verify.cores import simulated
from lutcore.gen.verify.programs import difference
from lutcore.verif.plan.plan import load
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.core import without_power_on

pytestmark = pytest.mark.slow

CONFIG = SMALL_CORES["w4a8"]
#: Programs in which a fault must show, and which the sound design passes.
SEEDS = range(160)


@dataclass(frozen=True)
class Fault:
    """An expression of a module that is another one: ``broken``, where ``{}`` is what it was."""

    module: str
    before: str
    sound: str
    broken: str


def stuck(register: str, broken: str) -> Fault:
    return Fault("core_sequencer", rf"\b{register} <= ", r"word\[59:12\]", broken)


FAULTS = {
    "loads below 2^32": Fault(
        "core_load_bursts", r"payload\[47:0\] = ", "here", "{{16'd0, here[31:0]}}"
    ),
    "stores below 2^32": Fault(
        "core_store_bursts", r"payload\[47:0\] = ", "here", "{{16'd0, here[31:0]}}"
    ),
    "programs below 2^32": Fault(
        "control", r"program_\[47:32\] <= ", r"host__wdata\[15:0\]", "16'd0"
    ),
    "where a fault is, below 2^32": Fault(
        "core_load", "assign fault__address = ", "[^;]*", "({}) & 48'hFFFFFFFF"
    ),
    "pitch of loads without bit 31": Fault(
        "core_load_bursts", "assign row_term = ", "[^;]*", "({}) - {{16'd0, head_pitch[31], 31'd0}}"
    ),
    "pitch of stores negative": Fault(
        "core_store_bursts",
        "assign row_term = ",
        "[^;]*",
        "row + {{{{16{{head_pitch[31]}}}}, head_pitch}}",
    ),
    "bit 47 of r11 stuck at 0": stuck("r11", "{} & 48'h7FFFFFFFFFFF"),
    "bit 33 of r6 stuck at 1": stuck("r6", "{} | 48'h200000000"),
    "r9 is not set": stuck("r9", "r9"),
    "add of 32 bits": Fault(
        "core_sequencer",
        "assign r0_term = ",
        "[^;]*",
        "{{r0_term_1[47:32], r0_term_1[31:0] + word[43:12]}}",
    ),
    "window_low by 20 bits": Fault(
        "core_load_bursts",
        "assign within__term = ",
        "[^;]*",
        "(here[31:12] >= window_low[19:0]) & ({{1'b0, here[47:12]}} < window_high)",
    ),
    "window_high a page more": Fault(
        "core_store_bursts",
        "assign within__term = ",
        "[^;]*",
        "(here[47:12] >= window_low) & ({{1'b0, here[47:12]}} <= window_high)",
    ),
    "loop 2 counts as loop 1": Fault(
        "core_sequencer", "2'd1: loop_count_0_term_1 = ", "loop_count_1", "loop_count_0"
    ),
    "loop 4 never begins": Fault(
        "core_sequencer", "3'd3: loop_start_3 <= ", "loop_start_0_term", "loop_start_3"
    ),
    "bit 31 of a loop's count": Fault(
        "core_sequencer", r"3'd\d: loop_count_\d <= ", r"word\[39:8\]", "word[38:8]"
    ),
    "loops five deep": Fault("core_sequencer", "assign quiet_when_5 = ", "[^;]*", "1'b0"),
    "strobes behind a row": Fault("core_store_reader", r"stage\[3:2\] <= ", "[^;]*", "2'd2"),
    "rests of rows kept": Fault("core_load", "assign keep = ", "[^;]*", "16'hFFFF"),
    "two tokens of loads are one": Fault(
        "core",
        "assign tokens_load_compute_term = ",
        "[^;]*",
        "({}) - {{31'd0, done & |tokens_load_compute}}",
    ),
    "two tokens for stores are one": Fault(
        "core",
        "assign tokens_compute_store_term = ",
        "[^;]*",
        "({}) - {{31'd0, signal_store & |tokens_compute_store}}",
    ),
    "credit by bytes": Fault("core_sequencer", "credit_count = ", r"word\[25:10\]", "word[17:10]"),
    "ties away from even": Fault(
        "lane_adder", "assign magnitude_term = ", "[^;]*", "fine_significand[3]"
    ),
    "loads always idle": Fault("core_load", "assign idle = ", "[^;]*", "1'b1"),
    "errors of reads ignored": Fault(
        "core_load", "assign fault__valid = ", "[^;]*", "outside & ~stop"
    ),
    "errors of writes ignored": Fault(
        "core_store", "assign fault__valid = ", "[^;]*", "outside & ~stop"
    ),
    "abort ignored": Fault("control", "assign abort = ", "[^;]*", "1'b0"),
    "a second start": Fault(
        "control", "assign start = ", "[^;]*", "write_control_0 & host__wdata[0]"
    ),
    "counters go on": Fault("control", r"else if \(start\) slices <= ", "64'd0", "slices"),
    "parts of a register written": Fault(
        "control", r"write_irq_enable_0 = take & \(", "&host__wstrb", "1'b1"
    ),
    "writes behind the registers taken": Fault(
        "control", r"host__bresp <= \(\(", r"host__awaddr\[7:2\] < 6'h21", "1'b1"
    ),
    "reads behind the registers taken": Fault(
        "control", r"host__rresp <= \(", r"host__araddr\[7:2\] < 6'h21", "1'b1"
    ),
    "length changes meanwhile": Fault("control", r"if \(write_length_0 & ", "~busy", "1'b1"),
    "window changes meanwhile": Fault("control", r"if \(write_window_high_1 & ", "~busy", "1'b1"),
    "events cleared together": Fault(
        "control",
        r"irq_status_term = \(irq_status & ~\(",
        r"host__wdata\[2:0\] & \{3\{write_irq_status_0\}\}",
        "{{3{{write_irq_status_0}}}}",
    ),
    "interrupt of any event": Fault("control", r"irq = \|\(irq_status & ", "irq_enable", "3'd7"),
    "doorbell too many not told": Fault("control", "assign refused = ", "[^;]*", "1'b0"),
    "unused bits allowed": Fault(
        "core_sequencer_decoder", "assign cause_term_1 = ", "[^;]*", "~cause_term"
    ),
    "bursts across pages": Fault("core_load_bursts", "assign beats_term = ", "[^;]*", "9'h100"),
    "a program that no reset ends": Fault("core_sequencer", r"if \(", r"rst(?=\) state)", "1'b0"),
    "an address that no reset withdraws": Fault("master", r"if \(", r"rst(?=\) held)", "1'b0"),
}


def broken_core(text: str) -> str:
    """The core with all faults, none of which is chosen."""
    told = '\n  integer fault;\n  initial if (!$value$plusargs("fault=%d", fault)) fault = -1;\n'
    for number, fault in enumerate(FAULTS.values()):
        module = re.search(rf"^module core_axi__{fault.module} \(.*?^endmodule", text, re.M | re.S)
        assert module, f"no module {fault.module}"
        pattern = re.compile(f"({fault.before})({fault.sound})(?=[;)])")

        def edit(found: re.Match, fault=fault, number=number) -> str:
            broken = fault.broken.format(found[2])
            return f"{found[1]}((core_axi.fault == {number}) ? ({broken}) : ({found[2]}))"

        changed, count = pattern.subn(edit, module[0])
        assert count, f"the fault is not in this text: {fault}"
        text = text.replace(module[0], changed)
    return re.sub(
        r"(^module core_axi \(.*?\);\n)", lambda m: m[1] + told, text, count=1, flags=re.M | re.S
    )


def noticed(number: int, tests: Sequence[str] = TESTS) -> str:
    """How the first program differs that does; empty if none does."""
    running = simulated(CONFIG, "axi", broken_core, [f"+fault={number}"])
    cases = (drawn(CONFIG, test, seed) for seed in SEEDS for test in tests)
    try:
        return next(filter(None, (difference(CONFIG, running, case) for case in cases)), "")
    finally:
        running.close()


def test_the_sound_core_passes():
    assert not noticed(-1)


def test_plan_has_every_fault():
    assert sorted(fault for feature in load("core") for fault in feature.faults) == sorted(FAULTS)


@pytest.mark.parametrize(
    ("feature", "fault"),
    [(feature, fault) for feature in load("core") for fault in feature.faults],
    ids=lambda value: getattr(value, "name", value),
)
def test_fault_is_noticed_by_the_tests_of_its_feature(feature, fault):
    assert noticed(list(FAULTS).index(fault), feature.tests)


def test_memories_hold_anything_at_power_on():
    """What an FPGA clears is left out of the simulation."""
    text = verilog(CONFIG, "axi")
    assert text.count("initial begin") > 10
    assert "initial begin" not in without_power_on(text)
