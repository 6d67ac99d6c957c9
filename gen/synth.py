"""Area and timing of a tile on a standard-cell library, block by block."""

import contextlib
import dataclasses
import gzip
import hashlib
import importlib.metadata
import json
import math
import os
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.liberty import Library, parse, read_bytes
from gen.mapping import Mapped, flow_digest, map_rtlil, tool_versions
from gen.rtl import design_rtlil
from hdl.config import CoreConfig
from hdl.errors import InputError, ToolError
from verif.simulator import cache_folder

#: The library that is used where none is given.
NEUTRAL_CELLS = Path(__file__).with_name("cells.lib")
_NEUTRAL_NAME = "lutcore_gate_equivalents"

#: Blocks of the tile in the order of the data.
_BLOCKS = (
    *("exponent_keys", "align_buffer", "aligner", "magnitude_keys", "round_buffer"),
    *("table_builder", "rounder", "frontend", "table_buffer", "table_stage"),
    *("columns", "row_sums", "drain", "zero_points", "tile"),
)
#: Modules that count as another block, and blocks whose children are blocks of their own.
_BLOCK_OF = {"column": "columns", "drain_lane": "drain"}
_CONTAINERS = ("tile", "frontend")
#: The results' way out.
WAY_OUT = ("row_sums", "drain", "zero_points")


@dataclass(frozen=True, kw_only=True)
class AreaReport:
    """Area of one tile.

    Attributes
    ----------
    design : str
        Top module.
    config : dict
        Its configuration.
    target : str
        ``asic``.
    liberty : str
        File name of the library.
    blocks : dict
        Block -> gate equivalents of all its instances, by their sum the whole: the children of the
        tile, ``columns`` all N weight columns, ``tile`` what remains: issue control, and the gates
        that choose the columns that drain.
    area_um2 : float or None
        Cell area in the library's unit; None with the neutral library.
    gate_equivalents : float
        Cell area over that of the library's smallest 2-input NAND.
    sequential_gate_equivalents : float
        Flip-flops' part of it.
    cells : int
        Standard cells.
    period_ns, slack_ns : float or None
        Clock period and worst slack; None where timing was not analysed. Negative: the period is
        not met, so the area must not be compared.
    path : list of str
        The worst path, stage by stage: delay in ns, pin, cell.
    block_slack_ns : dict
        Block -> worst slack of its flip-flops.
    tool_versions : dict
    seconds : float
        Duration of the synthesis, of the original one where the result was cached.
    """

    design: str
    config: dict[str, Any]
    target: str
    liberty: str
    blocks: dict[str, float]
    area_um2: float | None
    gate_equivalents: float
    sequential_gate_equivalents: float
    cells: int
    period_ns: float | None
    slack_ns: float | None
    path: list[str]
    block_slack_ns: dict[str, float]
    tool_versions: dict[str, str]
    seconds: float

    @property
    def core_gate_equivalents(self) -> float:
        """All but the results' way out: without row sums, drain and zero points."""
        return sum(area for block, area in self.blocks.items() if block not in WAY_OUT)

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def synthesise(
    config: CoreConfig,
    liberty: Path | Sequence[Path] | None = None,
    *,
    period: float | None = None,
    use_cache: bool = True,
) -> AreaReport:
    """Map a tile to standard cells, or find that done, and report.

    Blocks are mapped one by one; what two blocks could share stays double.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path or sequence of Path, optional
        Liberty files of one library, plain or gzip; default :data:`NEUTRAL_CELLS`.
    period : float, optional
        Clock period in ns to meet (:mod:`gen.mapping`); without it, or without OpenSTA, time does
        not count and nothing is buffered or sized.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Raises
    ------
    InputError
        The library cannot be used, or the synthesis tool is missing.
    ToolError
        It failed.
    """
    library, contents, where = read_library(liberty)
    mapped, versions = _mapped(config, library, contents, where, period, use_cache)
    counts = _count(mapped.modules, config.name)
    areas = dict.fromkeys((block for block, _ in counts), 0.0)
    sequential = 0.0
    for (block, name), number in counts.items():
        cell = library.cells.get(name)
        if cell is None:
            raise InputError(f"{where}: no cell can stand for {name}: give a complete library")
        if not cell.area:
            raise InputError(f"{where}: cell {name} has no area: give a complete library")
        areas[block] += number * cell.area
        sequential += number * cell.area if cell.flip_flop else 0
    order = [*_BLOCKS, *sorted(areas.keys() - set(_BLOCKS))]
    gate = library.nand2.area
    slacks: dict[str, float] = {}
    for block, module in _block_modules(mapped.modules, config.name):
        if module in mapped.slacks:
            slacks[block] = min(slacks.get(block, math.inf), mapped.slacks[module])
    return AreaReport(
        design=config.name,
        config=config.to_dict(),
        target="asic",
        liberty=where if liberty is None else ", ".join(path.name for path in _paths(liberty)),
        blocks={block: areas[block] / gate for block in order if block in areas},
        area_um2=None if library.name == _NEUTRAL_NAME else sum(areas.values()),
        gate_equivalents=sum(areas.values()) / gate,
        sequential_gate_equivalents=sequential / gate,
        cells=counts.total(),
        period_ns=period,
        slack_ns=mapped.slack,
        path=mapped.path,
        block_slack_ns={block: slacks[block] for block in order if block in slacks},
        tool_versions=versions
        | {name: importlib.metadata.version(name) for name in ("amaranth", "lut-tensor-core")},
        seconds=mapped.seconds,
    )


def netlist(
    config: CoreConfig,
    liberty: Path | Sequence[Path] | None = None,
    *,
    period: float | None = None,
) -> str:
    """Verilog of the tile as :func:`synthesise` mapped it: instances of the library's cells.

    Parameters and errors as there.
    """
    library, contents, where = read_library(liberty)
    return _mapped(config, library, contents, where, period)[0].netlist


def _paths(liberty: Path | Sequence[Path] | None) -> list[Path]:
    if liberty is None:
        return [NEUTRAL_CELLS]
    return [liberty] if isinstance(liberty, Path) else list(liberty)


def read_library(
    liberty: Path | Sequence[Path] | None,
) -> tuple[Library, dict[str, bytes], str]:
    """The library, its files' text by a plain name, and its name in messages."""
    paths = _paths(liberty)
    contents = {f"cells{i}.lib": read_bytes(path) for i, path in enumerate(paths)}
    where = NEUTRAL_CELLS.name if liberty is None else ", ".join(map(str, paths))
    return parse(list(contents.values()), where), contents, where


def _walk(modules: Mapping[str, Mapping[str, int]], top: str) -> Iterator[tuple[str, str, int]]:
    """(block, module, times) of every module below ``top``, and ``top`` itself."""

    def visit(module: str, times: int, block: str) -> Iterator[tuple[str, str, int]]:
        yield block, module, times
        for kind, number in modules[module].items():
            if kind in modules:
                name = kind.removeprefix(f"{top}_")
                inside = _BLOCK_OF.get(name, name) if block in _CONTAINERS else block
                yield from visit(kind, times * number, inside)

    yield from visit(top, 1, "tile")


def _block_modules(modules: Mapping[str, Mapping[str, int]], top: str) -> set[tuple[str, str]]:
    return {(block, module) for block, module, _ in _walk(modules, top)}


def _count(modules: Mapping[str, Mapping[str, int]], top: str) -> Counter[tuple[str, str]]:
    """Instances of every (block, cell), through the hierarchy below ``top``."""
    counts: Counter[tuple[str, str]] = Counter()
    for block, module, times in _walk(modules, top):
        for kind, number in modules[module].items():
            if kind not in modules:
                counts[block, kind] += times * number
    return counts


def _mapped(
    config: CoreConfig,
    library: Library,
    contents: Mapping[str, bytes],
    where: str,
    period: float | None,
    use_cache: bool = True,
) -> tuple[Mapped, dict[str, str]]:
    """The tile in cells, and the tools that were used."""
    rtlil = design_rtlil(config)
    for module in re.findall(r"^module \\(\S+)", rtlil, re.MULTILINE):
        if module in library.cells:
            raise InputError(
                f"{where} has a cell {module}, as the design has a module: set another name"
            )
    if period is not None and period <= 0:
        raise InputError(f"period must be above 0 ns, not {period}")
    versions = tool_versions()
    digest = hashlib.sha256(f"{versions} {flow_digest()} {period} {config.name}".encode())
    for data in (rtlil.encode(), *contents.values()):
        digest.update(f"\0{len(data)}\0".encode() + data)
    entry = cache_folder() / "synth" / f"{digest.hexdigest()[:24]}.json.gz"
    if use_cache:
        # It may not be there yet, or be damaged.
        with contextlib.suppress(OSError, EOFError, ValueError, TypeError, zlib.error):
            return Mapped(**json.loads(gzip.decompress(entry.read_bytes()))), versions
    try:
        mapped = map_rtlil(rtlil, config.name, library, contents, period)
    except ToolError as error:
        if "liberty" in str(error).lower():
            raise InputError(f"{where}: Yosys cannot use this library: {error}") from error
        raise
    _store(entry, gzip.compress(json.dumps(dataclasses.asdict(mapped)).encode()))
    return mapped, versions


def _store(entry: Path, data: bytes) -> None:
    """Write a cache entry, whole or not at all."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=entry.parent, prefix=".partial-") as scratch:
            partial = Path(scratch) / entry.name
            partial.write_bytes(data)
            os.replace(partial, entry)
    except OSError as error:
        raise InputError(
            f"cannot write the cache {entry.parent}: {error.strerror}: set LUTCORE_CACHE"
        ) from error
