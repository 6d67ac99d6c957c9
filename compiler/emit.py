"""The instructions of a planned mpGEMM."""

from itertools import groupby

from compiler.schedule import Blocks, Layout, Run
from hdl.lmma import BY_NAME, EDGES
from hdl.lmma_limits import built_values

# Registers: memory addresses, then local ones.
_A, _W, _S, _O, _ACT, _WGT, _SCALE, _ACC = range(8)


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

    def run(self, run: Run, rows: int, tiles: int, first: bool, last: bool, load: bool) -> None:
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
            **built_values(config), bits=options["bits"], accumulator=options["accumulator"],
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
