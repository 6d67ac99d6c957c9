"""GPTQ (AutoGPTQ, GPTQModel): codes packed along K, zero points along N, 2, 3, 4 or 8 bits.

Version 1 stores zero points less one, version 2 as they are. Symmetric checkpoints show which it
is: their zero points are all 2^(b-1).
"""

import numpy as np

from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.layout import (
    SCALE_TYPES,
    Layout,
    Parts,
    Settings,
    expect,
    size_of,
    unpack_words,
)
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

_BITS = (2, 3, 4, 8)
#: ``checkpoint_format`` of config.json -> version; others (marlin, bitblas) are shuffled for GPUs.
_FORMATS = {"gptq": 1, "gptq_v2": 2}
_REMEDY = "say which it is with gptq_version (--gptq-version 1 or 2)"


def _accepts(parts: Parts) -> bool:
    qweight, scales = parts[".qweight"].shape, parts[".scales"].shape
    return len(qweight) == len(scales) == 2 and qweight[1] == scales[1]


def _version(settings: Settings) -> tuple[int, bool]:
    """Version, and whether somebody said so."""
    if settings.gptq_version is not None:
        return settings.gptq_version, True
    stated = settings.text("checkpoint_format")
    if stated is None:
        return 1, False
    if stated not in _FORMATS:
        raise InputError(
            f"has checkpoint_format {stated!r}, which is not read; read: {', '.join(_FORMATS)}"
        )
    return _FORMATS[stated], True


def _measure(parts: Parts, settings: Settings) -> Facts:
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
    stated = settings.integer("bits")
    if stated is not None and stated != bits and not settings.config.get("dynamic"):
        raise InputError(f"has codes of {bits} bits, where config.json says {stated}")
    expect(parts, ".qweight", ("I32",), (k * bits // 32, n))
    expect(parts, ".qzeros", ("I32",), (groups, n * bits // 32))
    expect(parts, ".scales", SCALE_TYPES, (groups, n))
    if ".g_idx" in parts:
        expect(parts, ".g_idx", ("I32",), (k,))
    elif settings.config.get("desc_act") is True:
        raise InputError("has no g_idx, where config.json says desc_act")
    version, said = _version(settings)
    kind = f"GPTQ v{version}" + ("" if said else " (assumed)")
    return Facts(
        kind, (n, k), size_of(parts), bits, settings.group_size(k, groups), scales="fp16-zero"
    )


def _zero_points(stored: np.ndarray, bits: int, settings: Settings) -> np.ndarray:
    """Zero points of stored ones [G, N]; refuses a version that cannot be."""
    version, said = _version(settings)
    if settings.gptq_version is None:
        half, first = 1 << bits - 1, int(stored.flat[0])
        shown = {half - 1: 1, half: 2}.get(first)
        symmetric = settings.config.get("sym") is not False and (stored == first).all()
        label = f"{'said' if said else 'assumed'} to be GPTQ version {version}"
        if symmetric and shown not in (None, version):
            raise InputError(
                f"is {label}, but its zero points are all {first}, as of version {shown}: {_REMEDY}"
            )
        if version == 1 and int(stored.max()) == (1 << bits) - 1:
            raise InputError(
                f"is {label}, but has a zero point of {1 << bits}, out of its range: {_REMEDY}"
            )
    return stored.astype(np.int16) + np.int16(version == 1)


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
    stored = unpack_words(parts[".qzeros"].load(), bits)
    order = _order(parts[".g_idx"].load(), group_size) if ".g_idx" in parts else None
    return QuantTensor(
        name=name,
        kind=facts.kind,
        bits=bits,
        codes=codes if order is None else codes[:, order],
        scales=np.ascontiguousarray(parts[".scales"].floats().T),
        zero_points=np.ascontiguousarray(_zero_points(stored, bits, settings).T),
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
)
