"""What to do where a tile misses its clock period: the period that it meets, a field to change."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig


class Change(NamedTuple):
    """A field, the value that makes a block faster, and why it does."""

    field: str
    value: Callable[[CoreConfig], Any]
    why: str


_STAGE = Change("pipeline", lambda c: c.pipeline + 1, "a register stage more in every unit")
_LOOKUPS = Change("lookups", lambda c: c.lookups // 2, "fewer tables are summed in a cycle")
_K = Change("k", lambda c: c.k - 1, "fewer activations are summed in a table")
_COLUMNS = Change("n", lambda c: c.n // 2, "fewer columns are driven")
_ALIGN = Change("align_bits", lambda c: c.align_bits - 2, "aligned activations are narrower")
_EXACT = Change("table", lambda c: "exact", "entries are not rounded")
_BEATS = Change("result_columns", lambda c: 2 * c.drain_columns, "fewer beats are chosen from")
_READER = Change("zero_points", lambda c: "external", "the reader subtracts zero points")
_GROUP = Change("group_size", lambda c: c.run_length // 2, "accumulators are narrower")

#: Block whose registers miss the period -> what makes it faster, the best first.
CHANGES: dict[str, tuple[Change, ...]] = {
    "columns": (_STAGE, _LOOKUPS, _K, _GROUP),
    "row_sums": (_STAGE, _LOOKUPS, _K, _GROUP),
    "table_stage": (_K, _LOOKUPS, _COLUMNS),
    "table_builder": (_K,),
    "table_buffer": (_K, _LOOKUPS),
    "frontend": (_K, _LOOKUPS),
    **dict.fromkeys(("exponent_keys", "align_buffer", "aligner"), (_ALIGN, _LOOKUPS)),
    **dict.fromkeys(("magnitude_keys", "round_buffer", "rounder"), (_EXACT, _K)),
    "drain": (_BEATS, _COLUMNS),
    "zero_points": (_READER,),
    "tile": (_COLUMNS, _LOOKUPS),
}


class Advice(NamedTuple):
    """Which block misses the period, and the change that makes it faster.

    Attributes
    ----------
    block : str
    change : str
        ``field=value``, as ``--set`` takes it.
    why : str
    """

    block: str
    change: str
    why: str


def reached(period: float, slack: float) -> float:
    """The period in ns that a netlist with this slack meets: the asked one, or a longer.

    That is rounded up to whole ps.
    """
    if slack >= 0:
        return period
    return math.ceil(round(1000 * (period - slack), 6)) / 1000


def advise(config: CoreConfig, slacks: Mapping[str, float]) -> Advice | None:
    """The first change of the block that misses the period by most, if the rules allow one.

    Parameters
    ----------
    slacks : mapping
        Block -> worst slack in ns of its flip-flops.
    """
    if not slacks:
        return None
    block = min(slacks, key=slacks.__getitem__)
    for field, value, why in CHANGES.get(block, ()) if slacks[block] < 0 else ():
        changed = value(config)
        if changed == getattr(config, field):
            continue
        try:
            config.replace(**{field: changed})
        except InputError:
            continue
        return Advice(block, f"{field}={changed}", why)
    return None
