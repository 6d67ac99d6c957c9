"""Small checkpoints of every kind, packed plainly from the definitions of the formats.

It shares nothing with the importers, which tests and the fuzz campaign hold against it.
"""

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

#: GGUF types that the gguf package dequantises but does not quantise, and Q1_0, which it only
#: knows by name: bytes of a block, and where blocks hold fp16 numbers.
RAW_BLOCKS = {
    "Q1_0": (18, (0,)),
    "Q2_K": (84, (80, 82)),
    "Q3_K": (110, (108,)),
    "Q4_K": (144, (0, 2)),
    "Q5_K": (176, (0, 2)),
    "Q6_K": (210, (208,)),
    "NVFP4": (36, ()),
}
#: Values of E2M1 codes.
E2M1 = (0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6)
#: Column of eight that each nibble of a word of AWQ holds.
_AWQ_COLUMNS = (0, 2, 4, 6, 1, 3, 5, 7)


def gguf_file(path: Path, tensors: dict[str, tuple[np.ndarray, str]], **pairs: Any) -> Path:
    """Write a GGUF file of ``{name: (values, or uint8 blocks, and type)}`` and key-values."""
    writer = gguf.GGUFWriter(path, "test")
    for key, value in pairs.items():
        if isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_string(key, value)
    for name, (values, named) in tensors.items():
        kind = gguf.GGMLQuantizationType[named]
        raw = values
        if values.dtype != np.uint8:
            raw = gguf.quants.quantize(values.astype(np.float32), kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def random_blocks(kind: str, n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Blocks of :data:`RAW_BLOCKS` with any codes and finite numbers, uint8 [n, bytes]."""
    size, halves = RAW_BLOCKS[kind]
    elements = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    raw = rng.integers(0, 256, (n, k // elements, size), np.uint8)
    for place in halves:
        numbers = rng.normal(size=(*raw.shape[:2], 1)).astype("<f2")
        raw[..., place : place + 2] = numbers.view(np.uint8)
    if kind == "NVFP4":
        raw[..., :4] %= 127  # scales, of which 127 is no number
    return raw.reshape(n, -1)


def gguf_text(value: str) -> bytes:
    """A string as GGUF stores it."""
    return struct.pack("<Q", len(value)) + value.encode()


def gguf_header(tensors: int = 0, pairs: int = 0, version: int = 3, body: bytes = b"") -> bytes:
    """The start of a GGUF file: counts, then key-values and tensors."""
    return b"GGUF" + struct.pack("<IQQ", version, tensors, pairs) + body


def gguf_entry(name: str, shape: tuple[int, ...], kind: int, start: int = 0) -> bytes:
    """The entry of a tensor of ``shape`` [.., N, K] in the header."""
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
    return gguf_text(name) + sizes + struct.pack("<IQ", kind, start)


def i2_s_file(path: Path, trits: np.ndarray, scale: float) -> Path:
    """bitnet.cpp's I2_S, which the gguf package does not write: tensor ``w`` of trits [N, K]."""
    start = gguf_header(1, body=gguf_entry("w", trits.shape, 36))
    fours = (trits.reshape(-1, 4, 32) + 1).astype(np.uint8)
    packed = fours[:, 0] << 6 | fours[:, 1] << 4 | fours[:, 2] << 2 | fours[:, 3]
    tail = struct.pack("<f28x", scale)
    path.write_bytes(start + bytes(-len(start) % 32) + packed.tobytes() + tail)
    return path


def _words(codes: list[int], bits: int) -> list[int]:
    """Codes as one long number, lowest first, cut into 32-bit words."""
    number = sum(code << bits * place for place, code in enumerate(codes))
    return [number >> 32 * word & 0xFFFFFFFF for word in range(len(codes) * bits // 32)]


def _int32(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.uint32).view(np.int32)


def gptq_parts(
    codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray, bits: int, version: int
) -> dict[str, np.ndarray]:
    """Parts of GPTQ without g_idx: codes [N, K], zero points and scales [N, G]."""
    stored = (zeros - 1) % (1 << bits) if version == 1 else zeros
    return {
        "qweight": np.ascontiguousarray(_int32([_words(row, bits) for row in codes.tolist()]).T),
        "qzeros": _int32([_words(row, bits) for row in stored.T.tolist()]),
        "scales": np.ascontiguousarray(scales.astype(np.float16).T),
    }


def awq_parts(codes: np.ndarray, zeros: np.ndarray, scales: np.ndarray) -> dict[str, np.ndarray]:
    """Parts of AWQ: codes [N, K], zero points and scales [N, G]; N is a multiple of 8."""

    def words(columns: np.ndarray) -> np.ndarray:
        rows = []
        for row in columns.T.tolist():
            eights = [row[first : first + 8] for first in range(0, len(row), 8)]
            rows.append([_words([eight[c] for c in _AWQ_COLUMNS], 4)[0] for eight in eights])
        return _int32(rows)

    return {
        "qweight": words(codes),
        "qzeros": words(zeros),
        "scales": np.ascontiguousarray(scales.astype(np.float16).T),
    }


def bitnet_packed(trits: np.ndarray) -> np.ndarray:
    """uint8 [N / 4, K] of trits [N, K]: bits 2i of row r are row r + i N / 4."""
    quarter = len(trits) // 4
    packed = np.zeros((quarter, trits.shape[1]), np.uint8)
    for row, values in enumerate(trits + 1):
        packed[row % quarter] |= (values << 2 * (row // quarter)).astype(np.uint8)
    return packed


def mxfp4_blocks(codes: np.ndarray) -> np.ndarray:
    """uint8 [..., K / 32, 16] of E2M1 codes [..., K]: element 2b low, 2b + 1 high."""
    pairs = codes.astype(np.uint8).reshape(*codes.shape[:-1], -1, 16, 2)
    return pairs[..., 0] | pairs[..., 1] << 4


def safetensors_bytes(tensors: dict[str, tuple[str, list[int], bytes]]) -> bytes:
    """A safetensors file of ``{name: (type, shape, bytes)}``, of types that NumPy lacks too."""
    header, place = {}, 0
    for name, (kind, shape, raw) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + len(raw)]}
        place += len(raw)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(raw for _, _, raw in tensors.values())


def safetensors_folder(
    folder: Path, tensors: dict[str, np.ndarray], quantisation: dict[str, Any] | None
) -> Path:
    """Write ``model.safetensors`` and, with a quantisation, ``config.json``."""
    folder.mkdir(exist_ok=True, parents=True)
    save_file(tensors, folder / "model.safetensors")
    if quantisation is not None:
        config = {"architectures": ["Test"], "quantization_config": quantisation}
        (folder / "config.json").write_text(json.dumps(config))
    return folder
