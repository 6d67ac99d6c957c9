"""The search for a schedule: complete, deterministic, and right about what it moves."""

from dataclasses import replace

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import placed, plan
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import NEAR, Problem, choose, search, shape_problem
from lutcore.errors import InputError
from lutcore.gen.run.tile import random_activations
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.lmma import BYTES
from lutcore.verif.isa.model import IsaModel

SLOW = Memory(latency=100, words_per_cycle=0.1)


def problem(core: str, m: int, n: int, k: int, bits: int, group: int, memory=None) -> Problem:
    return shape_problem(preset(core), (m, n, k), bits, group, memory or Memory())


CASES = [
    problem("default", 1, 512, 1024, 2, 128),
    problem("default", 24, 192, 384, 4, 64),
    problem("default", 300, 128, 128, 2, 128, SLOW),
    problem("edge", 17, 70, 90, 3, 32),
    problem("default-ternary", 9, 200, 258, 2, 129),
]


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_search_is_as_good_as_trying_all(case) -> None:
    everything = search(case, exhaustive=True)
    assert all(candidate.cycles for candidate in everything)
    best, least = everything[0], min(candidate.time for candidate in everything)
    found = search(case)
    assert len(found) == len(everything)
    # The search ends where nobody can win more than a thousandth.
    assert found[0].time <= 1.001 * least * NEAR
    assert found[0].read <= best.read or found[0].time < best.time
    assert choose(case) == found[0].blocks == search(case)[0].blocks


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_bytes_and_limits_are_those_of_the_program(case) -> None:
    bus = case.layout.units.bus
    for candidate in search(case, exhaustive=True):
        counted = candidate.cycles
        assert counted
        program = len(case.words(candidate.blocks)) * BYTES
        assert counted.read_beats * bus == candidate.read + program
        assert candidate.limit <= counted.cycles


def test_the_choice_depends_on_the_memory() -> None:
    case = CASES[2]
    everything = {candidate.blocks: candidate for candidate in search(case, exhaustive=True)}
    assert {blocks.kept for blocks in everything} == {"nothing", "activations", "weights"}
    quick, slow = choose(replace(case, memory=Memory())), choose(case)
    assert slow != quick
    assert everything[slow].time < everything[quick].time


def test_weights_that_stay_give_the_same(make_tensor) -> None:
    config = preset("default")
    tensor = make_tensor(200, 256, 2, 128, shared=True)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    values = random_activations(config, 37, 256, np.random.default_rng(0))
    usual = plan(config, tensor, 37)
    case = problem("default", 37, 200, 256, 2, 128)
    results = []
    kept = set()
    for candidate in search(case, width=usual.blocks.tiles):
        program = placed(replace(usual, blocks=candidate.blocks), values)
        memory = program.image()
        IsaModel(config, memory).run(0, len(program.words))
        results.append(program.output.read(memory))
        kept.add(candidate.blocks.kept)
    assert "weights" in kept and results[0].any()
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_what_no_buffer_holds_is_refused() -> None:
    case = problem("default", 1, 64, 128, 4, 128)
    small = replace(case.layout, config=case.config.replace(weight_buffer=4096))
    with pytest.raises(InputError, match="cannot hold two runs"):
        search(replace(case, layout=small))
