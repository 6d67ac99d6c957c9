"""GPTQ (AutoGPTQ, GPTQModel): codes packed along K, zero points along N, 2, 3, 4 or 8 bits.

Version 1 stores zero points less one, version 2 as they are. Symmetric checkpoints show which it
is: their zero points are all 2^(b-1). Others must say it.
"""

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

_BITS = (2, 3, 4, 8)
#: ``checkpoint_format`` of config.json -> version; others (marlin, bitblas) are shuffled for GPUs.
_FORMATS = {"gptq": 1, "gptq_v2": 2}
_UNKNOWN = (
    "does not say its version of GPTQ, and its zero points are not symmetric, so that they do not "
    "show it either"
)
_REMEDY = "say which it is with gptq_version (--gptq-version 1 or 2)"


def _accepts(parts: Parts) -> bool:
    qweight, scales = parts[".qweight"].shape, parts[".scales"].shape
    return len(qweight) == len(scales) == 2 and qweight[1] == scales[1]


def _version(settings: Settings) -> int | None:
    """The version that somebody has said; None where nobody has."""
    stated = settings.text("checkpoint_format")
    if stated is not None and stated.lower() not in _FORMATS:
        raise InputError(
            f"has checkpoint_format {short(stated)}, which is not read; read: {', '.join(_FORMATS)}"
        )
    if settings.gptq_version is not None:
        return settings.gptq_version
    return None if stated is None else _FORMATS[stated.lower()]


def _check(settings: Settings) -> None:
    _version(settings)
    for key in ("sym", "desc_act"):
        settings.flag(key)
    for key in ("bits", "group_size"):
        settings.choices(key)


def _measure(parts: Parts, settings: Settings) -> Facts:
    _check(settings)
    qweight, qzeros, scales = (parts[name] for name in (".qweight", ".qzeros", ".scales"))
    groups, n = scales.shape
    if len(qzeros.shape) != 2 or not groups or not n:
        raise InputError(f"has qzeros {list(qzeros.shape)} and scales {list(scales.shape)}")
    bits = qzeros.shape[1] * 32 // n
    k = qweight.shape[0] * 32 // max(bits, 1)
    if bits not in _BITS or qzeros.shape[1] * 32 != bits * n or k * bits != qweight.shape[0] * 32:
        raise InputError(
            f"has qweight {list(qweight.shape)} and qzeros {list(qzeros.shape)}, which with "
            f"N = {n} fit no width of {_BITS}"
        )
    stated = settings.choices("bits")
    if stated and bits not in stated:
        which, file = " or ".join(map(str, stated)), settings.file("bits")
        raise InputError(f"has codes of {bits} bits, where {file} says {which}")
    expect(parts, ".qweight", ("I32",), (k * bits // 32, n))
    expect(parts, ".qzeros", ("I32",), (groups, n * bits // 32))
    expect(parts, ".scales", SCALE_TYPES, (groups, n))
    if ".g_idx" in parts:
        expect(parts, ".g_idx", ("I32",), (k,))
    elif settings.flag("desc_act"):
        raise InputError(f"has no g_idx, where {settings.file('desc_act')} says desc_act")
    version, symmetric = _version(settings), settings.flag("sym")
    problem = None
    if version is None and symmetric is False:
        problem = f"{_UNKNOWN} (sym is false in {settings.file('sym')}): {_REMEDY}"
    return Facts(
        kind="GPTQ" if version is None else f"GPTQ v{version}",
        shape=(n, k),
        nbytes=size_of(parts),
        bits=bits,
        group_size=settings.group_size(k, groups),
        problem=problem,
        scales="fp16-zero",
    )


def _zero_points(words: np.ndarray, bits: int, settings: Settings) -> tuple[np.ndarray, int]:
    """Zero points [G, N] of words, and their version; refuses one that cannot be."""
    stored = unpack_words(words, bits)
    version = _version(settings)
    half, first = 1 << bits - 1, int(stored.flat[0])
    shown = {half - 1: 1, half: 2}.get(first) if (stored == first).all() else None
    if version is None:
        if shown is None:
            raise InputError(f"{_UNKNOWN}: {_REMEDY}")
        version = shown
    elif settings.gptq_version is None:
        label = f"is said to be GPTQ version {version} by {settings.file('checkpoint_format')}"
        if settings.flag("sym") is not False and shown not in (None, version):
            raise InputError(
                f"{label}, but its zero points are all {first}, as of version {shown}: {_REMEDY}"
            )
    if version == 1 and int(stored.max()) == (1 << bits) - 1:
        return _carried(words, stored, bits, settings), version
    return stored.astype(np.int16) + np.int16(version == 1), version


def _carried(words: np.ndarray, stored: np.ndarray, bits: int, settings: Settings) -> np.ndarray:
    """Zero points of version 1 of which some are 0, stored as all ones: -1.

    GPTQModel takes ones from whole words, so that a 0 borrows from the next (of 3 bits, from none);
    AutoGPTQ overwrites those that follow in its word, and nothing brings them back.
    """
    if not _by_gptqmodel(settings):
        raise InputError(
            f"is GPTQ version 1 with a zero point of 0 or {1 << bits}, which only files of "
            f"GPTQModel say well: {_REMEDY.replace('1 or 2', '2')}, or quantise it again as gptq_v2"
        )
    if 32 % bits:
        return (stored.astype(np.int16) + 1) & (1 << bits) - 1
    ones = np.uint32(sum(1 << place for place in range(0, 32, bits)))
    return unpack_words((words.view(np.uint32) + ones).view(np.int32), bits).astype(np.int16)


def _by_gptqmodel(settings: Settings) -> bool:
    """Whether ``meta.quantizer`` names GPTQModel."""
    meta = settings.config.get("meta")
    named = meta.get("quantizer") if isinstance(meta, dict) else None
    names = named if isinstance(named, list) else [named]
    return any(isinstance(name, str) and name.startswith("gptqmodel:") for name in names)


def _order(g_idx: np.ndarray, group_size: int) -> np.ndarray | None:
    """Order in which columns stand group by group; None where they do so already."""
    order = np.argsort(g_idx, kind="stable").astype(np.int32)
    if not np.array_equal(g_idx[order], np.arange(len(order)) // group_size):
        raise InputError(f"has g_idx whose groups are not of {group_size} columns each")
    return None if np.array_equal(order, np.arange(len(order))) else order


def _decode(
    name: str, parts: Parts, facts: Facts, settings: Settings, index: int | None
) -> QuantTensor:
    bits, group_size = facts.bits or 0, facts.group_size or 0
    codes = unpack_words(np.ascontiguousarray(parts[".qweight"].load().T), bits)
    zeros, version = _zero_points(parts[".qzeros"].load(), bits, settings)
    order = _order(parts[".g_idx"].load(), group_size) if ".g_idx" in parts else None
    return QuantTensor(
        name=name,
        kind=f"GPTQ v{version}",
        bits=bits,
        codes=codes if order is None else codes[:, order],
        scales=np.ascontiguousarray(parts[".scales"].floats().T),
        zero_points=np.ascontiguousarray(zeros.T),
        minimums=None,
        group_size=group_size,
        column_order=order,
    )


LAYOUT = Layout(
    method="gptq",
    codes=".qweight",
    parts=(".qzeros", ".scales"),
    optional=(".g_idx",),
    named=".weight",
    accepts=_accepts,
    measure=_measure,
    decode=_decode,
    check=_check,
    keys={
        "quant_method": (),
        "checkpoint_format": (),
        "bits": (),
        "group_size": (),
        "desc_act": (),
        "sym": (),
        "dynamic": (),
        "lm_head": (),
        "meta": (),
        # Shuffled for GPUs, or of another method.
        "is_marlin_format": (False, None),
        "awq_gemm_checkpoint": (False, None),
        "backend": ("auto", "auto_trainable", None),
        "use_exllama": (True, False, None),
        "disable_exllama": (True, False, None),
        "use_cuda_fp16": (True, False, None),
        **COMMON,
    },
)
