"""Results of programs: bit patterns in memory, and the numbers that they are."""

import ml_dtypes
import numpy as np
import pytest

from lutcore.compiler.program.program import Output

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
