"""Whether a configuration fits a board, and which one near it does."""

import itertools
from collections.abc import Iterator, Mapping

from lutcore.errors import InputError
from lutcore.fpga.boards.boards import Board
from lutcore.fpga.flow.emit import is_core
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.rules import check_core

#: Part of the LUTs that place and route can use, and part that leaves a margin.
_USABLE, _COMFORTABLE = 0.97, 0.85
#: Beyond so many times what the board has, the model alone refuses.
_HOPELESS = 1.5

#: LUTs of everything but units and lanes of the epilogue; of such a lane.
_LINK, _CORE, _LANE = 700, 13500, 1400
_NAMES = {
    "lut": "LUTs",
    "ff": "flip-flops",
    "bram": "block RAMs",
    "spram": "single-port RAMs",
    "dsp": "multipliers",
}


def estimate(config: CoreConfig) -> float:
    """LUTs of a board by a model, without synthesis; LUTs of four inputs.

    A unit takes a LUT for each bit of its sums and two for each bit that it looks up; the rest
    hardly changes. Measured values are within a third of it.
    """
    unit = 2 * config.accumulator_bits + 2.5 * config.tables * config.stored_bits
    luts = config.m * config.columns * unit
    if is_core(config):
        return luts + _CORE + _LANE * config.m * config.drain_columns
    return luts + _LINK


def _sizes(value: int, halved: bool) -> list[int]:
    """Values that a field may be lowered to, itself first."""
    if halved:
        return [value >> i for i in range(value.bit_length())]
    return list(range(value, 0, -1))


def _lower(config: CoreConfig) -> Iterator[CoreConfig]:
    """Smaller configurations of the same kind that exist."""
    core = is_core(config)
    fields = ("tiles", "m", "n", "lookups")
    choices = [_sizes(getattr(config, f), core or getattr(config, f) > 32) for f in fields]
    for values in itertools.product(*choices):
        changed = {f: v for f, v in zip(fields, values, strict=True) if v != getattr(config, f)}
        columns = values[0] * values[2]
        if changed and config.result_columns and columns % config.result_columns:
            changed["result_columns"] = 1
        try:
            candidate = config.replace(**changed)
            if core:
                check_core(candidate)
        except InputError:
            continue
        yield candidate


def nearest(config: CoreConfig, board: Board, scale: float) -> dict[str, int] | None:
    """Fields to lower so that ``scale * estimate`` fits with a margin; None where nothing helps.

    The most products a cycle that fit, and of those the fewest fields changed.
    """
    most = board.capacity["lut"] * _COMFORTABLE
    best: tuple[int, int] | None = None
    found = None
    for candidate in _lower(config):
        if scale * estimate(candidate) > most:
            continue
        old, new = config.to_dict(), candidate.to_dict()
        changed = {field: new[field] for field in new if new[field] != old[field]}
        rank = (candidate.products_per_cycle, -len(changed))
        if best is None or rank > best:
            best, found = rank, changed
    return found


def _refuse(config: CoreConfig, board: Board, needs: str, scale: float) -> InputError:
    changed = nearest(config, board, scale)
    if changed:
        remedy = "--set " + " --set ".join(f"{field}={value}" for field, value in changed.items())
    else:
        remedy = f"the board's own configuration, {board.preset}"
    return InputError(
        f"{config.name} does not fit {board.title}: it needs {needs}; the nearest that fits, by "
        f"the area model: {remedy}"
    )


def check_model(config: CoreConfig, board: Board) -> None:
    """Refuse what is far too large, without synthesis.

    Raises
    ------
    InputError
        Naming what it needs, what the board has, and what would fit.
    """
    luts, most = estimate(config), board.capacity["lut"]
    if luts > _HOPELESS * most:
        raise _refuse(config, board, f"about {luts:,.0f} LUTs of {most:,}", 1.0)


def need(board: Board, total: Mapping[str, int]) -> dict[str, int]:
    """What a synthesised design takes of each thing that the board has.

    On iCE40 a flip-flop without a LUT takes the place of one.
    """
    found = {kind: total[kind] for kind in board.capacity}
    if board.family == "ice40":
        found["lut"] += total["lone"]
    return found


def check_synthesis(config: CoreConfig, board: Board, total: Mapping[str, int]) -> None:
    """Refuse what does not fit by what synthesis found; errors as :func:`check_model`."""
    found = need(board, total)
    over = []
    for kind, most in board.capacity.items():
        if found[kind] > most * (_USABLE if kind == "lut" else 1):
            over.append(f"{found[kind]:,} {_NAMES[kind]} of {most:,}")
    if over:
        scale = found["lut"] / estimate(config)
        raise _refuse(config, board, ", ".join(over), scale)
