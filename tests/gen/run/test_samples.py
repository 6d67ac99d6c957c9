"""Small products: of the shape asked for, the same for the same seed, and programs that change
memory.
"""

import numpy as np
import pytest

from lutcore.gen.run.samples import memories, sample_job, sample_program
from lutcore.hdl.config.presets import preset
from lutcore.verif.samples.cores import SMALL_CORES

TILE = preset("w2a8").replace(n=4)


def test_a_job_is_what_was_asked_for():
    job = sample_job(TILE, (3, 5, 32), 16)
    tensor = job.layout.tensor
    assert (tensor.shape, tensor.group_size, tensor.bits) == ((5, 32), 16, TILE.max_weight_bits)
    runs, tiles = 2, 2 * 2  # of K; of rows and of columns, one more each than the tile has
    assert job.expected["last"].sum() == runs * tiles
    again, other = sample_job(TILE, (3, 5, 32), 16), sample_job(TILE, (3, 5, 32), 16, seed=1)
    weights = [it.inputs["weights"] for it in (job, again, other)]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()


@pytest.mark.parametrize("bits", [0, 1])
def test_a_program_leaves_its_results_and_nothing_else(bits):
    config = SMALL_CORES["w4a8"]
    program = sample_program(config, (2, 9, 64), 32, bits)
    before, after = memories(config, program)
    changed = np.flatnonzero(before != after)
    assert 2 * 9 * 3 < len(changed) <= 2 * 9 * 4  # FP32
    assert (before == program.image()).all()
