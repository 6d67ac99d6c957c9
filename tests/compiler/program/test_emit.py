"""Programs repeat patterns of runs, so that long rows of long scale groups stay short programs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.program.emit import turns
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import search, shape_problem
from lutcore.gen.run.program import compare
from lutcore.gen.run.tile import random_activations
from lutcore.hdl.config.presets import preset
from lutcore.verif.golden.integers import mpgemm


@given(st.lists(st.sampled_from("abc"), max_size=60))
def test_turns_say_the_same(items):
    found = list(turns(items))
    assert [item for pattern, count in found for item in [*pattern] * count] == items
    assert all(count >= 1 and len(pattern) >= 1 for pattern, count in found)


def test_the_longest_repetition_is_taken():
    assert list(turns("xabbabbabby")) == [("x", 1), ("abb", 3), ("y", 1)]
    assert list(turns("aabaab")) == [("aab", 2)]
    assert list(turns("aaaa")) == [("a", 4)]


def test_a_row_of_43_groups_of_two_runs_fits_the_program_buffer():
    """ffn_down of a 7B model in TQ2_0."""
    config = preset("default")
    problem = shape_problem(config, (1, 4096, 11008), 2, 256, Memory())
    best = search(problem)[0]
    assert len(problem.words(best.blocks)) < 100


def test_groups_of_several_runs_give_the_product(make_tensor):
    """Three runs a group, and a last group of one and a half."""
    config = preset("default").replace(group_size=64)
    tensor = make_tensor(70, 5 * 192 + 96, 2, 192, shared=True)
    tensor.scales[:] = tensor.scales.astype(np.float16)
    tensor.zero_points[:] = 1
    rng = np.random.default_rng(0)
    activations = random_activations(config, 5, tensor.shape[1], rng)
    program = gemm(config, tensor, activations)
    found = compare(program, "isa").output.view(np.float32)
    wanted = mpgemm(activations, tensor)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
