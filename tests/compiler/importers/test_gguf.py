"""GGUF import: exact against the gguf package's own dequantisation, and damaged files."""

import struct
import tracemalloc

import gguf
import numpy as np
import pytest
from damaged import check_refused

from lutcore.compiler.importers.checkpoint import open_checkpoint
from lutcore.compiler.importers.gguf_file import SUPPORTED, GgufFile
from lutcore.compiler.importers.gguf_header import HEADER_LIMIT
from lutcore.errors import InputError
from lutcore.verif.samples.checkpoints import (
    RAW_BLOCKS,
    gguf_entry,
    gguf_file,
    gguf_header,
    gguf_text,
    i2_s_file,
    random_blocks,
)


def library_values(path, index=0):
    """Values of a tensor as the gguf package gives them."""
    stored = gguf.GGUFReader(path).tensors[index]
    return gguf.quants.dequantize(stored.data, stored.tensor_type)


#: Type -> bits, zero point (None: minimums in its place), and group of its codes.
CODES = {
    "TQ1_0": (2, 1, 256), "TQ2_0": (2, 1, 256), "Q2_K": (2, None, 16), "Q3_K": (3, 4, 16),
    "Q4_0": (4, 8, 32), "Q4_1": (4, None, 32), "Q4_K": (4, None, 32), "Q5_0": (5, 16, 32),
    "Q5_1": (5, None, 32), "Q5_K": (5, None, 32), "Q6_K": (6, 32, 16), "Q8_0": (8, 128, 32),
    # Twice E2M1's values, -12 to 12.
    "MXFP4": (5, 16, 32), "NVFP4": (5, 16, 16),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted({*SUPPORTED} - {"I2_S", "Q1_0"}))
def test_dequantisation_equals_the_library(kind, tmp_path):
    rng = np.random.default_rng(2)
    if kind in RAW_BLOCKS:
        matrix = random_blocks(kind, 6, 768, rng)
    else:
        matrix = rng.normal(size=(6, 768))
        matrix[2] = 0
    path = gguf_file(tmp_path / "t.gguf", {"w": (matrix, kind)})
    expected = library_values(path)
    checkpoint = open_checkpoint(path)
    tensor = checkpoint.tensor("w")
    assert tensor.shape == checkpoint.shape("w") == (6, 768)
    facts, (bits, zero, group) = checkpoint.facts("w"), CODES[kind]
    assert (tensor.minimums is not None) == facts.minimums == (zero is None)
    assert (tensor.bits, tensor.group_size) == (facts.bits, facts.group_size) == (bits, group)
    assert (tensor.zero_points == (zero or 0)).all()
    assert facts.nbytes == gguf.GGUFReader(path).tensors[0].n_bytes
    np.testing.assert_array_equal(tensor.dequantise().astype(np.float32), expected)
    np.testing.assert_array_equal(checkpoint.array("w"), expected)


def test_one_bit_weights_are_plus_or_minus_the_scale(tmp_path):
    raw = random_blocks("Q1_0", 3, 256, np.random.default_rng(5))
    path = gguf_file(tmp_path / "t.gguf", {"w": (raw, "Q1_0")})
    blocks = raw.reshape(-1, 18)
    bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little").astype(np.float64)
    scale = blocks[:, :2].copy().view("<f2").astype(np.float64)
    values = GgufFile(path).tensor("w").dequantise()
    np.testing.assert_array_equal(values, ((2 * bits - 1) * scale).reshape(3, 256))


def test_i2_s_of_bitnet_cpp(tmp_path):
    trits = np.random.default_rng(6).integers(-1, 2, (5, 384))
    path = i2_s_file(tmp_path / "t.gguf", trits, 0.75)
    tensor = open_checkpoint(path).tensor("w")
    assert tensor.kind == "I2_S" and tensor.group_size == 384
    # Two bits a weight, and a scale in 32 bytes.
    assert open_checkpoint(path).facts("w").nbytes == 5 * 384 // 4 + 32
    np.testing.assert_array_equal(tensor.dequantise(), trits * 0.75)
    raw = bytearray(path.read_bytes())
    raw[-40] = 0xFF
    path.write_bytes(raw)
    with pytest.raises(InputError, match="codes over 2: it is damaged"):
        open_checkpoint(path).tensor("w")


def test_plain_numbers_and_codebooks_become_float32(tmp_path):
    rng = np.random.default_rng(7)
    norm = rng.normal(size=192)
    blocks = rng.integers(0, 256, (4, 18), np.uint8)
    blocks[:, :2] = rng.normal(size=(4, 1)).astype("<f2").view(np.uint8)
    tensors = {
        "f32": (norm, "F32"),
        "f16": (norm, "F16"),
        "bf16": (norm, "BF16"),
        "iq4_nl": (blocks, "IQ4_NL"),
    }
    path = gguf_file(tmp_path / "t.gguf", tensors)
    checkpoint = open_checkpoint(path)
    for index, name in enumerate(tensors):
        np.testing.assert_array_equal(checkpoint.array(name), library_values(path, index))
    with pytest.raises(InputError, match="'f16' is F16, holds plain numbers: read it with array"):
        checkpoint.tensor("f16")
    with pytest.raises(InputError, match="is IQ4_NL, which is not supported; supported: TQ1_0"):
        checkpoint.tensor("iq4_nl")


def test_matrices_of_a_stack_are_named_by_index(tmp_path):
    stack = np.random.default_rng(8).normal(size=(3, 4, 64)).astype(np.float32)
    path = gguf_file(tmp_path / "t.gguf", {"experts": (stack, "Q8_0")})
    checkpoint = open_checkpoint(path)
    expected = library_values(path)
    assert checkpoint.shape("experts") == (3, 4, 64) and checkpoint.shape("experts[2]") == (4, 64)
    for index in range(3):
        name = f"experts[{index}]"
        np.testing.assert_array_equal(checkpoint.tensor(name).dequantise(), expected[index])
    np.testing.assert_array_equal(checkpoint.array("experts"), expected)
    with pytest.raises(
        InputError, match=r"is a stack of 3 matrices: name one, e\.g\. experts\[0\]"
    ):
        checkpoint.tensor("experts")
    with pytest.raises(InputError, match=r"no tensor 'experts\[3\]'"):
        checkpoint.tensor("experts[3]")


def test_metadata_is_plain_python(tmp_path):
    words = ["a", "bc", ""]
    path = gguf_file(tmp_path / "t.gguf", {}, words=words, sizes=[1, -2], name="it")
    found = open_checkpoint(path).metadata
    assert found["general.architecture"] == "test"
    assert (found["words"], found["sizes"], found["name"]) == (words, [1, -2], "it")


#: Number of a type in GGUF's specification -> how its values are packed, and one of them.
VALUES = {
    0: ("<B", 200), 1: ("<b", -7), 2: ("<H", 60000), 3: ("<h", -30000), 4: ("<I", 1 << 31),
    5: ("<i", -5), 6: ("<f", 1.5), 7: ("<?", True), 10: ("<Q", 1 << 63), 11: ("<q", -(1 << 40)),
    12: ("<d", 0.1),
}  # fmt: skip


def test_values_of_every_type(tmp_path):
    """And lists of them."""
    body, wanted = b"", {}
    for kind, (form, value) in VALUES.items():
        plain = struct.pack(form, value)
        body += gguf_text(f"k{kind}") + struct.pack("<I", kind) + plain
        body += gguf_text(f"l{kind}") + struct.pack("<IIQ", 9, kind, 2) + 2 * plain
        wanted |= {f"k{kind}": value, f"l{kind}": [value, value]}
    body += gguf_text("s") + struct.pack("<IIQ", 9, 8, 2) + gguf_text("a") + gguf_text("")
    path = tmp_path / "t.gguf"
    path.write_bytes(gguf_header(0, 2 * len(VALUES) + 1, body=body))
    found = open_checkpoint(path).metadata
    assert found == wanted | {"s": ["a", ""]}
    assert all(type(value) is type(wanted[name]) for name, value in found.items() if name != "s")


def test_every_ternary_byte_decodes(tmp_path):
    """All codes at all positions of TQ1_0 and TQ2_0 blocks."""
    rng = np.random.default_rng(3)
    trits = rng.integers(-1, 2, (64, 256))
    trits[:, 0] = 1  # so that the block's scale is 1
    for kind in ("TQ1_0", "TQ2_0"):
        path = gguf_file(tmp_path / f"{kind}.gguf", {"w": (trits, kind)})
        tensor = GgufFile(path).tensor("w")
        np.testing.assert_array_equal(tensor.codes.astype(int) - 1, trits)


def test_example_has_the_documented_tensors(example):
    assert {example.kind(name) for name in example.names()} >= {"TQ1_0", "TQ2_0", "Q4_0", "Q8_0"}


@pytest.fixture
def small(tmp_path):
    matrix = np.random.default_rng(4).normal(size=(4, 256))
    return gguf_file(
        tmp_path / "small.gguf",
        {"blk.0.attn_q.weight": (matrix, "Q4_0"), "blk.0.attn_k.weight": (matrix, "Q5_0")},
    )


def test_missing_tensor_lists_the_nearest(small):
    with pytest.raises(InputError, match=r"no tensor 'blk\.0\.attn_p\.weight'; the nearest: blk"):
        GgufFile(small).tensor("blk.0.attn_p.weight")


def test_nan_scale_is_located(small):
    raw = bytearray(small.read_bytes())
    start = int(gguf.GGUFReader(small).tensors[0].data_offset)
    raw[start + 18 * 9 : start + 18 * 9 + 2] = np.float16(np.nan).tobytes()
    small.write_bytes(raw)
    with pytest.raises(InputError, match=r"scales must be finite, not nan at row 1, group 1"):
        GgufFile(small).tensor("blk.0.attn_q.weight")


def test_scales_that_are_all_zero_are_refused(small):
    raw = bytearray(small.read_bytes())
    start = int(gguf.GGUFReader(small).tensors[0].data_offset)
    for block in range(32):
        raw[start + 18 * block : start + 18 * block + 2] = bytes(2)
    small.write_bytes(raw)
    with pytest.raises(InputError, match="has scales that are all 0 and codes that are not"):
        GgufFile(small).tensor("blk.0.attn_q.weight")


def test_nan_among_plain_numbers_is_refused(tmp_path):
    path = gguf_file(tmp_path / "t.gguf", {"norm": (np.array([1, np.nan, 2]), "F32")})
    with pytest.raises(InputError, match="'norm' has values that are not finite"):
        open_checkpoint(path).array("norm")


def test_truncation_anywhere_is_one_clear_line(small, tmp_path):
    raw = small.read_bytes()
    cut = tmp_path / "cut.gguf"
    for size in (0, 3, 4, 10, 24, 60, 100, 200, len(raw) - 1500, len(raw) - 1):
        cut.write_bytes(raw[:size])
        with pytest.raises(InputError, match=r"cut\.gguf: (truncated|not a GGUF)") as caught:
            GgufFile(cut).tensor("blk.0.attn_q.weight")
        assert "\n" not in str(caught.value)


NESTED = gguf_text("k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 6
ENTRY = gguf_entry("t", (2, 32), 2)
DAMAGED = {
    "tensor count": (gguf_header(tensors=1 << 60), "damaged GGUF"),
    "pair count": (gguf_header(pairs=1 << 60), "damaged GGUF"),
    "string length": (
        gguf_header(pairs=1, body=struct.pack("<Q", 1 << 62) + bytes(99)),
        "damaged GGUF",
    ),
    "array length": (
        gguf_header(pairs=1, body=gguf_text("k") + struct.pack("<IIQ", 9, 0, 1 << 40) + bytes(99)),
        "damaged GGUF",
    ),
    "nested arrays": (gguf_header(pairs=1, body=NESTED + bytes(99)), "nested over 4 deep"),
    "value type": (
        gguf_header(pairs=1, body=gguf_text("k") + struct.pack("<I", 77)),
        "unknown type 77",
    ),
    "key twice": (
        gguf_header(pairs=2, body=(gguf_text("k") + struct.pack("<IB", 0, 1)) * 2),
        "'k' twice",
    ),
    "name of a tensor": (
        gguf_header(tensors=1, body=ENTRY.replace(b"t", b"\n")),
        r"the name b'\\n'",
    ),
    "a long name": (
        gguf_header(tensors=1, body=gguf_text("\n" + "t" * 60) + bytes(99)),
        rf"the name b'\\n{'t' * 39}'\)",
    ),
    "dimensions": (
        gguf_header(1, 0, body=gguf_text("t") + struct.pack("<I", 999) + bytes(99)),
        "of 999 dimensions",
    ),
    "row of half a block": (
        gguf_header(1, 0, body=gguf_entry("t", (2, 33), 2)),
        r"rows of 33 elements in blocks of 32 \(Q4_0\)",
    ),
    "empty tensor": (
        gguf_header(1, 0, body=gguf_entry("t", (1 << 63, 0), 2)),
        "a tensor of shape",
    ),
    "absurd tensor": (
        gguf_header(1, 0, body=gguf_entry("t", (1 << 62, 1 << 62), 2)),
        "tensor 't' ends at byte",
    ),
    "overlap": (
        gguf_header(2, 0, body=ENTRY + ENTRY.replace(b"t", b"u") + bytes(999)),
        "tensors 't' and 'u' overlap",
    ),
    "offset": (
        gguf_header(1, 0, body=gguf_entry("t", (2, 32), 2, 8) + bytes(999)),
        r"tensor 't' at offset 8, no multiple of 32 \(alignment\)",
    ),
    "alignment": (
        gguf_header(0, 1, body=gguf_text("general.alignment") + struct.pack("<II", 4, 48)),
        "general.alignment = 48",
    ),
    "no alignment": (
        gguf_header(0, 1, body=gguf_text("general.alignment") + struct.pack("<II", 4, 0)),
        "general.alignment = 0",
    ),
    "an absurd alignment": (
        gguf_header(0, 1, body=gguf_text("general.alignment") + struct.pack("<II", 4, 1 << 21)),
        "general.alignment = 2097152",
    ),
    "version": (gguf_header(version=1), "GGUF version 1 is not supported"),
    "byte order": (gguf_header(version=3 << 24), "a big-endian GGUF is not supported"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_headers_are_one_clear_line(case, tmp_path):
    check_refused(tmp_path / "damaged.gguf", *DAMAGED[case])


def test_a_header_that_never_ends_takes_bounded_memory(tmp_path):
    path = tmp_path / "bomb.gguf"
    with path.open("wb") as file:
        size = 4 * HEADER_LIMIT
        file.write(
            gguf_header(1, 1, body=gguf_text("k") + struct.pack("<IIQ", 9, 8, size // 8 - 16))
        )
        file.truncate(size)
    tracemalloc.start()
    with pytest.raises(InputError, match="a header of over 64 MiB"):
        open_checkpoint(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_types_that_nobody_knows_are_listed(tmp_path):
    path = tmp_path / "new.gguf"
    body = gguf_entry("t", (2, 32), 99)
    path.write_bytes(gguf_header(1, 0, body=body + bytes(64)))
    checkpoint = open_checkpoint(path)
    assert checkpoint.kind("t") == "type 99" and checkpoint.facts("t").nbytes is None
    for read in (checkpoint.tensor, checkpoint.array):
        with pytest.raises(InputError, match="is type 99, which is not"):
            read("t")


@pytest.mark.parametrize(
    ("name", "count"),
    [("a-00001-of-00003.gguf", None), ("a-00003-of-00003.gguf", 3), ("a.gguf", 3), ("a.gguf", "x")],
)
def test_split_files_are_refused(name, count, tmp_path):
    kind = {None: b"", 3: struct.pack("<IH", 2, 3), "x": struct.pack("<I", 8) + gguf_text("x")}
    key = gguf_text("split.count") + kind[count] if count else b""
    message = r"is one of \d files of a split checkpoint: merge it with llama-gguf-split --merge"
    check_refused(tmp_path / name, gguf_header(0, bool(count), body=key), message)


def test_the_only_file_of_a_split_is_read(tmp_path):
    path = tmp_path / "a-00001-of-00001.gguf"
    path.write_bytes(gguf_header(0, 1, body=gguf_text("split.count") + struct.pack("<IH", 2, 1)))
    assert open_checkpoint(path).metadata == {"split.count": 1}


def test_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        GgufFile(tmp_path / "absent.gguf")
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(InputError, match="not a GGUF file"):
        GgufFile(tmp_path / "text.gguf")
