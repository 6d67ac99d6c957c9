"""What the benches of a design play: words of a product's streams, or a program's memory."""

from dataclasses import dataclass

import numpy as np

from lutcore.gen.run.samples import memories, sample_job, sample_program
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.sim.fields import result_beats, to_words

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


def _group(config: CoreConfig, steps: int) -> int:
    """Elements of K in a group that is short enough to play; of a run's steps where it has none."""
    return min(config.group_size or steps * config.depth, 32 * config.depth, config.max_k)


def tile_vectors(config: CoreConfig) -> TileVectors:
    """A random product of a row and a column more than the tile has, of a run and a shorter one."""
    group = _group(config, 6)
    k = min(group + -(-group // 2), config.max_k)
    job = sample_job(config, (config.m + 1, config.columns + 1, k), group, _SEED)
    inputs = {name: Words(beats.shape[1], to_words(beats)) for name, beats in job.inputs.items()}
    checked = {name: -counts.astype(np.int64) for name, counts in job.checked.items()}
    found = [result_beats(config, fields) for fields in (job.expected, checked)]
    expected, mask = (Words(beats.shape[1], to_words(beats)) for beats in found)
    return TileVectors(inputs, expected, mask)


def program(config: CoreConfig) -> Program:
    """A random product as a program, whose result is FP32."""
    group = _group(config, 2)
    shape = (config.m, config.columns + 1, min(2 * group, config.max_k))
    made = sample_program(config, shape, group, seed=_SEED)
    bits = config.bus_bits
    memory, expected = (Words(bits, _words(image, bits // 8)) for image in memories(config, made))
    return Program(memory, expected, made.address, len(made.words))


def _words(image: np.ndarray, size: int) -> list[int]:
    padded = np.pad(image, (0, -len(image) % size))
    return [int.from_bytes(row.tobytes(), "little") for row in padded.reshape(-1, size)]
