"""Blocks of a tile: what a synthesised module counts as."""

from collections import Counter
from collections.abc import Iterator, Mapping

#: Blocks of the tile in the order of the data.
BLOCKS = (
    *("exponent_keys", "align_buffer", "aligner", "magnitude_keys", "round_buffer"),
    *("table_builder", "rounder", "frontend", "table_buffer", "table_stage"),
    *("columns", "row_sums", "drain", "zero_points", "tile"),
)
#: The results' way out.
WAY_OUT = ("row_sums", "drain", "zero_points")

#: Modules that count as another block, and blocks whose children are blocks of their own.
_BLOCK_OF = {"column": "columns", "drain_lane": "drain"}
_CONTAINERS = ("tile", "frontend")

#: Module -> cell or module below it -> how often.
Modules = Mapping[str, Mapping[str, int]]


def block_below(block: str, module: str, top: str) -> str:
    """Block of a module that stands in a module of ``block``."""
    name = module.removeprefix(f"{top}__")
    return _BLOCK_OF.get(name, name) if block in _CONTAINERS else block


def walk(modules: Modules, top: str) -> Iterator[tuple[str, str, int]]:
    """(block, module, times) of ``top``, which counts as block ``tile``, and every module below."""

    def visit(module: str, times: int, block: str) -> Iterator[tuple[str, str, int]]:
        yield block, module, times
        for kind, number in modules[module].items():
            if kind in modules:
                yield from visit(kind, times * number, block_below(block, kind, top))

    yield from visit(top, 1, "tile")


def count_cells(modules: Modules, top: str) -> Counter[tuple[str, str]]:
    """Instances of every (block, cell), through the hierarchy below ``top``."""
    counts: Counter[tuple[str, str]] = Counter()
    for block, module, times in walk(modules, top):
        for kind, number in modules[module].items():
            if kind not in modules:
                counts[block, kind] += times * number
    return counts


def core(blocks: Mapping[str, float]) -> float:
    """Sum of all blocks but the results' way out: table builder in; row sums, drain out."""
    return sum(size for block, size in blocks.items() if block not in WAY_OUT)
