"""A product of two matrices on the golden model, the ISA model, RTL or a board, in one call.

The facade's :func:`matmul`: what a notebook needs before it knows of tensors, plans and machines.
"""

import html
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lutcore.compiler.lowering.gemm import placed, plan, record_format
from lutcore.compiler.program.program import Program
from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError, ToolError
from lutcore.fpga.host.driver import SIMULATED
from lutcore.fpga.host.run import run_on_board
from lutcore.gen.run.operators import offset
from lutcore.gen.run.program import Run, compare
from lutcore.gen.run.tile import simulate
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import CORE_PRESETS, load_config
from lutcore.hdl.config.rules import check_core, is_core
from lutcore.hdl.isa.lmma import Cause
from lutcore.operands import Weights, activations_of, weights_of
from lutcore.verif.golden.epilogue import core_outputs
from lutcore.verif.golden.integers import integer_products
from lutcore.verif.golden.outputs import outputs, run_products
from lutcore.verif.sim.layout import check_activations

#: What a product can be computed on; a tile alone has no instructions, which all but two need.
PLACES = ("golden", "isa", "rtl", "board")
_TILE_PLACES = ("golden", "rtl")


@dataclass(frozen=True)
class Report:
    """What a product took, and how it was checked.

    Attributes
    ----------
    design : str
        Name of the configuration.
    on : str
        One of :data:`PLACES`.
    shape : (int, int, int)
        M, N, K.
    weight_bits : int
        Bits of the weights' codes: bit planes of bit-serial engines.
    group_size : int
        Scale group along K.
    cycles : int or None
        Clock cycles; None on the golden and the ISA model, which have no time.
    checked, mismatches : int
        Values that were held against the golden model, and those that differ; on RTL and boards
        also bytes of memory and values of state that differ from the ISA model. 0 of 0 on the
        golden model itself.
    """

    design: str
    on: str
    shape: tuple[int, int, int]
    weight_bits: int
    group_size: int
    cycles: int | None
    checked: int
    mismatches: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Result:
    """A product: ``values`` [M, N] and the ``report`` of how it came about.

    ``values`` is int64 where activations, weights and the configuration's sums are integers, else
    float32.
    """

    values: np.ndarray
    report: Report

    def _repr_html_(self) -> str:
        rows = self.report.to_dict() | {"values": f"{self.values.dtype} {list(self.values.shape)}"}
        cells = (
            f"<tr><th style='text-align:left'>{html.escape(name.replace('_', ' '))}</th>"
            f"<td>{html.escape('none' if value is None else str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table>{''.join(cells)}</table>"


def matmul(
    A: Any,
    W: Any,
    config: str | CoreConfig = "default",
    *,
    on: str = "golden",
    bits: int | None = None,
    group: int | None = None,
    port: str = SIMULATED,
) -> Result:
    """``A W^T`` as a core or a tile computes it.

    Parameters
    ----------
    A : [M, K]
        Activations. Integers go in as they are; floats are rounded to integers row by row, with the
        step ``max(largest magnitude, 1e-5) / 127`` (32767 for INT16), or to the configuration's
        float format, to nearest even.
    W : [N, K] or QuantTensor
        Weights. Integers are coded exactly, ``factor * (q - z) + least``; floats are rounded group
        by group along K (:class:`~lutcore.compiler.weights.quantise.Rounding`).
    config : str or CoreConfig
        A preset's name, a ``.toml`` file, or a configuration.
    on : {"golden", "isa", "rtl", "board"}
        Golden model, ISA model, generated Verilog in simulation, or a board. A tile alone runs on
        ``golden`` and ``rtl``. All but ``golden`` are held against it.
    bits : int, optional
        Bits of the weights' codes; by default the fewest that hold integers, and for floats the
        most that the configuration takes.
    group : int, optional
        Scale group along K; by default K for integers, 32 for floats.
    port : str
        Serial port of a board; ``sim`` is a simulated one.

    Returns
    -------
    Result
        ``values`` int64 [M, N] where A and W are integers and the configuration adds integers
        without a scale of their own; else float32.

    Raises
    ------
    InputError
        The operands or the configuration do not allow it; the text says what does.
    ToolError
        A simulator or a board failed.
    """
    core = config if isinstance(config, CoreConfig) else load_config(str(config))
    _check_place(core, on)
    activations, step = activations_of(core, A)
    weights = weights_of(core, W, activations.shape[1], bits, group)
    whole = step is None and weights.factor is not None and core.integer_results
    run = _on_core if is_core(core) else _on_tile
    values, cycles, checked, mismatches = run(core, activations, weights, whole, on, port)
    if not whole:
        values = _scaled(values, weights.power, step)
    tensor = weights.tensor
    facts = (tensor.bits, tensor.group_size, cycles, checked, mismatches)
    return Result(values, Report(core.name, on, (len(activations), *tensor.shape), *facts))


def _scaled(values: np.ndarray, power: int, step: np.ndarray | None) -> np.ndarray:
    """Results times what operands were divided by, float32; what is beyond that is infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.ldexp(np.asarray(values, np.float64), power)
        return (wide if step is None else wide * step).astype(np.float32)


def _check_place(config: CoreConfig, on: str) -> None:
    if on not in PLACES:
        raise InputError(f"on must be one of {', '.join(PLACES)}, not {on!r}")
    if on in _TILE_PLACES:
        return
    try:
        check_core(config)
    except InputError as error:
        raise InputError(
            f"{config.name} is a tile, which has no instructions ({error}): take on='golden' or "
            f"on='rtl', or a core: {', '.join(CORE_PRESETS)}"
        ) from None


# Places ------------------------------------------------------------------------------------------

_Found = tuple[np.ndarray, int | None, int, int]


def _whole(weights: Weights, products: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """``A W^T`` of whole weights from P = 2 sum A (q - z), int64.

    Raises
    ------
    InputError
        A result might not fit int64.
    """
    factor = weights.factor or 0
    span = factor << weights.tensor.bits
    most = max(abs(weights.least), abs(weights.least + span), span)
    if most * int(np.abs(activations).sum(axis=1).max()) >= 1 << 62:
        raise InputError("W is so large that results may not fit int64: give it as floats")
    return factor * (products // 2) + weights.least * activations.sum(axis=1, keepdims=True)


def _on_tile(
    config: CoreConfig,
    activations: np.ndarray,
    weights: Weights,
    whole: bool,
    on: str,
    port: str,
) -> _Found:
    tensor = weights.tensor
    check_activations(config, activations, tensor.shape[1])
    packed = pack(config, tensor)
    if on == "golden":
        if whole:
            products = integer_products(activations, tensor).sum(axis=2)
            return _whole(weights, products, activations), None, 0, 0
        return outputs(config, activations, tensor), None, 0, 0
    report = simulate(config, tensor, activations)
    if report.results is None or report.values is None:
        raise ToolError(f"{config.name} did not return all results: {report.problems[0]}")
    values = report.values
    if whole:
        runs = run_products(config, report.results, packed)
        products = np.sum([products for products, _ in runs], axis=0)
        values = _whole(weights, products, activations)
    return values, report.cycles, report.checked, report.mismatches


def _on_core(
    config: CoreConfig,
    activations: np.ndarray,
    weights: Weights,
    whole: bool,
    on: str,
    port: str,
) -> _Found:
    tensor = weights.tensor
    if whole:
        products = integer_products(activations, tensor).sum(axis=2)
        golden = _whole(weights, products, activations)
    else:
        deep = config.replace(max_k=max(config.max_k, tensor.shape[1]))
        record_format(pack(deep, tensor), tensor)  # refuses here what programs cannot hold
        golden = core_outputs(config, activations, tensor) + _host_part(config, activations, tensor)
    if on == "golden":
        return golden, None, 0, 0
    runs: list[Run] = []

    def machine(program: Program) -> np.ndarray:
        runs.append(run_on_board(program, port) if on == "board" else compare(program, on))
        if runs[-1].state.cause != Cause.NONE:
            raise ToolError(f"the program ended with {runs[-1].state.cause.name}")
        return runs[-1].output

    if whole:
        products = np.zeros(golden.shape, np.int64)
        for part, piece in _pieces(config, activations, tensor):
            program = placed(plan(config, piece, len(part), "int32"), part)
            products += machine(program).view(np.int32)
        values = _whole(weights, products, activations)
    else:
        made = plan(config, replace(tensor, minimums=None), len(activations))
        values = machine(placed(made, activations)).view(np.float32)
        values = values + _host_part(config, activations, tensor)
    same = (values == golden) | (np.isnan(values) & np.isnan(golden))
    mismatches = int((~same).sum()) + sum(run.mismatches for run in runs)
    timed = [run.counters["cycles"] for run in runs if run.counters]
    return values, sum(timed) if timed else None, values.size, mismatches


def _host_part(config: CoreConfig, activations: np.ndarray, tensor: QuantTensor) -> np.ndarray:
    """What the host adds for minimums, float32 [M, N]; row sums in the activations' own format."""
    if tensor.minimums is None:
        return np.zeros((len(activations), tensor.shape[0]), np.float32)
    plain, ordered = tensor.without_order(activations)
    if config.is_float:
        starts = np.arange(0, ordered.shape[1], plain.group_size)
        sums = np.add.reduceat(ordered.astype(np.float32), starts, axis=1)
        return sums @ tensor.minimums.T
    return offset(ordered, tensor.minimums, plain.group_size)


def _pieces(
    config: CoreConfig, activations: np.ndarray, tensor: QuantTensor
) -> Iterator[tuple[np.ndarray, QuantTensor]]:
    """Parts of K whose P fit 32 bits and the core, with scales of 1."""
    zero = int(tensor.zero_points.flat[0])
    largest = 2 * int(np.abs(activations).max()) * max(zero, (1 << tensor.bits) - 1 - zero, 1)
    longest = min(config.max_k, (1 << 31) // max(largest, 1) - 1)
    for low in range(0, tensor.shape[1], longest):
        codes = tensor.codes[:, low : low + longest]
        size = min(tensor.group_size, codes.shape[1])
        grid = (len(codes), -(-codes.shape[1] // size))
        piece = replace(
            tensor,
            codes=codes,
            scales=np.ones(grid, np.float32),
            zero_points=np.full(grid, zero, np.int16),
            minimums=None,
            group_size=size,
        )
        yield activations[:, low : low + longest], piece
