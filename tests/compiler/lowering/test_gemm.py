"""Plans: programs that share one memory."""

from dataclasses import replace

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import PAGE, gemm, placed, plan
from lutcore.compiler.program.cuts import up
from lutcore.errors import InputError
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.lmma import BYTES, Cause
from lutcore.verif.isa.model import IsaModel

CORE = CoreConfig(
    precompute="buffered", zero_points="external", n=16, group_size=32, max_weight_bits=4
)


def tensors():
    rng = np.random.default_rng(3)
    made = [random_tensor(shape, 4, 32, rng) for shape in ((40, 96), (96, 40))]
    for tensor in made:
        tensor.scales[:] = tensor.scales.astype(np.float16)
    return made


def test_plans_in_one_memory_give_what_gemms_of_their_own_give():
    rng = np.random.default_rng(4)
    plans = [plan(CORE, tensor, 5) for tensor in tensors()]
    end = PAGE * 4
    regions = []
    for made in plans:
        regions.append({"weights": end, "scales": up(end + made.sizes["weights"], PAGE)})
        end = up(regions[-1]["scales"] + made.sizes["scales"], PAGE)
    shared = {"activations": end, "outputs": end + 4 * PAGE}
    memory = np.zeros(end + 8 * PAGE, np.uint8)
    for made, places in zip(plans, regions, strict=True):
        memory[places["weights"] :][: made.weights.size] = made.weights
        memory[places["scales"] :][: made.scales.size] = made.scales
    for made, places, tensor in zip(plans, regions, tensors(), strict=True):
        values = random_activations(CORE, 5, tensor.shape[1], rng)
        words = made.words(places | shared)
        code = b"".join(word.to_bytes(BYTES, "little") for word in words)
        memory[: len(code)] = np.frombuffer(code, np.uint8)
        image = made.activations(values)
        memory[shared["activations"] :][: image.size] = image.ravel()
        assert IsaModel(CORE, memory).run(0, len(words)).cause == Cause.NONE
        alone = gemm(CORE, tensor, values)
        expected = alone.image()
        IsaModel(CORE, expected).run(0, len(alone.words))
        found = made.output(shared["outputs"]).read(memory)
        np.testing.assert_array_equal(found, alone.output.read(expected))
        assert found.any()


def test_plans_of_other_rows_share_weights_of_one_width():
    tensor = tensors()[0]
    wide = plan(CORE, tensor, 64)
    narrow = wide.with_rows(1)
    np.testing.assert_array_equal(narrow.weights, wide.weights)
    np.testing.assert_array_equal(narrow.scales, wide.scales)
    assert narrow.blocks.tiles == wide.blocks.tiles
    values = random_activations(CORE, 1, 96, np.random.default_rng(2))
    results = []
    for made in (placed(narrow, values), gemm(CORE, tensor, values)):
        memory = made.image()
        IsaModel(CORE, memory).run(0, len(made.words))
        results.append(made.output.read(memory))
    np.testing.assert_array_equal(*results)
    assert results[0].any()


def test_a_plan_refuses_what_it_cannot_do():
    tensor = tensors()[0]
    with pytest.raises(InputError, match="one row at least, not 0"):
        plan(CORE, tensor, 0)
    with pytest.raises(InputError, match=r"activations must be \[2, 96\], not \[2, 95\]"):
        plan(CORE, tensor, 2).activations(np.zeros((2, 95), np.int8))
    places = {name: 0 for name in plan(CORE, tensor, 2).sizes}
    with pytest.raises(InputError, match="set program_buffer"):
        plan(CORE.replace(program_buffer=16), tensor, 2).words(places)


def test_activations_follow_the_order_of_columns():
    tensor = tensors()[0]
    rng = np.random.default_rng(5)
    values = random_activations(CORE, 3, 96, rng)
    order = rng.permutation(96).astype(np.int32)
    ordered = gemm(CORE, replace(tensor, column_order=order), values)
    plain = gemm(CORE, tensor, values[:, order])
    np.testing.assert_array_equal(ordered.image(), plain.image())
