"""What the benches of a design play: words of a product's streams, or a program's memory.

The golden model says what must come out of a tile, the ISA model what a program leaves in memory.
"""

from dataclasses import dataclass, replace

import numpy as np

from lutcore.compiler.lowering.gemm import gemm
from lutcore.gen.run.tile import random_problem
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.isa.model import IsaModel
from lutcore.verif.sim.fields import result_beats, to_words
from lutcore.verif.sim.job import tile_job

_SEED = 1


@dataclass(frozen=True)
class Words:
    """Words of ``bits`` each, in their order."""

    bits: int
    words: list[int]

    def hex(self) -> str:
        """A file for ``$readmemh``: one word a line."""
        digits = -(-self.bits // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)


@dataclass(frozen=True)
class TileVectors:
    """One product on a tile.

    Attributes
    ----------
    inputs : dict of str to Words
        Payloads of each input stream.
    expected, checked : Words
        Payloads of the results, and which of their bits count: padding is not checked.
    """

    inputs: dict[str, Words]
    expected: Words
    checked: Words


@dataclass(frozen=True)
class Program:
    """A program in memory.

    Attributes
    ----------
    memory, expected : Words
        Words of the bus from address 0, before and after.
    address, length : int
        Byte address of the first instruction, and how many there are.
    """

    memory: Words
    expected: Words
    address: int
    length: int


def tile_vectors(config: CoreConfig) -> TileVectors:
    """A random product of a row and a column more than the tile has, of two runs where short."""
    depth = 2 * config.group_size if config.group_size else 6 * config.depth
    shape = (config.m + 1, config.columns + 1, depth)
    tensor, activations = random_problem(config, shape, 0, config.group_size or depth, _SEED)
    job = tile_job(config, activations, tensor)
    inputs = {name: Words(beats.shape[1], to_words(beats)) for name, beats in job.inputs.items()}
    checked = {name: -counts.astype(np.int64) for name, counts in job.checked.items()}
    found = [result_beats(config, fields) for fields in (job.expected, checked)]
    expected, mask = (Words(beats.shape[1], to_words(beats)) for beats in found)
    return TileVectors(inputs, expected, mask)


def program(config: CoreConfig) -> Program:
    """A random product as a program, whose result is FP32."""
    group = config.group_size or 2 * config.depth
    shape = (config.m, config.columns + 1, 2 * group)
    tensor, activations = random_problem(config, shape, 0, group, _SEED)
    tensor = replace(tensor, zero_points=np.ones_like(tensor.zero_points))  # one for all
    made = gemm(config, tensor, activations)
    before = made.image()
    after = before.copy()
    IsaModel(config, after).run(made.address, len(made.words))
    bits = config.bus_bits
    memory, expected = (Words(bits, _words(image, bits // 8)) for image in (before, after))
    return Program(memory, expected, made.address, len(made.words))


def _words(image: np.ndarray, size: int) -> list[int]:
    padded = np.pad(image, (0, -len(image) % size))
    return [int.from_bytes(row.tobytes(), "little") for row in padded.reshape(-1, size)]
