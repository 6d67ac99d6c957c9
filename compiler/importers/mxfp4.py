"""MXFP4 of gpt-oss: E2M1 nibbles and E8M0 scales, matrices or stacks of experts."""

import numpy as np

from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.gguf_blocks import (
    E2M1_BITS,
    E2M1_ZERO,
    e2m1_codes,
    e8m0_halves,
    fields,
)
from lutcore.compiler.importers.layout import Layout, Parts, expect, size_of
from lutcore.compiler.importers.settings import Settings
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

_GROUP = 32


def _accepts(parts: Parts) -> bool:
    return parts["_blocks"].dtype == "U8"


def _measure(parts: Parts, settings: Settings) -> Facts:
    shape = parts["_blocks"].shape
    if len(shape) not in (3, 4) or shape[-1] != _GROUP // 2 or 0 in shape:
        raise InputError(f"has blocks {list(shape)}, not [N, K / 32, 16] or [E, N, K / 32, 16]")
    expect(parts, "_scales", ("U8",), shape[:-1])
    whole = (*shape[:-2], shape[-2] * _GROUP)
    return Facts("MXFP4", whole, size_of(parts), E2M1_BITS, _GROUP, scales="fp32")


def _decode(
    name: str, parts: Parts, facts: Facts, settings: Settings, index: int | None
) -> QuantTensor:
    blocks, scales = parts["_blocks"].load(index), parts["_scales"].load(index)
    codes = e2m1_codes(fields(blocks.reshape(-1, 1), 1, 4)).reshape(len(blocks), -1)
    return QuantTensor(
        name=name,
        kind=facts.kind,
        bits=E2M1_BITS,
        codes=codes,
        scales=e8m0_halves(scales),
        zero_points=np.full(scales.shape, E2M1_ZERO, np.int16),
        minimums=None,
        group_size=_GROUP,
    )


LAYOUT = Layout(
    method="mxfp4",
    codes="_blocks",
    parts=("_scales",),
    optional=(),
    named="",
    accepts=_accepts,
    measure=_measure,
    decode=_decode,
    check=lambda settings: None,
    # Values of MXFP4 are BF16 numbers: what is dequantised when it is loaded is the same.
    keys={"quant_method": (), "dequantize": (False, True, None)},
)
