"""GGUF import: exact against the gguf package's own dequantisation, and damaged files."""

import gguf
import numpy as np
import pytest

from compiler.gguf_file import SUPPORTED, GgufFile
from hdl.errors import InputError

Q = gguf.GGMLQuantizationType


def write(path, tensors):
    """A GGUF file with ``{name: (float matrix, type)}``; returns its path."""
    writer = gguf.GGUFWriter(path, "test")
    for name, (matrix, kind) in tensors.items():
        raw = gguf.quants.quantize(matrix.astype(np.float32), kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("kind", SUPPORTED)
def test_dequantisation_equals_the_library(kind, tmp_path):
    matrix = np.random.default_rng(2).normal(size=(6, 768))
    matrix[2] = 0
    path = write(tmp_path / "t.gguf", {"w": (matrix, Q[kind])})
    stored = gguf.GGUFReader(path).tensors[0]
    expected = gguf.quants.dequantize(stored.data, stored.tensor_type)
    tensor = GgufFile(path).tensor("w")
    assert tensor.shape == (6, 768)
    np.testing.assert_array_equal(tensor.dequantise().astype(np.float32), expected)


def test_every_ternary_byte_decodes(tmp_path):
    """All codes at all positions of TQ1_0 and TQ2_0 blocks."""
    rng = np.random.default_rng(3)
    trits = rng.integers(-1, 2, (64, 256))
    trits[:, 0] = 1  # so that the block's scale is 1
    for kind in ("TQ1_0", "TQ2_0"):
        path = write(tmp_path / f"{kind}.gguf", {"w": (trits, Q[kind])})
        tensor = GgufFile(path).tensor("w")
        np.testing.assert_array_equal(tensor.codes.astype(int) - 1, trits)


def test_example_has_the_documented_tensors(example):
    assert {example.kind(name) for name in example.names()} >= {"TQ1_0", "TQ2_0", "Q4_0", "Q8_0"}


@pytest.fixture
def small(tmp_path):
    matrix = np.random.default_rng(4).normal(size=(4, 256))
    return write(
        tmp_path / "small.gguf",
        {"blk.0.attn_q.weight": (matrix, Q.Q4_0), "blk.0.attn_k.weight": (matrix, Q.Q5_0)},
    )


def test_missing_tensor_lists_the_nearest(small):
    with pytest.raises(InputError, match=r"no tensor 'blk\.0\.attn_p\.weight'; the nearest: blk"):
        GgufFile(small).tensor("blk.0.attn_p.weight")


def test_unsupported_type_is_named(small):
    with pytest.raises(InputError, match=r"is Q5_0, which is not supported; supported: TQ1_0, TQ2"):
        GgufFile(small).tensor("blk.0.attn_k.weight")


def test_nan_scale_is_located(small):
    raw = bytearray(small.read_bytes())
    start = int(gguf.GGUFReader(small).tensors[0].data_offset)
    raw[start + 18 * 9 : start + 18 * 9 + 2] = np.float16(np.nan).tobytes()
    small.write_bytes(raw)
    with pytest.raises(InputError, match=r"scales must be finite, not nan at row 1, group 1"):
        GgufFile(small).tensor("blk.0.attn_q.weight")


def test_truncation_anywhere_is_one_clear_line(small, tmp_path):
    raw = small.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in (0, 3, 4, 10, 24, 60, 100, 200, len(raw) - 1500, len(raw) - 1):
        cut.write_bytes(raw[:size])
        with pytest.raises(InputError, match=r"cut\.gguf: (truncated|not a GGUF)") as caught:
            GgufFile(cut).tensor("blk.0.attn_q.weight")
        assert "\n" not in str(caught.value)


def test_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        GgufFile(tmp_path / "absent.gguf")
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(InputError, match="not a GGUF file"):
        GgufFile(tmp_path / "text.gguf")
