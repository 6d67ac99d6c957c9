"""cocotb test of a tile between AXI-Streams: sources and a sink that are not ours.

Environment: ``LUTCORE_PLAN`` names a JSON file, stream -> packets as hexadecimal digits.
"""

import json
import os
from itertools import cycle
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

#: Patterns of pauses, which share no period.
PAUSES = [[0, 0, 1, 1, 0], [1, 0, 0], [0, 1, 0, 0, 0, 1, 1], [0, 1]]


@cocotb.test()
async def packets(dut):
    """What goes in comes out as results, one packet a run."""
    plan = json.loads(Path(os.environ["LUTCORE_PLAN"]).read_text())
    results = [bytes.fromhex(packet) for packet in plan.pop("results")]
    sink = AxiStreamSink(
        AxiStreamBus.from_prefix(dut, "m_axis_results"), dut.aclk, dut.aresetn, False
    )
    sink.set_pause_generator(cycle(PAUSES[-1]))
    dut.aresetn.value = 0
    cocotb.start_soon(Clock(dut.aclk, 10, unit="ns").start())
    for (name, sent), pauses in zip(plan.items(), PAUSES, strict=False):
        bus = AxiStreamBus.from_prefix(dut, f"s_axis_{name}")
        source = AxiStreamSource(bus, dut.aclk, dut.aresetn, False)
        source.set_pause_generator(cycle(pauses))
        for packet in sent:
            source.send_nowait(bytes.fromhex(packet))
    await ClockCycles(dut.aclk, 3)
    dut.aresetn.value = 1
    for packet in results:
        frame = await with_timeout(sink.recv(), 100, "us")
        assert bytes(frame.tdata) == packet
    await ClockCycles(dut.aclk, 20)
    assert sink.empty() and sink.idle()
