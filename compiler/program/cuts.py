"""How an mpGEMM is cut into blocks that a core's buffers hold: sizes, and all ways to cut.

Loops, outermost first: blocks of rows, blocks of columns, runs of K; or blocks of columns, blocks
of rows, runs of K. Each run's loads, and each block's sums, take the next place of a ring, as
tokens allow. What the outermost loop fixes may stay in its buffer while the next one turns:
activations of a block of rows, weights and scales of a block of columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from lutcore.compiler.weights.pack import Steps
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.isa.limits import Units
from lutcore.hdl.isa.lmma import SCALES, ScaleRecord


def up(value: int, unit: int) -> int:
    """``value`` rounded up to whole units."""
    return -(-value // unit) * unit


@dataclass(frozen=True)
class Run:
    """One run of K: its length, and whether it has scale records of its own."""

    length: int
    scaled: bool


@dataclass(frozen=True)
class Blocks:
    """Rows and column tiles of a block, and what the rings hold of them.

    ``order``: the outermost loop, ``rows`` or ``columns``. ``resident``: its operand stays for all
    turns of the next one: activations, or weights and scales. ``stages`` runs, ``slots`` blocks.
    """

    rows: int
    tiles: int
    order: str
    resident: bool
    stages: int
    slots: int

    @property
    def kept(self) -> str:
        """Operand that is loaded once for all turns of the second loop."""
        if not self.resident:
            return "nothing"
        return "activations" if self.order == "rows" else "weights"


@dataclass(frozen=True)
class Layout:
    """Sizes, in bytes, of what a problem moves; no weights are needed to know them.

    Attributes
    ----------
    config : CoreConfig
    planes : int
        Slices of a step.
    record : ScaleRecord
        Format of scale records.
    runs : tuple of Run
    """

    config: CoreConfig
    planes: int
    record: ScaleRecord
    runs: tuple[Run, ...]

    @classmethod
    def of(
        cls, config: CoreConfig, bits: int, steps: Steps, k: int, scales: str, shared: bool
    ) -> "Layout":
        """Layout of a problem.

        Parameters
        ----------
        bits : int
            Of the weight codes.
        steps : Steps
            How K is cut (:func:`~lutcore.compiler.weights.pack.cut_steps`).
        k : int
        scales : str
            Format of scale records (:data:`~lutcore.hdl.isa.lmma.SCALES`).
        shared : bool
            One scale and zero point for a whole row: its records serve every run.
        """
        runs = []
        for run, group in enumerate(steps.group):
            used = steps.columns[steps.run == run]
            scaled = run == 0 or (not shared and steps.group[run - 1] != group)
            runs.append(Run(int((used < k).sum()), bool(scaled)))
        return cls(config, config.planes(bits), SCALES[scales], tuple(runs))

    @property
    def units(self) -> Units:
        """What addresses count."""
        return Units.of(self.config)

    @property
    def act_pitch(self) -> int:
        """A row of activations, all runs."""
        return sum(self.act(run) for run in self.runs)

    def act(self, run: Run) -> int:
        """A row of a run's activations, whole bus words."""
        return up(self.steps(run) * self.units.step, self.units.bus)

    def steps(self, run: Run) -> int:
        """Steps of a run."""
        return -(-run.length // self.config.depth)

    def wgt(self, run: Run) -> int:
        """A run's weights of one column tile."""
        return up(self.steps(run) * self.planes * self.units.slice, self.units.bus)

    def scale(self, tiles: int) -> int:
        """A run's scale records of some column tiles."""
        return up(
            tiles * self.config.columns * self.record.size, max(self.units.bus, self.units.scale)
        )

    def acc(self, rows: int, tiles: int) -> int:
        """Sums of a block."""
        config = self.config
        return -(-rows // config.m) * tiles * config.drain_beats * self.units.acc

    def bank(self, rows: int) -> int:
        """A bank's part of the activations of some rows, all runs."""
        return -(-rows // self.config.m) * self.act_pitch

    def weights(self, tiles: int) -> int:
        """All runs' weights of some column tiles."""
        return tiles * sum(self.wgt(run) for run in self.runs)

    def scales(self, tiles: int) -> int:
        """All runs' scale records of some column tiles."""
        return self.scale(tiles) * sum(run.scaled for run in self.runs)

    def ring(self, rows: int, tiles: int, kept: str) -> int:
        """Runs that the input buffers hold at a time, of operands that are not kept."""
        config = self.config
        longest = max(self.runs, key=lambda run: run.length)
        inputs = []
        if kept != "weights":
            inputs.append(config.weight_buffer // (tiles * self.wgt(longest)))
            inputs.append(config.scale_buffer // self.scale(tiles))
        if kept != "activations":
            act = -(-rows // config.m) * self.act(longest)
            inputs.append(config.activation_buffer // config.m // act)
        return min(inputs)

    def fits(self, rows: int, tiles: int, kept: str, several: bool) -> bool:
        """Whether the kept operand fits; of ``several`` blocks, the next one's comes meanwhile."""
        config, count = self.config, 1 + several
        if kept == "activations":
            return self.bank(rows) * count <= config.activation_buffer // config.m
        return (
            self.weights(tiles) * count <= config.weight_buffer
            and self.scales(tiles) * count <= config.scale_buffer
        )


def widths(layout: Layout, tiles: int) -> list[int]:
    """Column tiles of a block: it ends at a column whose address in memory is aligned."""
    columns = layout.config.columns
    grain = max(1, layout.units.bus // (2 * columns))
    return sorted({min(tiles, grain << i, (1 << 16) // columns - 1) for i in range(13)})


def blockings(layout: Layout, rows: int, tiles: int, widths: list[int]) -> Iterator[Blocks]:
    """All blocks of ``rows`` x ``tiles`` that the buffers hold, of these widths."""
    config = layout.config
    heights = sorted({min(rows, config.m << i, 4095 // config.m * config.m) for i in range(13)})
    for height, width in product(heights, widths):
        slots = config.output_buffer // layout.acc(height, width)
        if slots < 1 + (height < rows or width < tiles):
            continue
        runs = len(layout.runs)
        turns = {"rows": -(-tiles // width), "columns": -(-rows // height)}
        several = {"rows": height < rows, "columns": width < tiles}
        for order, resident in (("rows", False), ("rows", True), ("columns", True)):
            if order == "columns" and not several["rows"]:
                continue  # the same as the other order
            blocks = Blocks(height, width, order, resident, 0, slots)
            stages = layout.ring(height, width, blocks.kept)
            if resident:
                if not layout.fits(height, width, blocks.kept, several[order]):
                    continue
                # Loads run ahead by a turn of the outermost loop at most.
                stages = min(stages, turns[order] * runs)
            if stages >= 2:
                yield Blocks(height, width, order, resident, stages, slots)
