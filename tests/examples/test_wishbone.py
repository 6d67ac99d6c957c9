"""The Wishbone example against the ISA model."""

import re

import numpy as np
import pytest
from examples.wishbone import WishboneCore, main, run

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.assembler import assemble
from lutcore.compiler.program.program import Output, Program
from lutcore.gen.emit.rtl import component_verilog
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.isa.model import IsaModel

pytestmark = pytest.mark.slow

CONFIG = preset("edge").replace(n=8, result_columns=2, group_size=32)


@pytest.mark.parametrize("wait", [1, 3])
@pytest.mark.parametrize("output", ["fp32", "bf16"])
def test_a_gemm(output, wait):
    """Ragged columns: the last words of rows are written in part."""
    rng = np.random.default_rng(1)
    tensor = random_tensor((11, 40), 3, 32, rng)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    program = gemm(CONFIG, tensor, random_activations(CONFIG, 2, 40, rng), output)
    program.memory[program.output.address :] = 0xAA  # what a strobe too many would change
    memory, cause = run(program, wait)
    expected = program.image()
    IsaModel(CONFIG, expected).run(program.address, len(program.words))
    assert cause == Cause.NONE and (expected != program.image()).any()
    np.testing.assert_array_equal(memory, expected)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("load.act mem=r0 local=r1 rows=1 bytes=64 pitch=0", Cause.READ),
        ("store.fp32 mem=r0 local=r1 rows=1 columns=4 pitch=0", Cause.WRITE),
    ],
)
def test_errors_of_the_bus_are_faults(text, cause):
    memory = np.zeros(4096, np.uint8)
    words = assemble(f"set reg=r0 value=4096\n{text}\nhalt")
    program = Program(CONFIG, words, 0, memory, Output(0, 1, 1, 4, "fp32"))
    after, found = run(program)
    assert found == cause
    np.testing.assert_array_equal(after, program.image())


def test_it_becomes_verilog():
    text = component_verilog(WishboneCore(CONFIG), "lutcore")
    assert "module lutcore (" in text and re.search(r"output +reg +\[7:0\] +memory__sel\b", text)


def test_it_runs_from_the_command_line(capsys):
    main()
    assert "cause 0, 0 bytes differ" in capsys.readouterr().out
