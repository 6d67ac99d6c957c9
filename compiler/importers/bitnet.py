"""BitNet b1.58 of transformers: four ternary rows a byte, one scale a matrix."""

import numpy as np

from lutcore.compiler.importers.base import Facts
from lutcore.compiler.importers.layout import SCALE_TYPES, Layout, Parts, expect, size_of
from lutcore.compiler.importers.settings import Settings
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError

#: ``linear_class`` -> what its layer does with ``weight_scale``; the first is the default.
_SCALES = {"bitlinear": np.reciprocal, "autobitlinear": np.positive}


def _accepts(parts: Parts) -> bool:
    return parts[".weight"].dtype == "U8" and len(parts[".weight"].shape) == 2


def _linear_class(settings: Settings) -> str:
    if not settings.config:
        raise InputError(
            "needs config.json beside it: whether weight_scale divides (BitLinear) or multiplies "
            "(AutoBitLinear) stands there only"
        )
    named = settings.text("linear_class") or "bitlinear"
    if named not in _SCALES:
        raise InputError(
            f"has linear_class {named!r}, which is not read; read: {', '.join(_SCALES)}"
        )
    return named


def _check(settings: Settings) -> None:
    _linear_class(settings)


def _measure(parts: Parts, settings: Settings) -> Facts:
    rows, k = parts[".weight"].shape
    if not rows or not k:
        raise InputError(f"is empty: its shape is {[rows, k]}")
    expect(parts, ".weight_scale", SCALE_TYPES, (1,))
    _check(settings)
    return Facts("BitNet", (4 * rows, k), size_of(parts), 2, k, scales="fp32")


def _decode(
    name: str, parts: Parts, facts: Facts, settings: Settings, index: int | None
) -> QuantTensor:
    packed = parts[".weight"].load()
    codes = np.concatenate([packed >> np.uint8(2 * part) & np.uint8(3) for part in range(4)])
    if int(codes.max()) > 2:
        raise InputError(f"tensor {name!r} has codes over 2: it is damaged")
    scale = parts[".weight_scale"].floats()[0]
    if not scale:
        raise InputError(f"tensor {name!r} has weight_scale 0: it is damaged")
    with np.errstate(over="ignore"):  # infinities are refused
        scale = _SCALES[_linear_class(settings)](scale)
    grid = (len(codes), 1)
    return QuantTensor(
        name=name,
        kind=facts.kind,
        bits=2,
        codes=codes,
        scales=np.full(grid, scale, np.float32),
        zero_points=np.ones(grid, np.int16),
        minimums=None,
        group_size=facts.shape[1],
    )


LAYOUT = Layout(
    method="bitnet",
    codes=".weight",
    parts=(".weight_scale",),
    optional=(),
    named=".weight",
    accepts=_accepts,
    measure=_measure,
    decode=_decode,
    check=_check,
    keys={
        "quant_method": (),
        "linear_class": (),
        "quantization_mode": ("offline", None),
        "use_rms_norm": (),
        "rms_norm_eps": (),
    },
)
