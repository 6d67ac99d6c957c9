"""From a weight tensor and activations to a program: one mpGEMM, cut into what the buffers hold.

Weights and scales are laid out in the order of their use (:mod:`lutcore.compiler.program.cuts`), so
that they are read once for every block of rows, front to back. A :class:`Plan` is a program and its
weights for any place in memory and any activations; :func:`gemm` places one of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from lutcore.compiler.program.activations import activation_image
from lutcore.compiler.program.cuts import Blocks, Layout, up
from lutcore.compiler.program.emit import Writer
from lutcore.compiler.program.program import PAGE, Output, Program
from lutcore.compiler.schedule.engine_times import Memory
from lutcore.compiler.schedule.search import Problem, choose, shared_operands
from lutcore.compiler.weights.pack import PackedWeights, pack
from lutcore.compiler.weights.tensor import QuantTensor
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.lmma import BYTES, OUTPUTS


def _column_blocks(packed: PackedWeights, width: int) -> Iterator[slice]:
    tiles = len(packed.slices)
    for low in range(0, tiles, width):
        yield slice(low, min(low + width, tiles))


def _weights(layout: Layout, packed: PackedWeights, width: int) -> np.ndarray:
    """Slices in the order of their use: blocks of columns, runs, tiles, steps, planes.

    Where accumulators double, planes come before steps, the highest first.
    """
    parts = []
    for block in _column_blocks(packed, width):
        for index, run in enumerate(layout.runs):
            part = packed.slices[block][:, packed.steps.run == index]
            if layout.config.doubles:
                part = part.transpose(0, 2, 1, 3)[:, ::-1]
            rows = part.reshape(len(part), -1)
            parts.append(np.pad(rows, ((0, 0), (0, layout.wgt(run) - rows.shape[1]))).ravel())
    return np.concatenate(parts)


def _records(packed: PackedWeights, tensor: QuantTensor, scales: str, n: int) -> np.ndarray:
    """Scale records [groups, columns padded to whole tiles]."""
    if scales == "fp32":
        records = packed.scales.astype(np.float32)
    else:
        records = tensor.scales.astype(np.float16)
    if scales == "fp16-zero":
        zero = packed.zero_points.astype(np.int16).view(np.uint16).astype(np.uint32)
        records = records.view(np.uint16) | zero << np.uint32(16)
    return np.pad(records, ((0, -len(records) % n), (0, 0))).T


def record_format(packed: PackedWeights, tensor: QuantTensor) -> str:
    """The smallest records that hold a tensor's scales and zero points exactly.

    Raises
    ------
    InputError
        There are none.
    """
    with np.errstate(over="ignore"):
        exact = (tensor.scales.astype(np.float16).astype(np.float32) == tensor.scales).all()
    if (packed.zero_points == packed.zero_points.flat[0]).all():
        return "fp16" if exact else "fp32"
    if not exact:
        raise InputError(
            f"tensor {tensor.name!r} has zero points of its own for each group and scales that "
            "are no FP16 numbers: round the scales to FP16"
        )
    return "fp16-zero"


def _scales(layout: Layout, records: np.ndarray, packed: PackedWeights, width: int) -> np.ndarray:
    """Records [runs with their own, columns] in the order of their use: blocks, then runs."""
    columns = layout.config.columns
    parts = []
    for block in _column_blocks(packed, width):
        cut = records[:, block.start * columns : block.stop * columns]
        part = np.ascontiguousarray(cut).view(np.uint8)
        fill = layout.scale(block.stop - block.start) - part.shape[1]
        parts.append(np.pad(part, ((0, 0), (0, fill))).ravel())
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Plan:
    """A planned ``O = A W^T``: everything but where it stands and what A is.

    Attributes
    ----------
    config : CoreConfig
    shape : (int, int, int)
        M, N, K.
    layout : Layout
    blocks : Blocks
        The choice of the schedule.
    weights, scales : uint8
        Packed slices and scale records, in the order of their use.
    options : dict of str to int
        Operands that all instructions share.
    type : str
        Of the result.
    column_order : int32 [K] or None
        Input that each column of weights belongs to; None: in order.
    """

    config: CoreConfig
    shape: tuple[int, int, int]
    layout: Layout
    blocks: Blocks
    weights: np.ndarray
    scales: np.ndarray
    options: dict[str, int]
    type: str
    column_order: np.ndarray | None

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each region of memory; a place of each goes to :meth:`words`."""
        m = self.shape[0]
        return {
            "weights": self.weights.size,
            "scales": self.scales.size,
            "activations": m * self.layout.act_pitch,
            "outputs": m * self.options["pitch"],
        }

    def problem(self, memory: Memory | None = None) -> Problem:
        """What was scheduled, for another look at it
        (:func:`~lutcore.compiler.schedule.search.search`).
        """
        m, n, _ = self.shape
        return Problem(
            layout=self.layout, m=m, n=n, options=self.options, memory=memory or Memory()
        )

    def with_rows(self, m: int) -> "Plan":
        """The plan for another number of rows, with the same weights and scales in memory."""
        _, n, k = self.shape
        made = replace(self, shape=(m, n, k))
        return replace(made, blocks=choose(made.problem(), width=self.blocks.tiles))

    def activations(self, values: np.ndarray) -> np.ndarray:
        """Bytes of the activation region, uint8 [M, pitch].

        Parameters
        ----------
        values : [M, K]
            Integers, or the NumPy type of the float format
            (:data:`~lutcore.compiler.program.activations.TYPES`).

        Raises
        ------
        InputError
            They have another shape, or are not of the configuration's format.
        """
        m, _, k = self.shape
        if values.shape != (m, k):
            raise InputError(f"activations must be {[m, k]}, not {list(values.shape)}")
        if self.column_order is not None:
            values = values[:, self.column_order]
        runs = [(run.length, self.layout.act(run)) for run in self.layout.runs]
        return activation_image(self.config, values, runs)

    def output(self, address: int) -> Output:
        """The result, where the region of outputs stands at ``address``."""
        m, n, _ = self.shape
        return Output(address, m, n, self.options["pitch"], self.type)

    def words(self, places: dict[str, int]) -> list[int]:
        """Instructions for regions at these addresses, multiples of :data:`PAGE`.

        Raises
        ------
        InputError
            The core's program buffer is too small.
        """
        m, n, _ = self.shape
        words = Writer(self.layout, self.blocks, self.options).write(m, n, places)
        if len(words) > self.config.program_buffer:
            raise InputError(
                f"the program has {len(words)} instructions, {self.config.name} holds "
                f"{self.config.program_buffer}: set program_buffer"
            )
        return words


def _check_output(config: CoreConfig, output: str) -> None:
    if output not in OUTPUTS:
        raise InputError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    if output == "int32" and not config.integer_results:
        raise InputError(
            f"output = int32 needs integers without a scale of their own, which the activations "
            f"({config.activation}) and tables ({config.table}) of {config.name} do not give: "
            "take fp32"
        )


def plan(
    config: CoreConfig,
    tensor: QuantTensor,
    m: int,
    output: str = "fp32",
    memory: Memory | None = None,
) -> Plan:
    """Plan ``O = A W^T`` for ``m`` rows of activations.

    Parameters
    ----------
    tensor : QuantTensor
        N x K weights. Their minimums are left to the host: it adds
        ``minimums[n,g] * sum_{k in g} A[m,k]``.
    m : int
    output : {"fp32", "int32", "fp16", "bf16"}
        ``int32`` leaves the unscaled P, which only has a meaning with one scale group a row, and
        where activations or tables have no scale of their own.
    memory : Memory, optional
        Where cycles are counted for the choice of blocks.

    Raises
    ------
    InputError
        The core cannot do it: what does not fit, and the remedy.
    """
    check_core(config)
    _check_output(config, output)
    if m < 1:
        raise InputError(f"activations must have one row at least, not {m}")
    # Sums of runs are FP32: only whole-number results limit K.
    deep = max(config.max_k, tensor.shape[1]) if output != "int32" else config.max_k
    packed = pack(config.replace(max_k=deep), tensor)
    scales = record_format(packed, tensor)
    n, k = tensor.shape
    grids = (packed.scales, packed.zero_points)
    shared = all((grid == grid[:, :1]).all() for grid in grids)
    layout = Layout.of(config, packed.bits, packed.steps, k, scales, shared)
    zero = 0 if layout.record.zero else int(packed.zero_points.flat[0])
    options = shared_operands(layout, n, packed.bits, output, scales, zero)
    problem = Problem(layout=layout, m=m, n=n, options=options, memory=memory or Memory())
    blocks = choose(problem)
    groups = [packed.steps.group[i] for i, run in enumerate(layout.runs) if run.scaled]
    records = _records(packed, tensor, scales, config.columns)[groups]
    return Plan(
        config=config,
        shape=(m, n, k),
        layout=layout,
        blocks=blocks,
        weights=_weights(layout, packed, blocks.tiles),
        scales=_scales(layout, records, packed, blocks.tiles),
        options=options,
        type=output,
        column_order=tensor.column_order,
    )


def gemm(
    config: CoreConfig,
    tensor: QuantTensor,
    activations: np.ndarray,
    output: str = "fp32",
    memory: Memory | None = None,
) -> Program:
    """Program for ``O = A W^T`` in a memory of its own; parameters as :func:`plan`.

    Parameters
    ----------
    activations : [M, K]
        Integers, or the NumPy type of the float format
        (:data:`~lutcore.compiler.program.activations.TYPES`).

    Raises
    ------
    InputError
        The core cannot do it, or the tensor has minimums, which no core adds.
    """
    refuse_minimums(tensor)
    return placed(plan(config, tensor, len(activations), output, memory), activations)


def refuse_minimums(tensor: QuantTensor) -> None:
    """Raise an :class:`InputError` where a program without a host would leave something out."""
    if tensor.minimums is not None:
        raise InputError(f"tensor {tensor.name!r} has minimums, which a core does not add")


def placed(made: Plan, activations: np.ndarray) -> Program:
    """Program of a plan in a memory of its own, with these activations [M, K]."""
    config = made.config
    regions = {
        "weights": made.weights,
        "scales": made.scales,
        "activations": made.activations(activations).ravel(),
    }
    places, end = {}, up(config.program_buffer * BYTES, PAGE)
    for name, size in made.sizes.items():
        places[name] = end
        end = up(end + size, PAGE)
    memory = np.zeros(end, np.uint8)
    for name, content in regions.items():
        memory[places[name] : places[name] + content.size] = content
    return Program(config, made.words(places), 0, memory, made.output(places["outputs"]))
