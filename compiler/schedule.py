"""How an mpGEMM is cut into blocks that a core's buffers hold: sizes, candidates, choice.

Loops, outermost first: blocks of rows, blocks of columns, runs of K. Each run's loads, and each
block's sums, take the next place of a ring, as tokens allow. Where the activation buffer holds all
of K, activations are loaded once for all blocks of columns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from compiler.pack import Steps
from hdl.config import CoreConfig
from hdl.errors import InputError
from hdl.lmma import SCALES
from hdl.lmma_limits import Units


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

    ``resident``: activations stay for all blocks of columns. ``stages`` runs, ``slots`` blocks.
    """

    rows: int
    tiles: int
    resident: bool
    stages: int
    slots: int


class Layout:
    """Sizes, in bytes, of what a problem moves; no weights are needed to know them.

    Parameters
    ----------
    config : CoreConfig
    bits : int
        Of the weight codes.
    steps : Steps
        How K is cut (:func:`~compiler.pack.cut_steps`).
    k : int
    scales : str
        Format of scale records (:data:`~hdl.lmma.SCALES`).
    shared : bool
        One scale and zero point for a whole row: its records serve every run.
    """

    def __init__(
        self, config: CoreConfig, bits: int, steps: Steps, k: int, scales: str, shared: bool
    ):
        self.config = config
        self.record = SCALES[scales]
        self.units = Units.of(config)
        self.planes = config.planes(bits)
        self.runs: list[Run] = []
        for run, group in enumerate(steps.group):
            used = steps.columns[steps.run == run]
            scaled = run == 0 or (not shared and steps.group[run - 1] != group)
            self.runs.append(Run(int((used < k).sum()), bool(scaled)))

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


def _sizes(layout: Layout, rows: int, widths: list[int]) -> Iterator[tuple[int, int, bool]]:
    """Rows, column tiles and residence of all blocks that may be tried."""
    config = layout.config
    heights = sorted({min(rows, config.m << i, 4095 // config.m * config.m) for i in range(13)})
    for height, width in product(heights, widths):
        yield height, width, False
        # While one block of rows is computed, the next one's activations come.
        if layout.bank(height) * (1 + (height < rows)) <= config.activation_buffer // config.m:
            yield height, width, True


def _widths(layout: Layout, tiles: int) -> list[int]:
    """Column tiles of a block: it ends at a column whose address in memory is aligned."""
    columns = layout.config.columns
    grain = max(1, layout.units.bus // (2 * columns))
    return sorted({min(tiles, grain << i, (1 << 16) // columns - 1) for i in range(13)})


def choose(layout: Layout, rows: int, tiles: int, width: int | None = None) -> Blocks:
    """The blocks that move the fewest bytes.

    ``width`` fixes their column tiles: weights that are laid out already serve another problem.

    Raises
    ------
    InputError
        The buffers do not hold the least blocks.
    """
    config = layout.config
    act = layout.act_pitch
    wgt = sum(layout.wgt(run) for run in layout.runs) * tiles
    best, least = None, 0.0
    widths = [width] if width else _widths(layout, tiles)
    for height, columns, resident in _sizes(layout, rows, widths):
        several = height < rows or columns < tiles
        stages, slots = layout.rings(height, columns, resident)
        if stages < 2 or slots < 1 + several:
            continue
        blocks = -(-tiles // columns)
        if resident:  # loads run ahead by a block of rows at most
            stages = min(stages, blocks * len(layout.runs))
        traffic = rows * act * (1 if resident else blocks) + wgt * -(-rows // height)
        if best is None or traffic < least:
            best, least = Blocks(height, columns, resident, stages, slots), traffic
    if best is None:
        stages, slots = layout.rings(1, 1, False)
        raise InputError(
            f"{config.name} cannot hold two runs of one row and {config.columns} columns: its "
            f"buffers hold {stages} and {slots} blocks of sums: enlarge them, or shorten group_size"
        )
    return best
