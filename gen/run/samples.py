"""Small products, and programs of them: what benches and datasheets play on a design.

The golden model says what must come out of a tile, the ISA model what a program leaves in memory.
"""

from dataclasses import replace

import numpy as np

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.program import Program
from lutcore.gen.run.tile import random_problem
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.sim.job import TileJob, tile_job


def sample_job(
    config: CoreConfig, shape: tuple[int, int, int], group_size: int, seed: int = 0
) -> TileJob:
    """A random product of M, N, K for a tile, with its widest weights.

    Parameters
    ----------
    shape : tuple of int
        M, N, K.
    group_size : int
        Elements of K that share a zero point and a scale: those of a run, at most.
    """
    tensor, activations = random_problem(config, shape, 0, group_size, seed)
    return tile_job(config, activations, tensor)


def sample_program(
    config: CoreConfig,
    shape: tuple[int, int, int],
    group_size: int,
    bits: int = 0,
    seed: int = 0,
) -> Program:
    """The same as a program, whose result is FP32; one zero point for all weights.

    Of weights of ``bits`` each; 0: the widest. Other parameters as of :func:`sample_job`.
    """
    tensor, activations = random_problem(config, shape, bits, group_size, seed)
    tensor = replace(tensor, zero_points=np.ones_like(tensor.zero_points))
    return gemm(config, tensor, activations)


def memories(config: CoreConfig, program: Program) -> tuple[np.ndarray, np.ndarray]:
    """Memory before a program, and as it must be after it."""
    before = program.image()
    after = before.copy()
    IsaModel(config, after).run(program.address, len(program.words))
    return before, after
