"""A bench of one's own: random programs in a system around a core, judged by the ISA model.

The system is ``soc.v``, its memory and host are those of cocotbext-axi. What to play and what must
come out is lutcore's: ``lutcore.verif.samples`` and ``lutcore.verif.isa``.

    python examples/soc_bench.py
"""

import tempfile
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from lutcore.compiler.program.assembler import to_bytes
from lutcore.files import example
from lutcore.gen.emit.rtl import verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.samples.programs import memory_image, random_program
from lutcore.verif.sim.play import run_bench
from lutcore.verif.sim.simulator import build

CONFIG = CoreConfig(
    name="soc_core",
    n=8,
    precompute="buffered",
    zero_points="external",
    result_columns=2,
    group_size=32,
    activation_buffer=512,
    weight_buffer=512,
    scale_buffer=256,
    output_buffer=1024,
    program_buffer=256,
)
#: Parts of the programs: loads, products, stores (:data:`lutcore.verif.samples.programs.CHOICES`).
PARTS = (0, 1, 2, 0, 1, 1, 2)
PROGRAMS = 8


async def _write(host: AxiLiteMaster, name: str, value: int) -> None:
    offset, register = REGISTERS[name]
    await host.write(offset, value.to_bytes(register.size // 8, "little"))


async def _read(host: AxiLiteMaster, name: str) -> int:
    offset, register = REGISTERS[name]
    return int.from_bytes((await host.read(offset, register.size // 8)).data, "little")


@cocotb.test()
async def programs_in_the_system(dut: Any) -> None:
    """Memory, cause and counters are those of the ISA model, program after program."""
    cocotb.start_soon(Clock(dut.clk, 4, unit="ns").start())
    ddr = AxiRam(
        AxiBus.from_prefix(dut, "ddr"), dut.clk, dut.resetn, reset_active_level=False, size=1 << 16
    )
    host = AxiLiteMaster(
        AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.resetn, reset_active_level=False
    )
    dut.resetn.value = 0
    await ClockCycles(dut.clk, 4)
    dut.resetn.value = 1
    await ClockCycles(dut.clk, 2)
    await _write(host, "irq_enable", 1)
    for seed in range(PROGRAMS):
        words = random_program(CONFIG, list(PARTS), seed)
        memory = memory_image(CONFIG, seed)
        code = to_bytes(words)
        memory[: len(code)] = np.frombuffer(code, np.uint8)
        wanted = memory.copy()
        state = IsaModel(CONFIG, wanted).run(0, len(words))
        ddr.write(0, memory.tobytes())
        await _write(host, "program", 0)
        await _write(host, "length", len(words))
        await _write(host, "control", 1)
        await with_timeout(RisingEdge(dut.done), 400, "us")
        assert (await _read(host, "status")) >> 8 == state.cause
        assert await _read(host, "slices") == state.slices
        content: Any = ddr.read(0, memory.size)
        found = np.frombuffer(content, np.uint8)
        assert np.array_equal(found, wanted), f"program {seed}: {np.flatnonzero(found != wanted)}"
        await _write(host, "irq_status", 7)
        await ClockCycles(dut.clk, 4)


def main(edit: Any = str) -> int:
    """Build the system and run the bench; how many of its tests failed.

    ``edit`` may change the core's Verilog, to see that a broken one fails.
    """
    core = edit(verilog(CONFIG, "axi"))
    built = build(core + example("soc.v").read_text(), "soc", optimised=False)
    with tempfile.TemporaryDirectory(prefix="soc-") as folder:
        return run_bench(built, "lutcore.examples.soc_bench", Path(folder))


if __name__ == "__main__":
    raise SystemExit(main())
