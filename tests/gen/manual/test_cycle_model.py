"""The cycle model against the counters of RTL; all of its cases: ``python -m
lutcore.gen.manual.cycle_model``.
"""

import random
from dataclasses import replace

import numpy as np
import pytest
from sweeps import swept

from lutcore.compiler.lowering.gemm import gemm, placed, plan
from lutcore.compiler.program.assembler import to_bytes
from lutcore.compiler.program.cuts import blockings
from lutcore.compiler.schedule.cycles import cycles
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.gen.manual.cycle_model import CASES
from lutcore.gen.run.machines import simulation
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.samples.programs import memory_image, random_program
from lutcore.verif.sim.core import Conditions

pytestmark = pytest.mark.slow

#: Small core (those that the core's own tests build), M, N, K, bits, group, latency, output.
LAYERS = [
    ("w4a8", 5, 40, 100, 4, 32, 20, "fp32"),
    ("w4a8", 1, 64, 96, 2, 32, 60, "fp16"),
    ("4-tiles", 7, 100, 96, 1, 32, 20, "fp32"),
    ("ternary", 2, 24, 99, 2, 33, 20, "fp32"),
    ("fp8-int8-tables", 4, 24, 64, 2, 32, 40, "fp32"),
]


@pytest.mark.parametrize("layer", swept(LAYERS, 2), ids=lambda layer: "-".join(map(str, layer)))
def test_counters_are_those_of_rtl(small_cores, layer) -> None:
    core, m, n, k, bits, group, latency, output = layer
    config = small_cores[core]
    rng = np.random.default_rng(0)
    ternary = config.weight_coding == "ternary"
    tensor = random_tensor((n, k), bits, group, rng, shared=True, ternary=ternary)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    program = gemm(config, tensor, random_activations(config, m, k, rng), output)
    running = simulation(config)
    length = len(program.words)
    outcome = running.run(program.image(), program.address, length, Conditions(latency=latency))
    running.close()
    outcome.check()
    found = cycles(config, program.words, Memory(latency=latency), program.address)
    assert abs(found.cycles / outcome.counters["cycles"] - 1) <= 0.02
    assert vars(found) == outcome.counters


@pytest.mark.parametrize("core", ["w4a8", "4-tiles"])
def test_counters_of_random_programs(small_cores, core) -> None:
    config = small_cores[core]
    running = simulation(config)
    instructions = 0
    # Some of these wait for the bus while they write.
    for seed in (*range(20), 78, 112, 129):
        rng = random.Random(seed)
        choices = [rng.choice([0, 0, 1, 1, 1, 2, 2, 3, 4]) for _ in range(rng.randint(3, 12))]
        latency = rng.choice([1, 3, 40])
        words = random_program(config, choices, seed)
        memory = memory_image(config, seed)
        code = np.frombuffer(to_bytes(words), np.uint8)
        memory[: len(code)] = code
        outcome = running.run(memory, 0, len(words), Conditions(latency=latency))
        outcome.check()
        assert vars(cycles(config, words, Memory(latency=latency))) == outcome.counters, seed
        instructions += outcome.counters["instructions"]
    running.close()
    assert instructions > 500


def test_weights_that_stay_give_the_same_on_rtl(small_cores) -> None:
    config = small_cores["w4a8"]
    rng = np.random.default_rng(1)
    tensor = random_tensor((40, 64), 2, 32, rng, shared=True)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    values = random_activations(config, 13, 64, rng)
    usual = plan(config, tensor, 13)
    kept = next(
        blocks
        for blocks in blockings(usual.layout, 13, 5, [usual.blocks.tiles])
        if blocks.kept == "weights"
    )
    results = []
    running = simulation(config)
    for blocks in (usual.blocks, kept):
        made = replace(usual, blocks=blocks)
        program = placed(made, values)
        memory = program.image()
        conditions = Conditions(stall=0.3, seed=2)
        outcome = running.run(memory, 0, len(program.words), conditions)
        outcome.check()
        assert outcome.state.cause == Cause.NONE
        results.append(program.output.read(memory))
        outcome = running.run(program.image(), 0, len(program.words))
        assert vars(cycles(config, program.words)) == outcome.counters
    running.close()
    np.testing.assert_array_equal(*results)
    assert results[0].any()


def test_enough_layers_are_held_out() -> None:
    assert len(CASES) >= 30
    assert len({case.core.split()[0] for case in CASES}) == 5
