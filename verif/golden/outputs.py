"""From run results to the outputs of an mpGEMM, and how far they may be from exact ones."""

from collections.abc import Iterator

import numpy as np

from lutcore.compiler.weights.pack import PackedWeights, pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.formats import FORMATS
from lutcore.verif.golden.blocks import align, table_shift
from lutcore.verif.golden.expect import RunResults, expected_results, run_spans
from lutcore.verif.golden.formats import decode


def outputs(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> np.ndarray:
    """``O = A W^T`` as a tile and an epilogue in float64 compute it, float64 [M, N].

    ``O += s' 2^e (scale D - z'' R) + minimum 2^e R`` over runs
    (:class:`~lutcore.hdl.config.forms.Form`), so that all error is the tile's own.
    """
    external = config.replace(zero_points="external")
    tensor, activations = tensor.without_order(activations)
    packed = pack(external, tensor)
    results = expected_results(external, activations, tensor, packed)
    return combine(external, results, packed, tensor)


def combine(
    config: CoreConfig,
    results: RunResults,
    packed: PackedWeights,
    tensor: QuantTensor,
    real: type[np.floating] = np.float64,
) -> np.ndarray:
    """Outputs [M, N] of run results, golden or received, added run by run in the type ``real``.

    The tensor is in its codes' own order.
    """
    total = np.zeros(results.dots.shape[:2], real)
    for run, (products, sums) in enumerate(run_products(config, results, packed)):
        group = packed.steps.group[run]
        unit = np.ldexp(real(1), results.exponents[:, run] - config.scale_offset)
        unit = np.where(results.invalid[:, run], real(np.nan), unit)
        part = packed.scales[:, group].astype(real) * products.astype(real)
        if tensor.minimums is not None:
            part = part + tensor.minimums[:, group].astype(real) * sums[:, None].astype(real)
        total += unit[:, None] * part
    return total


def run_products(
    config: CoreConfig, results: RunResults, packed: PackedWeights
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """P [M, N] and R [M] of each run; int64, of exact floats float64."""
    for run, group in enumerate(packed.steps.group):
        products, sums = results.dots[..., run], results.sums[:, run]
        if config.exact_floats:
            products, sums = (
                decode(x.astype(np.uint32), FORMATS["fp32"]) for x in (products, sums)
            )
        if config.zero_points == "external":
            zero_points = packed.zero_points[:, group]
            products = config.form.scale * products - zero_points * sums[:, None]
        yield products, sums


def _weight_sums(packed: PackedWeights, tensor: QuantTensor, run: int) -> np.ndarray:
    """``sum |w|`` of a run's part of each row of weights [N]."""
    start, stop = run_spans(packed)[run]
    return np.abs(tensor.dequantise()[:, start:stop]).sum(axis=1)


def error_bound(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> np.ndarray:
    """Greatest possible distance of :func:`outputs` from the exact product, float64 [M, N].

    Aligned activations are off by half a unit of their run, ``2^(E - align_bits + 1)`` for a
    greatest magnitude in [2^E, 2^(E+1)): ``sum_k |w_k|`` times that. An entry of an eight-bit table
    is off by half of ``2^h`` units if h > 0, in every plane and, times z', in the row sum. Exact
    tables of integers have no error; exact floats are not bounded here.
    """
    external = config.replace(zero_points="external")
    tensor, activations = tensor.without_order(activations)
    packed = pack(external, tensor)
    results = expected_results(external, activations, tensor, packed)
    bound = np.zeros(results.dots.shape[:2])
    for run, group in enumerate(packed.steps.group):
        exponents = results.exponents[:, run]
        unit = np.ldexp(1.0, exponents - config.scale_offset)
        shift = np.zeros_like(unit)
        if config.table == "int8":
            start, stop = run_spans(packed)[run]
            tables = -(-(stop - start) // config.k)
            scale = np.abs(packed.scales[:, group].astype(np.float64))
            planes = (1 << tensor.bits) - 1
            entries = tables * (planes + np.abs(packed.zero_points[:, group]))
            extra = scale * entries
            if tensor.minimums is not None:
                extra = extra + tables * np.abs(tensor.minimums[:, group].astype(np.float64))
            shift = _shifts(config, activations[:, start:stop])
            bound += np.where(shift > 0, unit, 0.0)[:, None] * extra / 2
        if config.aligned:
            aligned_unit = unit * np.ldexp(1.0, -shift.astype(np.int64))
            bound += aligned_unit[:, None] * _weight_sums(packed, tensor, run) / 2
    return bound


def _shifts(config: CoreConfig, activations: np.ndarray) -> np.ndarray:
    """h of each row of a run."""
    values = align(activations, config)[0] if config.aligned else activations.astype(np.int64)
    return table_shift(np.pad(values, ((0, 0), (0, -values.shape[1] % config.k))), config.k)
