"""What methods of quantisation say beside their tensors, and what no tensor of theirs can be."""

import numpy as np
import pytest
from plain_matrices import NAME, definition, grouped, named

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import awq_parts, gptq_parts, safetensors_folder


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("quantizer", ["gptqmodel:7.7.0", ["other:1", "gptqmodel:7.7.0"]])
def test_zero_points_of_0_that_gptqmodel_borrowed_come_back(bits, quantizer, tmp_path):
    """It takes ones from whole words: a 0 borrows from its neighbour; of 3 bits it wraps alone."""
    codes, zeros, scales, group = grouped(32, 64, 2, bits, bits)
    zeros[::3], zeros[1::3, 1] = 0, 0
    parts = gptq_parts(codes, zeros, scales, bits, 1)
    if bits != 3:
        count = 32 // bits
        ones = sum(1 << bits * place for place in range(count))
        packed = []
        for row in zeros.T.tolist():
            words = [row[first : first + count] for first in range(0, len(row), count)]
            wide = [sum(z << bits * i for i, z in enumerate(word)) - ones for word in words]
            packed.append([word & 0xFFFFFFFF for word in wide])
        parts["qzeros"] = np.array(packed, np.uint32).view(np.int32)
    config = {"quant_method": "gptq", "checkpoint_format": "gptq", "bits": bits, "group_size": 32}
    meta = {"meta": {"quantizer": quantizer}}
    path = safetensors_folder(tmp_path, named(parts), config | meta)
    tensor = open_checkpoint(path).tensor(f"{NAME}.weight")
    np.testing.assert_array_equal(tensor.zero_points, zeros)
    np.testing.assert_array_equal(tensor.dequantise(), definition(codes, zeros, scales, group))
    for other in ({"quantizer": "autogptq:1"}, {"quantizer": 7}, {}, None):
        path = safetensors_folder(tmp_path, named(parts), config | {"meta": other})
        with pytest.raises(InputError, match=rf"with a zero point of 0 or {1 << bits}, which only"):
            open_checkpoint(path).tensor(f"{NAME}.weight")


@pytest.mark.parametrize(
    ("key", "harmless", "refused"),
    [
        ("is_marlin_format", [False, None], [True]),
        ("awq_gemm_checkpoint", [False, None], [True]),
        ("use_exllama", [True, False, None], [2]),
        ("disable_exllama", [True, False, None], ["x"]),
        ("use_cuda_fp16", [True, False, None], [1]),
        ("backend", ["auto", "auto_trainable", None], ["marlin"]),
    ],
)
def test_keys_of_kernels_change_nothing(key, harmless, refused, tmp_path):
    codes, zeros, scales, _ = grouped(32, 64, 2, 4, 0)
    tensors = named(gptq_parts(codes, zeros, scales, 4, 1))
    config = {"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "gptq"}
    for value in harmless:
        path = safetensors_folder(tmp_path, tensors, config | {key: value})
        assert open_checkpoint(path).tensor(f"{NAME}.weight").bits == 4
    for value in refused:
        path = safetensors_folder(tmp_path, tensors, config | {key: value})
        with pytest.raises(InputError, match=key):
            open_checkpoint(path).tensor(f"{NAME}.weight")


@pytest.mark.parametrize(
    ("key", "harmless", "refused"),
    [("sym", [True, False, None], [2]), ("desc_act", [False, None], [True])],
)
def test_keys_of_its_parents_change_nothing_of_awq(key, harmless, refused, tmp_path):
    codes, zeros, scales, _ = grouped(32, 64, 2, 4, 3)
    config = {"quant_method": "awq", "bits": 4, "group_size": 32}
    for value in (*harmless, *refused):
        parts = named(awq_parts(codes, zeros, scales))
        checkpoint = safetensors_folder(tmp_path, parts, config | {key: value})
        if value in harmless:
            assert open_checkpoint(checkpoint).tensor(f"{NAME}.weight").bits == 4
            continue
        with pytest.raises(InputError, match=key):
            open_checkpoint(checkpoint).tensor(f"{NAME}.weight")


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_empty_matrices_of_bitnet_are_refused(shape, tmp_path):
    parts = {"w.weight": np.zeros(shape, np.uint8), "w.weight_scale": np.ones(1, np.float32)}
    path = safetensors_folder(tmp_path, parts, {"quant_method": "bitnet"})
    with pytest.raises(InputError, match=rf"is empty: its shape is \[{shape[0]}, {shape[1]}\]"):
        open_checkpoint(path).tensor("w.weight")


def test_mxfp4_may_say_how_it_is_loaded(tmp_path):
    tensors = {"w_blocks": np.zeros((2, 1, 16), np.uint8), "w_scales": np.ones((2, 1), np.uint8)}
    for said in (True, False, None):
        config = {"quant_method": "mxfp4", "dequantize": said}
        assert open_checkpoint(safetensors_folder(tmp_path, tensors, config)).tensor("w").bits == 5
    path = safetensors_folder(tmp_path, tensors, {"quant_method": "mxfp4", "dequantize": 2})
    with pytest.raises(InputError, match="dequantize"):
        open_checkpoint(path).tensor("w")
