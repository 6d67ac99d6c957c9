"""Golden model of a core's outputs: run results, scaled and added in FP32 as the contract says."""

import numpy as np

from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden.expect import expected_results


def core_outputs(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> np.ndarray:
    """``O += s' P`` over runs in ascending order, from 0, float32 [M, N].

    P is rounded to FP32, multiplied by ``s' 2^e`` with one rounding and added with another, each to
    nearest even. Exact floats subtract ``z'' R`` in FP32 unless z'' is 0. Minimums are left to the
    host.

    Parameters
    ----------
    activations : [M, K], integers or the float format's dtype
    tensor : QuantTensor
        N x K weights.
    """
    config = config.replace(zero_points="external", max_k=max(config.max_k, tensor.shape[1]))
    tensor, activations = tensor.without_order(activations)
    packed = pack(config, tensor)
    results = expected_results(config, activations, tensor, packed)
    halves = tensor.scales / np.float32(2)
    total = np.zeros(results.dots.shape[:2], np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for run, group in enumerate(packed.steps.group):
            dots, sums = results.dots[..., run], results.sums[:, run, None]
            zero_points = packed.zero_points[:, group]
            if config.exact_floats:
                dots, sums = (x.astype(np.uint32).view(np.float32) for x in (dots, sums))
                rest = zero_points.astype(np.float32) * sums
                part = np.where(zero_points == 0, dots, dots - rest) * halves[:, group]
            else:
                exact = config.form.scale * dots - zero_points * sums
                wide = exact.astype(np.float32) * halves[:, group].astype(np.float64)
                power = results.exponents[:, run, None] - config.scale_offset
                part = np.ldexp(wide, power).astype(np.float32)
                part = np.where(results.invalid[:, run, None], np.float32(np.nan), part)
            total = total + part
    return total
