"""The cycle model without RTL: what skipping of turns may not change, and what it refuses."""

from collections.abc import Callable

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.assembler import assemble
from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.timeline import Timeline
from lutcore.errors import InputError
from lutcore.gen.run.tile import random_activations
from lutcore.hdl.config.presets import preset


def program(make_tensor, core: str, shape: tuple[int, int, int], bits: int, group: int):
    m, n, k = shape
    config = preset(core)
    kinds = {"ternary": True} if config.weight_coding == "ternary" else {}
    tensor = make_tensor(n, k, bits, group, shared=True, **kinds)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    values = random_activations(config, m, k, np.random.default_rng(0))
    return gemm(config, tensor, values)


@pytest.mark.parametrize(
    ("core", "shape", "bits", "group"),
    [
        ("default", (1, 1024, 2048), 2, 128),
        ("edge", (9, 100, 300), 2, 32),
        ("default-ternary", (5, 600, 1100), 2, 129),
        ("default-fp16", (40, 130, 700), 3, 64),
        ("large", (300, 1000, 520), 4, 0),
        ("default", (1, 64, 4096), 1, 8),
    ],
)
def test_skipped_turns_are_as_if_taken(monkeypatch, make_tensor, core, shape, bits, group) -> None:
    made = program(make_tensor, core, shape, bits, group or shape[2])
    memory = Memory(latency=33)
    turns = []

    def every(self, count: int, turn: Callable, *others: Callable) -> None:
        for number in range(count):
            turns.append(number)
            turn()

    found = cycles(made.config, made.words, memory)
    monkeypatch.setattr(Timeline, "repeat", every)
    assert found == cycles(made.config, made.words, memory)
    assert len(turns) > 500


def test_counts_are_those_of_the_work(make_tensor) -> None:
    made = program(make_tensor, "default", (3, 256, 512), 2, 128)
    found = cycles(made.config, made.words)
    config = made.config
    # Two blocks of rows, four tiles, 128 steps of two planes.
    assert found.slices == 2 * 4 * 512 // config.depth * 2
    assert found.write_beats == 3 * 256 * 4 // (config.bus_bits // 8)
    assert found.cycles > found.slices


def test_a_slower_memory_takes_longer(make_tensor) -> None:
    made = program(make_tensor, "default", (1, 512, 1024), 4, 128)
    full, late, half = (
        cycles(made.config, made.words, memory).cycles
        for memory in (Memory(), Memory(latency=200), Memory(words_per_cycle=0.5))
    )
    assert full < late < half
    assert 1.9 < half / full < 2.1


@pytest.mark.parametrize(
    "values",
    [{"latency": 0}, {"reads": 0}, {"writes": -1}, {"words_per_cycle": 0.0}],
)
def test_a_memory_that_cannot_be(values) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        Memory(**values)


def test_a_token_that_comes_later_is_refused() -> None:
    words = assemble("load.wgt mem=r0 local=r1 rows=1 bytes=16 pitch=0 wait_compute\nhalt\n")
    with pytest.raises(InputError, match="waits for a token"):
        cycles(preset("default"), words)
