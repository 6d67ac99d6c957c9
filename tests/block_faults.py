"""Faults put by hand into blocks that proofs are about, by a change of their source."""

import inspect
import types
from pathlib import Path

from lutcore.verif.formal import (
    accumulators,
    beats,
    blocks,
    bursts,
    decoding,
    host,
    loads,
    lookups,
    master,
    products,
    progress,
    results,
    stores,
    walks,
)

#: Room and class of the block that a proof is about.
BLOCKS = {
    "exponents": (blocks, "ExponentKeys"),
    "alignment": (blocks, "Aligner"),
    "greatest entries": (blocks, "MagnitudeKeys"),
    "rounding": (blocks, "TableRounder"),
    "run buffer": (blocks, "RunBuffer"),
    "tables": (lookups, "TableBuilder"),
    "lookup": (lookups, "Column"),
    "engines": (lookups, "Column"),
    "accumulators": (accumulators, "Accumulators"),
    "table buffer": (results, "TableBuffer"),
    "drain": (results, "Drain"),
    "drain lane": (results, "DrainLane"),
    "zero points": (results, "ZeroPoints"),
    "products": (products, "ComputeEngine"),
    "activation walk": (walks, "ActivationFeeder"),
    "slice walk": (walks, "SliceFeeder"),
    "beats": (beats, "Epilogue"),
    "bursts": (bursts, "RowBursts"),
    "load addresses": (loads, "LoadEngine"),
    "load words": (loads, "LoadEngine"),
    "store addresses": (stores, "StoreEngine"),
    "store words": (stores, "StoreEngine"),
    "master": (master, "AxiMaster"),
    "decoder": (decoding, "Decoder"),
    "progress": (progress, "Sequencer"),
    "host": (host, "Control"),
}
_LAST_RESET = "at.bank.eq({}),\n            ]\n        return"
#: Faults put in by hand: the proof that must find each, and what changes in the block's source.
FAULTS = {
    "the least exponent": ("exponents", "Mux(a > b, a, b)", "Mux(a > b, b, a)"),
    "aligned by halves up": ("alignment", "ties_to_even(kept[0], guard, sticky)", "guard"),
    "no magnitudes": ("greatest entries", "Mux(value < 0, -value, value)", "value"),
    "rounded by halves up": ("rounding", "ties_to_even(kept[0], halves[0], sticky)", "halves[0]"),
    "a shift too early": ("rounding", "key > 127 << i", "key > 126 << i"),
    "keys of the last step": ("run buffer", "(key > greatest[row])", "(key >= 0)"),
    "entries in another width": ("tables", "entry.eq(value)", "entry.eq(value[:-2])"),
    "a column's runs never begin": ("lookup", "config, self.first, w", "config, Value.cast(0), w"),
    "an engine's runs never begin": (
        "engines",
        "config, self.first, w",
        "config, Value.cast(0), w",
    ),
    "accumulators never cleared": ("accumulators", "keep = ~first", "keep = ~Value.cast(0)"),
    "accumulators a bit short": ("accumulators", "(config, bits)", "(config, bits - 1)"),
    "a run kept too long": ("table buffer", "(full | fills) & ~empties", "full | fills & ~empties"),
    "captured twice": ("drain", "pending & ~self.capture)", "pending)"),
    "beats by twos": ("drain", "self.select << 1", "self.select << 2"),
    "zero points lost": ("zero points", "self.raw.valid & free", "free"),
    "zero points added": ("zero points", "raw_dot - corrections", "raw_dot + corrections"),
    "rows of activations side by side": (
        "activation walk",
        "place.eq((after + bus_bytes - 1) & ~(bus_bytes - 1))",
        "place.eq(after)",
    ),
    "weights of the next rows": (
        "slice walk",
        "at.place.eq(at.head.base)",
        "at.place.eq(at.after)",
    ),
    "no slice is the last": (
        "slice walk",
        "control.release.eq(at.last_tile)",
        "control.release.eq(0)",
    ),
    "a slice that moves on": ("slice walk", "~valid | self.slices.ready", "~valid | at.active"),
    "records of four bytes": (
        "beats",
        "Mux(at.narrow, units.scale // 2, units.scale)",
        "units.scale",
    ),
    "a product begins too early": (
        "beats",
        "self.tasks.ready.eq(self.idle)",
        "self.tasks.ready.eq(~at.active)",
    ),
    "sums read late": ("beats", 'cycles - ADDED - 1, "old', 'cycles - ADDED, "old'),
    "the rows of a tile are its columns": ("products", "parts(lmma.n, config.columns)", "lmma.n"),
    "walkers that are not asked": ("products", "Cat(*room).all()", "room[0]"),
    "a run that never leaves": (
        "run buffer",
        "results.valid.eq(full.bit_select(bank_out, 1)),",
        "results.valid.eq(full.all() | index_out.any()),",
    ),
    "keys of row 0": ("run buffer", "(key > greatest[row])", "(key > greatest[0])"),
    "banks side by side": (
        "run buffer",
        "Mux(bank_in, size, 0) + index_in",
        "Cat(index_in, bank_in)",
    ),
    "tables' banks side by side": (
        "table buffer",
        "write.addr.eq(Mux(bank_in, size, 0) + index)",
        "write.addr.eq(Cat(index, bank_in))",
    ),
    "beats from the last": (
        "drain lane",
        "held & self.select[beat]",
        "held & self.select[-1 - beat]",
    ),
    "idle while a slice waits": (
        "slice walk",
        "self.idle.eq(~at.active & ~valid)",
        "self.idle.eq(~at.active)",
    ),
    "words lost while the bus waits": ("store words", "~valid | ~full | self.words.ready", "1"),
    "tokens while the bus waits": ("store words", "self.done.eq(free & ", "self.done.eq("),
    "other halves of records": ("beats", '1, "odd")', '2, "odd")'),
    "old sums of other lanes": (
        "beats",
        "lane.old.eq(olds[place])",
        "lane.old.eq(olds[-1 - place])",
    ),
    "always accumulated": ("beats", "lane.accumulate.eq(task.accumulate)", "lane.accumulate.eq(1)"),
    "a deadlock is an end of loops": (
        "progress",
        "self._end(m, at, Cause.DEADLOCK",
        "self._end(m, at, Mux(self.empty, Cause.LOOP, Cause.DEADLOCK)",
    ),
    "given up too early": ("progress", "m.If(waits & at.still)", "m.If(waits & self.still)"),
    "pitch times 16": ("bursts", "row + head.pitch", "row + (head.pitch << 4)"),
    "bursts below 2^32": ("bursts", "payload.addr.eq(here)", "payload.addr.eq(here[:32])"),
    "pages of 8 KiB": ("bursts", "(1 << PAGE_BITS - shift)", "(2 << PAGE_BITS - shift)"),
    "window a page more": ("bursts", "page < self.window_high", "page <= self.window_high"),
    "withdrawn by a stop": ("bursts", "(begun | ~self.stop)", "(~self.stop)"),
    "banks from 1": ("load words", _LAST_RESET.format(0), _LAST_RESET.format(1)),
    "a tail's byte too many": ("load words", "at.tail > i ", "at.tail >= i "),
    "loads of 16 rows": ("load addresses", "rows.eq(load.rows)", "rows.eq(load.rows[:4])"),
    "strobes of all": ("store words", "strb.eq(merged_strobes)", "strb.eq(~0)"),
    "a block without its beats": ("store words", "units.acc * at.beats", "units.acc"),
    "no page for a fault": (
        "store addresses",
        "bursts.address, places",
        "bursts.address[:32], places",
    ),
    "an address with its data only": ("master", "bus.awvalid.eq(held | ", "bus.awvalid.eq("),
    "what can do no more waits on": (
        "progress",
        "waits & at.still)",
        "waits & at.still & self.empty)",
    ),
    "an end that waits for a token": (
        "progress",
        "Case(State.DRAIN), m.If(at.still)",
        "Case(State.DRAIN), m.If(at_rest)",
    ),
    "one instruction too many": ("progress", "at.pc >= self.length", "at.pc > self.length"),
    "limits are beyond": ("decoder", "found > high", "found > high + 1"),
    "locked by nothing": ("host", "else ~self.busy", "else Const(1)"),
    "events lost while cleared": (
        "host",
        "cleared | events",
        "(irq_status | events) & (cleared | ~irq_status)",
    ),
}


def with_fault(block, old, new):
    """A block of the same name from changed source."""
    source = Path(inspect.getfile(block)).read_text("utf-8")
    assert source.count(old) == 1, old
    changed = types.ModuleType(block.__module__)
    exec(compile(source.replace(old, new), block.__module__, "exec"), changed.__dict__)
    return getattr(changed, block.__name__)
