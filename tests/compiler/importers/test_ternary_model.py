"""The language model's file: what is written is what is read, bit by bit."""

import gguf
import numpy as np
import pytest

from lutcore.compiler.importers.gguf_file import GgufFile
from lutcore.compiler.importers.ternary_model import ModelShape, Ternary, random_model, write_model
from lutcore.errors import InputError

SMALL = ModelShape(layers=2, hidden=512)


@pytest.fixture(scope="module")
def model():
    return random_model(SMALL, seed=5)


def test_codes_and_scales_survive(model, tmp_path):
    matrices, floats = model
    zero = {"output.weight": Ternary(np.zeros((256, 256), np.int8), np.float16(0.03))}
    write_model(tmp_path / "m.gguf", SMALL, matrices | zero, floats)
    read = GgufFile(tmp_path / "m.gguf")
    assert set(read.names()) == set(SMALL.matrices()) | set(SMALL.floats())
    for name, matrix in (matrices | zero).items():
        tensor = read.tensor(name)
        np.testing.assert_array_equal(tensor.codes.astype(int) - 1, matrix.codes)
        assert (tensor.scales == np.float32(matrix.scale)).all(), name
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(read.path).tensors}
    for name, values in floats.items():
        np.testing.assert_array_equal(stored[name].data, values)


def test_metadata_says_all_that_the_network_needs(model, tmp_path):
    write_model(tmp_path / "m.gguf", SMALL, *model, about={"license": "CC0-1.0"})
    fields = gguf.GGUFReader(tmp_path / "m.gguf").fields
    expected = {
        "general.architecture": "bitnet",
        "general.license": "CC0-1.0",
        "bitnet.block_count": 2,
        "bitnet.embedding_length": 256,
        "bitnet.feed_forward_length": 512,
        "bitnet.attention.head_count": 4,
        "bitnet.rope.dimension_count": 64,
        "bitnet.rope.freq_base": 10000.0,
        "bitnet.context_length": 256,
    }
    assert {key: fields[key].contents() for key in expected} == expected


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    for name in ("a.gguf", "b.gguf"):
        write_model(tmp_path / name, SMALL, *model)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"output.weight": None}, r"'output.weight' must have shape \(256, 256\), not None"),
        ({"extra": Ternary(np.ones((1, 256), np.int8), np.float16(1))}, "'extra' must have shape"),
        ({"output.weight": Ternary(np.full((256, 256), 2, np.int8), np.float16(1))}, "-1, 0 or 1"),
        ({"output.weight": Ternary(np.ones((256, 256), np.int8), np.float16(0))}, "positive"),
    ],
)
def test_bad_models_are_refused_and_leave_no_file(change, message, model, tmp_path):
    matrices = {name: value for name, value in (model[0] | change).items() if value is not None}
    with pytest.raises(InputError, match=message):
        write_model(tmp_path / "m.gguf", SMALL, matrices, model[1])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"hidden": 300}, "hidden must be a multiple of 256"),
        ({"heads": 3}, "must be a multiple of 2 x 3 heads"),
        ({"layers": 0}, "layers must be a positive integer"),
    ],
)
def test_sizes_out_of_range_are_refused(sizes, message):
    with pytest.raises(InputError, match=message):
        ModelShape(**sizes)
