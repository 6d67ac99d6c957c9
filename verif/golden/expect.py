"""What a tile must return for an mpGEMM, run by run, from the golden models."""

from dataclasses import dataclass

import numpy as np

from lutcore.compiler.weights.pack import PackedWeights
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.golden import integers as golden
from lutcore.verif.golden.blocks import align, int8_tensor_products
from lutcore.verif.golden.floats import exact_products


@dataclass(eq=False)
class RunResults:
    """Results of all runs, integers or FP32 bit patterns.

    Attributes
    ----------
    dots : int64 [M, N, runs]
    sums : int64 [M, runs]
    exponents : int64 [M, runs]
        Block-scaled results count ``2^(exponent - config.scale_offset)``; else 0.
    invalid : bool [M, runs]
        The run holds an infinity or NaN, where the core only says so: dots and sums mean nothing.
    """

    dots: np.ndarray
    sums: np.ndarray
    exponents: np.ndarray
    invalid: np.ndarray


def run_spans(packed: PackedWeights) -> list[tuple[int, int]]:
    """Part of K that each run sums."""
    steps, k = packed.steps, packed.shape[1]
    spans = []
    for run in range(len(steps.group)):
        used = steps.columns[steps.run == run]
        used = used[used < k]
        spans.append((int(used.min()), int(used.max()) + 1))
    return spans


def _exact(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor, span):
    start, stop = span
    pad = -(stop - start) % config.depth
    part = np.pad(activations[:, start:stop], ((0, 0), (0, pad)))
    codes = np.pad(tensor.codes[:, start:stop], ((0, 0), (0, pad)))
    dots, sums = exact_products(config, part, codes, tensor.bits)
    return dots.astype(np.int64), sums.astype(np.int64)


def expected_results(
    config: CoreConfig, activations: np.ndarray, tensor: QuantTensor, packed: PackedWeights
) -> RunResults:
    """Golden results of ``activations [M, K]`` times the tensor, for every run of ``packed``."""
    tensor, activations = tensor.without_order(activations)
    m, n = len(activations), tensor.shape[0]
    spans = run_spans(packed)
    results = RunResults(
        dots=np.zeros((m, n, len(spans)), np.int64),
        sums=np.zeros((m, len(spans)), np.int64),
        exponents=np.zeros((m, len(spans)), np.int64),
        invalid=np.zeros((m, len(spans)), bool),
    )
    for run, (start, stop) in enumerate(spans):
        if config.exact_floats:
            dots, sums = _exact(config, activations, tensor, (start, stop))
            results.dots[..., run], results.sums[:, run] = dots, sums
            continue
        values = activations[:, start:stop]
        if config.aligned:
            values, exponents, invalid = align(values, config)
            results.exponents[:, run], results.invalid[:, run] = exponents, invalid
        zero_points = packed.zero_points[:, packed.steps.group[run]].astype(np.int64)
        if config.table == "int8":
            raw, sums, shifts = int8_tensor_products(config, values, tensor, (start, stop))
            results.exponents[:, run] += shifts
            products = raw - zero_points * sums[:, None]
        else:
            whole = np.zeros((m, tensor.shape[1]), np.int64)
            whole[:, start:stop] = values
            products = golden.integer_products(whole, tensor, [(start, stop)])[..., 0]
            sums = golden.row_sums(whole, [(start, stop)])[:, 0]
        if config.zero_points == "external":  # the reader computes P = scale * D - z'' R
            products, rest = np.divmod(products + zero_points * sums[:, None], config.form.scale)
            assert not rest.any(), "no accumulator has such a result"
        results.dots[..., run], results.sums[:, run] = products, sums
    return results
