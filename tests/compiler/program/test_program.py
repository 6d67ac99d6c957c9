"""Programs in files, and their results: bit patterns in memory, and the numbers that they are."""

from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from crafted_files import changed, sealed, small_program, table_of

from lutcore.compiler.program.program import Output, Program
from lutcore.errors import InputError

TYPES = {
    "fp32": (np.float32, np.float32),
    "int32": (np.int32, np.int32),
    "fp16": (np.float16, np.float16),
    "bf16": (ml_dtypes.bfloat16, np.float32),
}


@pytest.mark.parametrize("name", TYPES)
def test_numbers_are_what_the_patterns_in_memory_mean(name):
    """Rows with gaps between them, of random patterns: infinities and NaN among them."""
    stored, given = TYPES[name]
    size = np.dtype(stored).itemsize
    memory = np.random.default_rng(1).integers(0, 256, 4096).astype(np.uint8)
    output = Output(address=64, rows=3, columns=100, pitch=512, type=name)
    numbers = output.numbers(output.read(memory))
    rows = [memory[64 + 512 * row :][: 100 * size].view(stored) for row in range(3)]
    assert numbers.dtype == given
    np.testing.assert_array_equal(numbers, np.stack(rows).astype(given))


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "p.lut"
    program = small_program()
    program.save(path)
    return program, path


def test_programs_survive_their_file(saved, tmp_path):
    program, path = saved
    again = Program.load(path)
    assert (again.words, again.config) == (program.words, program.config)
    assert (again.address, again.output) == (program.address, program.output)
    np.testing.assert_array_equal(again.image(), program.image())
    for content in (program, again):
        content.save(tmp_path / "again.lut")
        assert (tmp_path / "again.lut").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("address", -4096, r"address must be a whole number in 0\.\."),
        ("address", 4, "the program: .* at 0x4 are not inside of the memory .* a multiple of 8"),
        ("address", 1 << 40, "the program: .* are not inside of the memory"),
        ("address", True, "address must be a whole number"),
        ("output.address", 1 << 40, "the output: .* are not inside of the memory"),
        ("output.address", 4, "the output: .* at 0x4 are not inside"),
        ("output.rows", 0, r"rows must be a whole number in 1\.\."),
        ("output.rows", 1 << 40, "the output: .* are not inside of the memory"),
        ("output.columns", 0, r"columns must be a whole number in 1\.\."),
        ("output.columns", 9, "pitch must be a multiple of 8 from 36, not 32"),
        ("output.pitch", 36, "pitch must be a multiple of 8 from 32, not 36"),
        ("output.type", "fp64", "type must be one of fp32, int32, fp16, bf16, not 'fp64'"),
        ("output.type", changed, "output must have just address, rows, columns, pitch, type"),
        ("other", 1, "'other' is missing or unknown"),
    ],
)
def test_a_program_that_no_core_can_run_is_refused(saved, where, value, message):
    _, path = saved
    raw = path.read_bytes()
    path.write_bytes(sealed(raw, changed(table_of(raw), ("about", *where.split(".")), value)))
    with pytest.raises(InputError, match=message) as caught:
        Program.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_what_could_not_be_read_is_not_written(saved, tmp_path):
    program, _ = saved
    for bad, message in (
        (replace(program, address=-4096), "the program: .* are not inside of the memory"),
        (replace(program, words=[]), "has 0 instructions"),
        (replace(program, words=[1] * 4096), r"has 4096 instructions, lutcore_edge holds 1\.\.256"),
        (replace(program, memory=program.memory[:100]), "a multiple of 4096, not 100"),
        (replace(program, output=replace(program.output, pitch=4)), "pitch must be"),
    ):
        with pytest.raises(InputError, match=message):
            bad.save(tmp_path / "bad.lut")
    assert not (tmp_path / "bad.lut").exists()
