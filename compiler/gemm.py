"""From a weight tensor and activations to a program: one mpGEMM, cut into what the buffers hold.

Loops, outermost first: blocks of rows, blocks of columns, runs of K. Weights and scales are laid
out in the order of their use, so that they are read once for every block of rows, front to back.
Each run's loads, and each block's sums, take the next place of a ring, as tokens allow. Where the
activation buffer holds all of K, activations are loaded once for all blocks of columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product

import numpy as np

from compiler.activations import activation_image
from compiler.pack import PackedWeights, pack
from compiler.program import OUTPUT_BYTES, Output, Program
from compiler.tensor import QuantTensor
from hdl.config import CoreConfig
from hdl.errors import InputError
from hdl.lmma import ACCUMULATORS, BY_NAME, EDGES, OUTPUTS, SCALES
from hdl.lmma_limits import Units, built_values
from hdl.rules import check_core

_PAGE = 4096
# Registers: memory addresses, then local ones.
_A, _W, _S, _O, _ACT, _WGT, _SCALE, _ACC = range(8)


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


@dataclass(frozen=True)
class _Run:
    """One run of K: its length, and whether it has scale records of its own."""

    length: int
    scaled: bool


@dataclass(frozen=True)
class _Blocks:
    """Rows and column tiles of a block, and what the rings hold of them.

    ``resident``: activations stay for all blocks of columns. ``stages`` runs, ``slots`` blocks.
    """

    rows: int
    tiles: int
    resident: bool
    stages: int
    slots: int


class _Layout:
    """Sizes, in bytes, of what a problem moves."""

    def __init__(self, config: CoreConfig, packed: PackedWeights, scales: str):
        self.config = config
        self.record = SCALES[scales]
        self.units = Units.of(config)
        self.planes = config.planes(packed.bits)
        steps = packed.steps
        grids = (packed.scales, packed.zero_points)
        # One scale and zero point for a whole row: its records serve every group.
        shared = all((grid == grid[:, :1]).all() for grid in grids)
        self.runs = []
        for run, group in enumerate(steps.group):
            used = steps.columns[steps.run == run]
            scaled = run == 0 or (not shared and steps.group[run - 1] != group)
            self.runs.append(_Run(int((used < packed.shape[1]).sum()), scaled))

    def act(self, run: _Run) -> int:
        """A row of a run's activations, whole bus words."""
        return _up(self.steps(run) * self.units.step, self.units.bus)

    def steps(self, run: _Run) -> int:
        """Steps of a run."""
        return -(-run.length // self.config.depth)

    def wgt(self, run: _Run) -> int:
        """A run's weights of one column tile."""
        return _up(self.steps(run) * self.planes * self.units.slice, self.units.bus)

    def scale(self, tiles: int) -> int:
        """A run's scale records of some column tiles."""
        return _up(
            tiles * self.config.columns * self.record.size, max(self.units.bus, self.units.scale)
        )

    def acc(self, rows: int, tiles: int) -> int:
        """Sums of a block."""
        config = self.config
        return -(-rows // config.m) * tiles * config.drain_beats * self.units.acc

    def bank(self, rows: int) -> int:
        """A bank's part of the activations of some rows, all runs."""
        return -(-rows // self.config.m) * sum(self.act(run) for run in self.runs)

    def rings(self, rows: int, tiles: int, resident: bool) -> tuple[int, int]:
        """Runs that the input buffers hold at a time, and blocks that the output buffer holds."""
        config = self.config
        longest = max(self.runs, key=lambda run: run.length)
        act = -(-rows // config.m) * self.act(longest)
        inputs = [
            config.weight_buffer // (tiles * self.wgt(longest)),
            config.scale_buffer // self.scale(tiles),
        ]
        if not resident:
            inputs.append(config.activation_buffer // config.m // act)
        return min(inputs), config.output_buffer // self.acc(rows, tiles)


def _sizes(layout: _Layout, rows: int, tiles: int) -> Iterator[tuple[int, int, bool]]:
    """Rows, column tiles and residence of all blocks that may be tried."""
    config = layout.config
    # A block ends at a column whose address in memory is aligned.
    grain = max(1, layout.units.bus // (2 * config.columns))
    heights = sorted({min(rows, config.m << i, 4095 // config.m * config.m) for i in range(13)})
    widths = sorted({min(tiles, grain << i, (1 << 16) // config.columns - 1) for i in range(13)})
    for height, width in product(heights, widths):
        yield height, width, False
        # While one block of rows is computed, the next one's activations come.
        if layout.bank(height) * (1 + (height < rows)) <= config.activation_buffer // config.m:
            yield height, width, True


def _choose(layout: _Layout, rows: int, tiles: int) -> _Blocks:
    """The blocks that move the fewest bytes."""
    config = layout.config
    act = sum(layout.act(run) for run in layout.runs)
    wgt = sum(layout.wgt(run) for run in layout.runs) * tiles
    best, least = None, 0.0
    for height, width, resident in _sizes(layout, rows, tiles):
        several = height < rows or width < tiles
        stages, slots = layout.rings(height, width, resident)
        if stages < 2 or slots < 1 + several:
            continue
        columns = -(-tiles // width)
        if resident:  # loads run ahead by a block of rows at most
            stages = min(stages, columns * len(layout.runs))
        traffic = rows * act * (1 if resident else columns) + wgt * -(-rows // height)
        if best is None or traffic < least:
            best, least = _Blocks(height, width, resident, stages, slots), traffic
    if best is None:
        stages, slots = layout.rings(1, 1, False)
        raise InputError(
            f"{config.name} cannot hold two runs of one row and {config.columns} columns: its "
            f"buffers hold {stages} and {slots} blocks of sums: enlarge them, or shorten group_size"
        )
    return best


class _Writer:
    """Instructions of a program."""

    def __init__(self, layout: _Layout, packed: PackedWeights, blocks: _Blocks, options: dict):
        self.layout, self.blocks, self.options = layout, blocks, options
        self.bits = packed.bits
        self.act_pitch = sum(layout.act(run) for run in layout.runs)
        self.words: list[int] = []

    def put(self, name: str, **values: int) -> None:
        """One instruction."""
        self.words.append(BY_NAME[name].encode(values))

    def add(self, register: int, value: int) -> None:
        """Advance a register."""
        if value:
            self.put("add", reg=register, value=value)

    def repeat(self, count: int, body) -> None:
        """A body, in a loop if there is more than one turn."""
        if count > 1:
            self.put("loop", count=count)
        if count:
            body()
        if count > 1:
            self.put("end")

    def run(self, run: _Run, rows: int, tiles: int, first: bool, last: bool, load: bool) -> None:
        """Loads and arithmetic of one run of a block; ``load``: of activations too."""
        layout, config, options = self.layout, self.layout.config, self.options
        act, wgt, scale = layout.act(run), layout.wgt(run) * tiles, layout.scale(tiles)
        loads = {"load.wgt": {"mem": _W, "local": _WGT, "rows": 1, "bytes": wgt}}
        if run.scaled:
            scales = {"mem": _S, "local": _SCALE, "rows": 1, "bytes": scale}
            loads = {"load.scale": scales} | loads
        if load:
            rows_of = {"mem": _A, "local": _ACT, "rows": rows, "bytes": act}
            loads = {"load.act": rows_of | {"pitch": self.act_pitch}} | loads
        for name, values in loads.items():
            tokens = {"wait_compute": name == next(iter(loads))}
            self.put(name, **values, **tokens, signal_compute=name == "load.wgt")
        self.add(_A, act if load else 0)
        self.add(_S, scale if run.scaled else 0)
        self.put(
            "lmma",
            m=rows, n=tiles * config.columns, k=run.length,
            **built_values(config), bits=self.bits, accumulator=options["accumulator"],
            act=_ACT, wgt=_WGT, scale=_SCALE, acc=_ACC,
            scales=options["scales"], zero=options["zero"], accumulate=not first,
            wait_load=1, wait_store=first, signal_load=1, signal_store=last,
        )  # fmt: skip
        self.add(_W, wgt)
        self.add(_ACT, -(-rows // config.m) * act)
        self.add(_WGT, wgt)

    def block(self, rows: int, tiles: int, columns: int, load: bool) -> None:
        """All runs of a block, and the store of its sums; ``load``: activations are not there."""
        layout, runs = self.layout, self.layout.runs
        last = len(runs) - 1
        scale = layout.scale(tiles)
        # The scale buffer advances with the group that comes, not with the one that ends.
        keys = [(run, i == 0, i == last, i > 0 and run.scaled) for i, run in enumerate(runs)]
        for (run, first, end, advances), same in groupby(keys):

            def body(run=run, first=first, end=end, advances=advances) -> None:
                self.add(_SCALE, scale if advances else 0)
                self.run(run, rows, tiles, first, end, load)

            self.repeat(len(list(same)), body)
        self.add(_SCALE, scale)
        self.put(
            "store", mem=_O, local=_ACC, rows=rows, columns=columns, pitch=self.options["pitch"],
            type=self.options["type"], wait_compute=1, signal_compute=1,
        )  # fmt: skip
        self.add(_ACC, layout.acc(rows, tiles))
        self.add(_A, -self.act_pitch if load else 0)
        self.add(_ACT, -layout.bank(rows) if self.blocks.resident else 0)

    def write(self, m: int, n: int, places: dict[str, int]) -> list[int]:
        """The whole program."""
        layout, blocks, options = self.layout, self.blocks, self.options
        config = layout.config
        width = blocks.tiles * config.columns
        for register in range(8):
            self.put("set", reg=register)
        self.put("set", reg=_A, value=places["activations"])
        self.put("set", reg=_O, value=places["outputs"])
        self.put("credit", edge=EDGES.index("compute-load"), count=blocks.stages)
        self.put("credit", edge=EDGES.index("store-compute"), count=blocks.slots)

        def column_blocks(count: int, rows: int, columns: int, load: bool) -> None:
            def body() -> None:
                self.block(rows, -(-columns // config.columns), columns, load)
                self.add(_O, columns * options["size"])

            self.repeat(count, body)

        def row_block(rows: int) -> None:
            self.put("set", reg=_W, value=places["weights"])
            self.put("set", reg=_S, value=places["scales"])
            first = min(blocks.resident, n // width)
            column_blocks(first, rows, width, True)
            column_blocks(n // width - first, rows, width, not blocks.resident)
            column_blocks(int(n % width > 0), rows, n % width, not first)
            self.add(_ACT, layout.bank(rows) if blocks.resident else 0)
            self.add(_A, rows * self.act_pitch)
            self.add(_O, rows * options["pitch"] - n * options["size"])

        self.repeat(m // blocks.rows, lambda: row_block(blocks.rows))
        self.repeat(int(m % blocks.rows > 0), lambda: row_block(m % blocks.rows))
        self.put("halt")
        return self.words


def _column_blocks(packed: PackedWeights, width: int) -> Iterator[slice]:
    tiles = len(packed.slices)
    for low in range(0, tiles, width):
        yield slice(low, min(low + width, tiles))


def _weights(layout: _Layout, packed: PackedWeights, width: int) -> np.ndarray:
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


def _record_format(packed: PackedWeights, tensor: QuantTensor) -> str:
    """The smallest records that hold a tensor's scales and zero points exactly."""
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


def gemm(
    config: CoreConfig, tensor: QuantTensor, activations: np.ndarray, output: str = "fp32"
) -> Program:
    """Program for ``O = A W^T``.

    Parameters
    ----------
    tensor : QuantTensor
        N x K weights without minimums.
    activations : [M, K]
        Integers, or the NumPy type of the float format (:data:`~compiler.activations.TYPES`).
    output : {"fp32", "int32", "fp16", "bf16"}
        ``int32`` leaves the unscaled P, which only has a meaning with one scale group a row, and
        where activations or tables have no scale of their own.

    Raises
    ------
    InputError
        The core cannot do it: what does not fit, and the remedy.
    """
    check_core(config)
    if output not in OUTPUTS:
        raise InputError(f"output must be one of {', '.join(OUTPUTS)}, not {output!r}")
    if tensor.minimums is not None:
        raise InputError(f"tensor {tensor.name!r} has minimums, which a core does not add")
    if tensor.column_order is not None:
        raise InputError(f"tensor {tensor.name!r} has columns in another order than its inputs")
    packed = pack(config, tensor)
    scales = _record_format(packed, tensor)
    layout = _Layout(config, packed, scales)
    (n, k), m = tensor.shape, len(activations)
    if activations.shape != (m, k) or not m:
        raise InputError(f"activations must be [M, {k}], not {list(activations.shape)}")
    if output == "int32" and not config.integer_results:
        raise InputError(
            f"output = int32 needs integers without a scale of their own, which the activations "
            f"({config.activation}) and tables ({config.table}) of {config.name} do not give: "
            "take fp32"
        )
    size = OUTPUT_BYTES[output]
    options = {
        "accumulator": ACCUMULATORS.index("int32" if output == "int32" else "fp32"),
        "scales": tuple(SCALES).index(scales),
        "zero": int(packed.zero_points.flat[0]) if not layout.record.zero else 0,
        "type": OUTPUTS.index(output),
        "size": size,
        "pitch": _up(n * size, layout.units.bus),
    }
    blocks = _choose(layout, m, len(packed.slices))
    groups = [packed.steps.group[i] for i, run in enumerate(layout.runs) if run.scaled]
    records = _records(packed, tensor, scales, config.columns)[groups]
    parts = []
    for block in _column_blocks(packed, blocks.tiles):
        columns = slice(block.start * config.columns, block.stop * config.columns)
        part = np.ascontiguousarray(records[:, columns]).view(np.uint8)
        fill = layout.scale(block.stop - block.start) - part.shape[1]
        parts.append(np.pad(part, ((0, 0), (0, fill))).ravel())
    image = activation_image(config, activations, [(r.length, layout.act(r)) for r in layout.runs])
    regions = {
        "weights": _weights(layout, packed, blocks.tiles),
        "scales": np.concatenate(parts),
        "activations": image,
        "outputs": np.zeros(m * options["pitch"], np.uint8),
    }
    places, end = {}, _up(config.program_buffer * 16, _PAGE)
    for name, content in regions.items():
        places[name] = end
        end = _up(end + content.size, _PAGE)
    memory = np.zeros(end, np.uint8)
    for name, content in regions.items():
        memory[places[name] : places[name] + content.size] = content.ravel()
    words = _Writer(layout, packed, blocks, options).write(m, n, places)
    if len(words) > config.program_buffer:
        raise InputError(
            f"the program has {len(words)} instructions, {config.name} holds "
            f"{config.program_buffer}: set program_buffer"
        )
    return Program(
        config, words, 0, memory, Output(places["outputs"], m, n, options["pitch"], output)
    )
