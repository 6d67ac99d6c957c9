"""A product of two matrices on the golden model, the ISA model, RTL or a board, in one call.

The facade's :func:`matmul`: what a notebook needs before it knows of tensors, plans and machines.
"""

import html
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lutcore.compiler.lowering.gemm import placed, plan
from lutcore.compiler.program.program import Program
from lutcore.compiler.weights.pack import pack
from lutcore.compiler.weights.quantise import Rounding
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError, ToolError
from lutcore.fpga.host.driver import SIMULATED
from lutcore.fpga.host.run import run_on_board
from lutcore.gen.run.operators import offset, quantise_rows
from lutcore.gen.run.program import Run, compare
from lutcore.gen.run.tile import as_format, simulate
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import CORE_PRESETS, load_config
from lutcore.hdl.config.rules import check_core, is_core
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.golden.epilogue import core_outputs
from lutcore.verif.golden.integers import integer_products
from lutcore.verif.golden.outputs import outputs, run_products
from lutcore.verif.sim.job import check_activations

#: What a product can be computed on; a tile alone has no instructions, which all but two need.
PLACES = ("golden", "isa", "rtl", "board")
_TILE_PLACES = ("golden", "rtl")
#: Scale group of float weights along K, where none is given: that of :class:`Rounding`.
_GROUP = Rounding(bits=8).group_size


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


@dataclass(frozen=True, eq=False)
class _Weights:
    """Weights as codes, and how whole ones were coded: ``w = factor * (q - z) + least``."""

    tensor: QuantTensor
    factor: int | None = None
    least: int = 0


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
    activations, step = _activations(core, A)
    weights = _weights(core, W, activations.shape[1], bits, group)
    whole = step is None and weights.factor is not None and core.integer_results
    run = _on_core if is_core(core) else _on_tile
    values, cycles, checked, mismatches = run(core, activations, weights, whole, on, port)
    if not whole:
        values = (values if step is None else values * step).astype(np.float32)
    tensor = weights.tensor
    shape = (len(activations), *tensor.shape)
    found = Report(
        core.name, on, shape, tensor.bits, tensor.group_size, cycles, checked, mismatches
    )
    return Result(values, found)


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


# Operands ----------------------------------------------------------------------------------------


def _matrix(name: str, values: Any) -> np.ndarray:
    """A matrix of int64, uint64 or float64, whatever number type it came in."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must be a matrix: its rows differ in length") from None
    kind = array.dtype.kind
    if kind == "V":  # the small types of ml_dtypes
        kind = "i" if "int" in array.dtype.name else "f"
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{name} must be a matrix that is not empty, not {list(array.shape)}")
    if kind not in "iuf":
        raise InputError(f"{name} must hold integers or floats, not {array.dtype}: convert it")
    if kind != "f":
        return array if array.dtype == np.uint64 else array.astype(np.int64)
    wide = array.astype(np.float64)
    bad = np.argwhere(~np.isfinite(wide))
    if len(bad):
        row, column = map(int, bad[0])
        raise InputError(
            f"{name} must be finite, not {wide[row, column]} at row {row}, column {column}: "
            "replace such values"
        )
    return wide


def _narrow(name: str, values: np.ndarray) -> np.ndarray:
    """Finite floats as float32."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    if not np.isfinite(narrow).all():
        raise InputError(f"{name} has values beyond float32: scale it down")
    return narrow


def _activations(config: CoreConfig, A: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Activations in the configuration's format, and the step of each row if they were rounded."""
    values = _matrix("A", A)
    if config.is_float:
        rounded = as_format(values, config)
        beyond = np.argwhere(~np.isfinite(rounded.astype(np.float64)))
        if len(beyond):
            row, column = map(int, beyond[0])
            raise InputError(
                f"A is {values[row, column]:g} at row {row}, column {column}, beyond "
                f"{config.activation}: scale A down, or take a configuration of another activation"
            )
        return rounded, None
    low, high = config.activation_range
    if values.dtype.kind == "f":
        return quantise_rows(_narrow("A", values), high)
    if int(values.min()) < low or int(values.max()) > high:
        raise InputError(
            f"A has integers from {values.min()} to {values.max()}, {config.name} takes "
            f"{config.activation} ({low}..{high}): give floats to have them rounded row by row, or "
            "a configuration of another activation"
        )
    return values.astype(np.int64), None


def _weights(config: CoreConfig, W: Any, k: int, bits: int | None, group: int | None) -> _Weights:
    most = config.max_weight_bits
    if isinstance(W, QuantTensor):
        if bits is not None or group is not None:
            raise InputError("W is quantised already: leave out bits and group")
        made = _Weights(W)
    else:
        values = _matrix("W", W)
        if bits is not None and bits < 1:
            raise InputError(f"bits must be 1..{most}, not {bits}")
        if bits is not None and bits > most:
            raise InputError(
                f"bits={bits}: {config.name} takes {most} at most: give fewer, or a configuration "
                f"with max_weight_bits={bits}"
            )
        made = (_rounded if values.dtype.kind == "f" else _coded)(config, values, bits, group)
    if made.tensor.shape[1] != k:
        raise InputError(
            f"A is [M, {k}] and W is [N, {made.tensor.shape[1]}]: both need the same K; W is "
            "[N, K], as checkpoints store it"
        )
    return made


def _rounded(
    config: CoreConfig, values: np.ndarray, bits: int | None, group: int | None
) -> _Weights:
    """Float weights by the rules of the compiler."""
    ternary = config.weight_coding == "ternary"
    rounding = Rounding(
        bits=config.max_weight_bits if bits is None else bits,
        group_size=_GROUP if group is None else group,
        ternary=ternary,
    )
    tensor = rounding.apply("W", _narrow("W", values))
    return _Weights(tensor if config.zero_points != "shared" else _without_zero_points(tensor))


def _without_zero_points(tensor: QuantTensor) -> QuantTensor:
    """The same weights for a drain that takes one zero point for all: ``-s z`` as minimums."""
    return QuantTensor(
        name=tensor.name,
        kind=tensor.kind,
        bits=tensor.bits,
        codes=tensor.codes,
        scales=tensor.scales,
        zero_points=np.zeros_like(tensor.zero_points),
        minimums=-tensor.scales * tensor.zero_points,
        group_size=tensor.group_size,
    )


def _coded(config: CoreConfig, values: np.ndarray, bits: int | None, group: int | None) -> _Weights:
    """Whole weights, exactly: ``w = factor * (q - z) + least`` with one z for all."""
    if group is not None and group < 1:
        raise InputError(f"group must be positive, not {group}")
    levels = sorted(map(int, np.unique(values)))
    low = levels[0]
    factor = int(np.gcd.reduce([level - low for level in levels], dtype=object)) or 1
    span = (levels[-1] - low) // factor
    ternary = config.weight_coding == "ternary"
    needed = max(1, span.bit_length())
    if ternary:
        needed = 2 if span <= 2 else needed
    limit = config.max_weight_bits if bits is None else bits
    if needed > limit or (ternary and span > 2):
        takes = "weights of three levels" if ternary else f"{limit} bits"
        other = (
            "a configuration with binary weight_coding"
            if ternary
            else f"bits={needed}"
            if needed <= config.max_weight_bits
            else f"a configuration with max_weight_bits={needed}"
            if needed <= 8
            else "weights of 8 bits at most"
        )
        raise InputError(
            f"W has integers from {low} to {levels[-1]} in steps of {factor}, which take {needed} "
            f"bits; {'bits=' + str(bits) if bits is not None else config.name} gives {takes}: give "
            f"{other}, or floats to have W rounded"
        )
    width = 2 if ternary else needed if bits is None else bits
    zero, rest = divmod(-low, factor)
    if rest or not 0 <= zero <= 1 << width:
        zero = 0
    least = low + factor * zero
    n, k = values.shape
    codes = np.array([(level - low) // factor for level in levels], np.uint8)
    size = group or k
    grid = (n, -(-k // size))
    tensor = QuantTensor(
        name="W",
        kind=f"INT{width}",
        bits=width,
        codes=codes[np.searchsorted(np.array(levels, values.dtype), values)],
        scales=np.full(grid, factor, np.float32),
        zero_points=np.full(grid, zero, np.int16),
        minimums=np.full(grid, least, np.float32) if least else None,
        group_size=size,
    )
    return _Weights(tensor, factor, least)


# Places ------------------------------------------------------------------------------------------

_Found = tuple[np.ndarray, int | None, int, int]


def _whole(weights: _Weights, products: np.ndarray, activations: np.ndarray) -> np.ndarray:
    """``A W^T`` of whole weights from P = 2 sum A (q - z), int64."""
    factor = weights.factor or 0
    return factor * (products // 2) + weights.least * activations.sum(axis=1, keepdims=True)


def _on_tile(
    config: CoreConfig,
    activations: np.ndarray,
    weights: _Weights,
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
        raise InputError(f"{config.name} did not return all results: {report.problems[0]}")
    values = report.values
    if whole:
        runs = run_products(config, report.results, packed)
        products = np.sum([products for products, _ in runs], axis=0)
        values = _whole(weights, products, activations)
    return values, report.cycles, report.checked, report.mismatches


def _on_core(
    config: CoreConfig,
    activations: np.ndarray,
    weights: _Weights,
    whole: bool,
    on: str,
    port: str,
) -> _Found:
    tensor = weights.tensor
    if whole:
        products = integer_products(activations, tensor).sum(axis=2)
        golden = _whole(weights, products, activations)
    else:
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
