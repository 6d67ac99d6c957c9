"""Blocks of GGUF types: layouts are on the documentation's page "formats".

Scales of two levels become one float32 a group: the product of an fp16 number and an integer of
at most 8 bits is exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

import ml_dtypes
import numpy as np

#: Codes [blocks, elements], scales and minimums [blocks, groups].
Decoded = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def fields(packed: np.ndarray, run: int, bits: int) -> np.ndarray:
    """Bit fields of bytes: uint8 [blocks, bytes] to [blocks, bytes * 8 / bits].

    Bytes are taken in runs of ``run``: first the lowest field of each byte of a run, then the next
    field of each.
    """
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    runs = packed.reshape(len(packed), -1, 1, run)
    return ((runs >> shifts) & np.uint8((1 << bits) - 1)).reshape(len(packed), -1)


def _half(blocks: np.ndarray, first: int) -> np.ndarray:
    """The little-endian fp16 at byte ``first`` of every block, as float32 [blocks, 1]."""
    return blocks[:, first : first + 2].copy().view("<f2").astype(np.float32)


def _q1_0(blocks: np.ndarray) -> Decoded:
    scale = _half(blocks, 0)  # +-d: bit b is b * 2d - d
    return fields(blocks[:, 2:], 1, 1), 2 * scale, -scale


def _q4_0(blocks: np.ndarray) -> Decoded:
    return fields(blocks[:, 2:], 16, 4), _half(blocks, 0), None


def _q4_1(blocks: np.ndarray) -> Decoded:
    return fields(blocks[:, 4:], 16, 4), _half(blocks, 0), _half(blocks, 2)


def _fifth(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Five-bit codes of 32 elements: bit j of four bytes is the top bit of element j."""
    return fields(low, 16, 4) | fields(high, 1, 1) << np.uint8(4)


def _q5_0(blocks: np.ndarray) -> Decoded:
    return _fifth(blocks[:, 2:6], blocks[:, 6:]), _half(blocks, 0), None


def _q5_1(blocks: np.ndarray) -> Decoded:
    return _fifth(blocks[:, 4:8], blocks[:, 8:]), _half(blocks, 0), _half(blocks, 2)


def _q8_0(blocks: np.ndarray) -> Decoded:
    return blocks[:, 2:] ^ 0x80, _half(blocks, 0), None  # two's complement to offset binary


def _q2_k(blocks: np.ndarray) -> Decoded:
    levels, scale, minimum = blocks[:, :16], _half(blocks, 80), _half(blocks, 82)
    return fields(blocks[:, 16:80], 32, 2), scale * (levels & 15), -minimum * (levels >> 4)


def _q3_k(blocks: np.ndarray) -> Decoded:
    codes = fields(blocks[:, 32:96], 32, 2) | fields(blocks[:, :32], 32, 1) << np.uint8(2)
    high = fields(blocks[:, 104:108], 4, 2)
    levels = (fields(blocks[:, 96:104], 8, 4) | high << np.uint8(4)).astype(np.int8) - 32
    return codes, _half(blocks, 108) * levels, None


def _six_bit_levels(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eight scales and eight minimums of 6 bits in 12 bytes (Q4_K, Q5_K).

    Bytes 0..3 hold scales 0..3 in their low six bits, bytes 4..7 minimums 0..3; their top two bits
    are the top ones of 4..7, whose low four bits are the nibbles of bytes 8..11.
    """
    first, second, third = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = (first & 63, third & 15 | first >> 6 << 4)
    minimums = (second & 63, third >> 4 | second >> 6 << 4)
    return np.concatenate(scales, axis=1), np.concatenate(minimums, axis=1)


def _q4_k(blocks: np.ndarray) -> Decoded:
    scales, minimums = _six_bit_levels(blocks[:, 4:16])
    codes = fields(blocks[:, 16:], 32, 4)
    return codes, _half(blocks, 0) * scales, -_half(blocks, 2) * minimums


def _q5_k(blocks: np.ndarray) -> Decoded:
    scales, minimums = _six_bit_levels(blocks[:, 4:16])
    codes = fields(blocks[:, 48:], 32, 4) | fields(blocks[:, 16:48], 32, 1) << np.uint8(4)
    return codes, _half(blocks, 0) * scales, -_half(blocks, 2) * minimums


def _q6_k(blocks: np.ndarray) -> Decoded:
    codes = fields(blocks[:, :128], 64, 4) | fields(blocks[:, 128:192], 32, 2) << np.uint8(4)
    return codes, _half(blocks, 208) * blocks[:, 192:208].view(np.int8), None


def _tq2_0(blocks: np.ndarray) -> Decoded:
    return fields(blocks[:, :64], 32, 2), _half(blocks, 64), None


def _tq1_0(blocks: np.ndarray) -> Decoded:
    def trits(packed: np.ndarray, count: int) -> np.ndarray:
        """``count`` base-3 digits of each byte, a digit's elements together, 0..2."""
        powers = np.array([1, 3, 9, 27, 81], np.uint8)[:count].reshape(1, count, 1)
        shifted = (packed[:, None, :] * powers).astype(np.uint16)  # wraps modulo 256 by intent
        return ((shifted * 3) >> 8).astype(np.uint8).reshape(len(packed), -1)

    parts = [trits(blocks[:, :32], 5), trits(blocks[:, 32:48], 5), trits(blocks[:, 48:52], 4)]
    return np.concatenate(parts, axis=1), _half(blocks, 52), None


#: Twice the value of each E2M1 code, from 0, 0.5 .. 6 to the same below zero.
_E2M1_TWICE = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.int8)

#: Width and zero point of codes that hold twice an E2M1 value, -12..12.
E2M1_BITS, E2M1_ZERO = 5, 16


def e2m1_codes(nibbles: np.ndarray) -> np.ndarray:
    """E2M1 numbers as codes of 5 bits with zero point 16, in units of one half."""
    return (_E2M1_TWICE + E2M1_ZERO).astype(np.uint8)[nibbles]


def e8m0_halves(exponents: np.ndarray) -> np.ndarray:
    """Half of E8M0 scales, ``2^(e - 128)``, as float32; 255 is NaN."""
    halves = np.ldexp(np.float32(1), exponents.astype(np.int32) - 128)
    return np.where(exponents == 255, np.float32(np.nan), halves)


def _mxfp4(blocks: np.ndarray) -> Decoded:
    return e2m1_codes(fields(blocks[:, 1:], 16, 4)), e8m0_halves(blocks[:, :1]), None


def _nvfp4(blocks: np.ndarray) -> Decoded:
    scales = (blocks[:, :4] & 127).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    return e2m1_codes(fields(blocks[:, 4:], 8, 4)), scales / 2, None


def _i2_s(blocks: np.ndarray) -> Decoded:
    """32 bytes of 128 elements, the first 32 of them on top; the scale stands elsewhere."""
    fours = fields(blocks, 32, 2).reshape(-1, 4, 32)[:, ::-1]
    return fours.reshape(-1, 128), np.ones((len(blocks), 1), np.float32), None


@dataclass(frozen=True)
class Block:
    """How one GGUF type stores a block, and what its codes mean.

    ``scales`` are the scale records that hold its scales, ``largest`` is the greatest code that is
    defined, where not all of ``bits`` are.
    """

    elements: int
    bytes: int
    bits: int
    zero_point: int
    group_size: int
    decode: Callable[[np.ndarray], Decoded]
    minimums: bool = False
    scales: str = "fp16"
    largest: int = 255


#: GGUF type -> its block.
BLOCKS = {
    "TQ1_0": Block(256, 54, 2, 1, 256, _tq1_0),
    "TQ2_0": Block(256, 66, 2, 1, 256, _tq2_0),
    "I2_S": Block(128, 32, 2, 1, 128, _i2_s, largest=2, scales="fp32"),
    "Q1_0": Block(128, 18, 1, 0, 128, _q1_0, minimums=True, scales="fp32"),
    "Q2_K": Block(256, 84, 2, 0, 16, _q2_k, minimums=True, scales="fp32"),
    "Q3_K": Block(256, 110, 3, 4, 16, _q3_k, scales="fp32"),
    "Q4_0": Block(32, 18, 4, 8, 32, _q4_0),
    "Q4_1": Block(32, 20, 4, 0, 32, _q4_1, minimums=True),
    "Q4_K": Block(256, 144, 4, 0, 32, _q4_k, minimums=True, scales="fp32"),
    "MXFP4": Block(32, 17, E2M1_BITS, E2M1_ZERO, 32, _mxfp4, scales="fp32"),
    "NVFP4": Block(64, 36, E2M1_BITS, E2M1_ZERO, 16, _nvfp4, scales="fp32"),
    "Q5_0": Block(32, 22, 5, 16, 32, _q5_0),
    "Q5_1": Block(32, 24, 5, 0, 32, _q5_1, minimums=True),
    "Q5_K": Block(256, 176, 5, 0, 32, _q5_k, minimums=True, scales="fp32"),
    "Q6_K": Block(256, 210, 6, 32, 16, _q6_k, scales="fp32"),
    "Q8_0": Block(32, 34, 8, 128, 32, _q8_0),
}
