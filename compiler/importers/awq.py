"""AWQ (AutoAWQ, version "gemm"): 4-bit codes packed along N, columns of eight interleaved."""

import numpy as np

from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.layout import (
    SCALE_TYPES,
    Layout,
    Parts,
    expect,
    size_of,
    unpack_words,
)
from lutcore.compiler.importers.settings import COMMON, Settings, short
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

_BITS = 4
#: Nibble of a word that holds column j of its eight: nibbles hold columns 0, 2, 4, 6, 1, 3, 5, 7.
_HALF = 8
_NIBBLE = [0, 4, 1, 5, 2, 6, 3, 7]


def _accepts(parts: Parts) -> bool:
    qweight, scales = parts[".qweight"].shape, parts[".scales"].shape
    return len(qweight) == len(scales) == 2 and qweight[1] * 8 == scales[1]


def _check(settings: Settings) -> None:
    for key in ("version", "checkpoint_format"):
        version = settings.text(key) or "gemm"
        if version.lower() != "gemm":
            raise InputError(f"is AWQ of version {short(version)}, which is not read; read: gemm")
    settings.flag("zero_point")
    stated = settings.choices("bits")
    if stated and _BITS not in stated:
        raise InputError(f"is AWQ of {stated[0]} bits, where only {_BITS} are defined")


def _measure(parts: Parts, settings: Settings) -> Facts:
    _check(settings)
    k, (groups, n) = parts[".qweight"].shape[0], parts[".scales"].shape
    if 0 in (k, groups, n):
        raise InputError(f"is empty: N = {n}, K = {k}, {groups} groups")
    expect(parts, ".qweight", ("I32",), (k, n // 8))
    expect(parts, ".qzeros", ("I32",), (groups, n // 8))
    expect(parts, ".scales", SCALE_TYPES, (groups, n))
    return Facts(
        "AWQ", (n, k), size_of(parts), _BITS, settings.group_size(k, groups), scales="fp16-zero"
    )


def _columns(words: np.ndarray) -> np.ndarray:
    """Codes [N, rows] of words [rows, N / 8]."""
    eights = unpack_words(words, _BITS).reshape(len(words), -1, 8)
    return np.ascontiguousarray(eights[..., _NIBBLE].reshape(len(words), -1).T)


def _decode(
    name: str, parts: Parts, facts: Facts, settings: Settings, index: int | None
) -> QuantTensor:
    zeros = _columns(parts[".qzeros"].load()).astype(np.int16)
    if settings.flag("zero_point") is False and (zeros != _HALF).any():
        raise InputError(
            f"is AWQ without zero points by {settings.file('zero_point')}, but has some (qzeros) "
            f"that are not {_HALF}"
        )
    return QuantTensor(
        name=name,
        kind=facts.kind,
        bits=_BITS,
        codes=_columns(parts[".qweight"].load()),
        scales=np.ascontiguousarray(parts[".scales"].floats().T),
        zero_points=zeros,
        minimums=None,
        group_size=facts.group_size or 0,
    )


LAYOUT = Layout(
    method="awq",
    codes=".qweight",
    parts=(".qzeros", ".scales"),
    optional=(),
    named=".weight",
    accepts=_accepts,
    measure=_measure,
    decode=_decode,
    check=_check,
    keys={
        "quant_method": (),
        "version": (),
        "checkpoint_format": (),
        "bits": (),
        "group_size": (),
        "zero_point": (),
        "dynamic": (),
        "lm_head": (),
        # Zero points are always stored, and AwqConfig of transformers writes its parents' default.
        "sym": (True, False, None),
        "desc_act": (False, None),
        # llm-awq packs in another way; the others are kernels for the same tensors.
        "backend": (
            *("autoawq", "auto", "auto_trainable", "machete", "marlin", "exllama_v1"),
            *("exllama_v2", "gemm", "gemm_triton", "torch_awq", "torch_fused_awq", None),
        ),
        **COMMON,
        "do_fuse": (False, True, None),
        "modules_to_fuse": (None,),
        "fuse_max_seq_len": (None,),
    },
)
