"""The instructions of a planned mpGEMM."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from lutcore.compiler.program.cuts import Blocks, Layout, Run
from lutcore.hdl.isa.limits import built_values
from lutcore.hdl.isa.lmma import BY_NAME, EDGES

# Registers: memory addresses, then local ones.
_A, _W, _S, _O, _ACT, _WGT, _SCALE, _ACC = range(8)
_ALL = frozenset({"activations", "weights"})

#: Runs of a scale group that one loop takes at most, so that long programs stay fast to write.
_PERIOD = 16
_Item = TypeVar("_Item")


def turns(items: Sequence[_Item]) -> Iterator[tuple[Sequence[_Item], int]]:
    """Items as patterns and how often each comes in a row: ``abbabb`` is ``abb`` twice."""
    place = 0
    while place < len(items):
        best = (1, 1)
        for period in range(1, _PERIOD + 1):
            pattern, count = items[place : place + period], 1
            while items[place + count * period : place + (count + 1) * period] == pattern:
                count += 1
            if count > 1 and count * period > best[0] * best[1]:
                best = (period, count)
        period, count = best
        yield items[place : place + period], count
        place += period * count


class Writer:
    """Writes a program.

    Parameters
    ----------
    layout : Layout
    blocks : Blocks
    options : dict of str to int
        Operands that all instructions share: bits, accumulator, scales, zero, type, size, pitch.
    """

    def __init__(self, layout: Layout, blocks: Blocks, options: dict[str, int]):
        self.layout, self.blocks, self.options = layout, blocks, options
        self.act_pitch = layout.act_pitch
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

    def run(
        self, run: Run, rows: int, tiles: int, first: bool, last: bool, load: frozenset[str]
    ) -> None:
        """Loads and arithmetic of one run of a block; ``load``: operands that are not there."""
        layout, config, options = self.layout, self.layout.config, self.options
        act, wgt, scale = layout.act(run), layout.wgt(run) * tiles, layout.scale(tiles)
        loads: dict[str, dict[str, int]] = {}
        if "activations" in load:
            rows_of = {"mem": _A, "local": _ACT, "rows": rows, "bytes": act}
            loads["load.act"] = rows_of | {"pitch": self.act_pitch}
        if "weights" in load and run.scaled:
            loads["load.scale"] = {"mem": _S, "local": _SCALE, "rows": 1, "bytes": scale}
        if "weights" in load:
            loads["load.wgt"] = {"mem": _W, "local": _WGT, "rows": 1, "bytes": wgt}
        names = list(loads)
        for name, values in loads.items():
            tokens = {"wait_compute": name == names[0], "signal_compute": name == names[-1]}
            self.put(name, **values, **tokens)
        self.add(_A, act if "load.act" in loads else 0)
        self.add(_S, scale if "load.scale" in loads else 0)
        self.put(
            "lmma",
            m=rows, n=tiles * config.columns, k=run.length,
            **built_values(config), bits=options["bits"], accumulator=options["accumulator"],
            act=_ACT, wgt=_WGT, scale=_SCALE, acc=_ACC,
            scales=options["scales"], zero=options["zero"], accumulate=not first,
            wait_load=1, wait_store=first, signal_load=1, signal_store=last,
        )  # fmt: skip
        self.add(_W, wgt if "load.wgt" in loads else 0)
        self.add(_ACT, -(-rows // config.m) * act)
        self.add(_WGT, wgt)

    def block(self, rows: int, columns: int, load: frozenset[str]) -> None:
        """All runs of a block, and the store of its sums; ``load``: operands that are not there."""
        tiles = -(-columns // self.layout.config.columns)
        layout, runs = self.layout, self.layout.runs
        last = len(runs) - 1
        scale = layout.scale(tiles)
        # The scale buffer advances with the group that comes, not with the one that ends.
        keys = [(run, i == 0, i == last, i > 0 and run.scaled) for i, run in enumerate(runs)]
        for pattern, count in turns(keys):

            def body(pattern=pattern) -> None:
                for run, first, end, advances in pattern:
                    self.add(_SCALE, scale if advances else 0)
                    self.run(run, rows, tiles, first, end, load)

            self.repeat(count, body)
        self.add(_SCALE, scale)
        self.put(
            "store", mem=_O, local=_ACC, rows=rows, columns=columns, pitch=self.options["pitch"],
            type=self.options["type"], wait_compute=1, signal_compute=1,
        )  # fmt: skip
        self.add(_ACC, layout.acc(rows, tiles))
        self.add(_A, -self.act_pitch if "activations" in load else 0)
        self.keep(-1, rows, tiles)

    def keep(self, sign: int, rows: int, tiles: int) -> None:
        """Back to the start of what a block keeps, or on behind it."""
        kept, layout = self.blocks.kept, self.layout
        if kept == "activations":
            self.add(_ACT, sign * layout.bank(rows))
        if kept == "weights":
            self.add(_WGT, sign * layout.weights(tiles))
            self.add(_SCALE, sign * layout.scales(tiles))

    def write(self, m: int, n: int, places: dict[str, int]) -> list[int]:
        """The whole program."""
        blocks = self.blocks
        for register in range(8):
            self.put("set", reg=register)
        self.put("set", reg=_A, value=places["activations"])
        self.put("set", reg=_O, value=places["outputs"])
        self.put("credit", edge=EDGES.index("compute-load"), count=blocks.stages)
        self.put("credit", edge=EDGES.index("store-compute"), count=blocks.slots)

        outside = self.rows_outside if blocks.order == "rows" else self.columns_outside
        outside(m, n, places)
        self.put("halt")
        return self.words

    def inner(self, total: int, size: int, body: Callable[[int, frozenset[str]], None]) -> None:
        """Blocks of ``size`` up to ``total``: what is kept comes with the first."""
        later = _ALL - {self.blocks.kept}
        first = min(self.blocks.resident, total // size)
        self.repeat(int(first), lambda: body(size, _ALL))
        self.repeat(total // size - first, lambda: body(size, later))
        rest = total % size
        self.repeat(int(rest > 0), lambda: body(rest, later if first else _ALL))

    def rows_outside(self, m: int, n: int, places: dict[str, int]) -> None:
        """Blocks of rows, in each all blocks of columns."""
        layout, blocks, size = self.layout, self.blocks, self.options["size"]
        width = blocks.tiles * layout.config.columns

        def turn(rows: int) -> None:
            def column_block(columns: int, load: frozenset[str]) -> None:
                self.block(rows, columns, load)
                self.add(_O, columns * size)

            self.put("set", reg=_W, value=places["weights"])
            self.put("set", reg=_S, value=places["scales"])
            self.inner(n, width, column_block)
            self.keep(1, rows, 0)
            self.add(_A, rows * self.act_pitch)
            self.add(_O, rows * self.options["pitch"] - n * size)

        self.repeat(m // blocks.rows, lambda: turn(blocks.rows))
        self.repeat(int(m % blocks.rows > 0), lambda: turn(m % blocks.rows))

    def columns_outside(self, m: int, n: int, places: dict[str, int]) -> None:
        """Blocks of columns, in each all blocks of rows."""
        blocks, pitch = self.blocks, self.options["pitch"]
        width = blocks.tiles * self.layout.config.columns

        def turn(columns: int) -> None:
            def row_block(rows: int, load: frozenset[str]) -> None:
                self.block(rows, columns, load)
                self.add(_A, rows * self.act_pitch)
                self.add(_O, rows * pitch)

            self.put("set", reg=_A, value=places["activations"])
            self.inner(m, blocks.rows, row_block)
            self.keep(1, 0, -(-columns // self.layout.config.columns))
            self.add(_O, columns * self.options["size"] - m * pitch)

        self.put("set", reg=_W, value=places["weights"])
        self.put("set", reg=_S, value=places["scales"])
        self.repeat(n // width, lambda: turn(width))
        self.repeat(int(n % width > 0), lambda: turn(n % width))
