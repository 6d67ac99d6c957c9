"""Area and timing of a tile on a standard-cell library, block by block."""

import dataclasses
import importlib.metadata
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.liberty import library_name, read_bytes
from lutcore.gen.asic.library import Library, parse
from lutcore.gen.asic.mapping import Mapped, map_rtlil, tool_versions
from lutcore.gen.emit.rtl import design_rtlil
from lutcore.gen.tools.hierarchy import BLOCKS, core, count_cells, walk
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.config.core import CoreConfig, check_config

#: The library that is used where none is given.
NEUTRAL_CELLS = Path(__file__).with_name("cells.lib")
#: Libraries of our own, by the names that they give themselves: their areas have no unit.
_UNITLESS = ("lutcore_gate_equivalents", "lutcore_demo")


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
        File name of the library, and that it is synthetic if it is.
    blocks : dict
        Block -> gate equivalents of all its instances, by their sum the whole: the children of the
        tile, ``columns`` all N weight columns, ``tile`` what remains: issue control, and the gates
        that choose the columns that drain.
    area_um2 : float or None
        Cell area in the library's unit; None with the neutral library and the synthetic one.
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
        return core(self.blocks)

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def synthesise(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None = None,
    *,
    period: float | None = None,
    use_cache: bool = True,
) -> AreaReport:
    """Map a tile to standard cells, or find that done, and report.

    Blocks are mapped one by one; what two blocks could share stays double.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, str or sequence of Path, optional
        Liberty files of one library, plain or gzip; default :data:`NEUTRAL_CELLS`;
        :data:`~lutcore.gen.asic.liberty.DEMO` for the synthetic one.
    period : float, optional
        Clock period in ns to meet (:mod:`lutcore.gen.asic.mapping`); without it, or without
        OpenSTA, time does not count and nothing is buffered or sized.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Raises
    ------
    InputError
        The library cannot be used, or the synthesis tool is missing.
    ToolError
        It failed.
    """
    check_config(config)
    library, contents, where = read_library(liberty)
    mapped, versions = _mapped(config, library, contents, where, period, use_cache)
    counts = count_cells(mapped.modules, config.name)
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
    order = [*BLOCKS, *sorted(areas.keys() - set(BLOCKS))]
    gate = library.nand2.area
    slacks: dict[str, float] = {}
    for block, module, _ in walk(mapped.modules, config.name):
        if module in mapped.slacks:
            slacks[block] = min(slacks.get(block, math.inf), mapped.slacks[module])
    return AreaReport(
        design=config.name,
        config=config.to_dict(),
        target="asic",
        liberty=", ".join(map(library_name, _paths(liberty))),
        blocks={block: areas[block] / gate for block in order if block in areas},
        area_um2=None if library.name in _UNITLESS else sum(areas.values()),
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
    liberty: Path | str | Sequence[Path] | None = None,
    *,
    period: float | None = None,
) -> str:
    """Verilog of the tile as :func:`synthesise` mapped it: instances of the library's cells.

    Parameters and errors as there.
    """
    library, contents, where = read_library(liberty)
    return _mapped(config, library, contents, where, period)[0].netlist


def _paths(liberty: Path | str | Sequence[Path] | None) -> list[Path]:
    if liberty is None:
        return [NEUTRAL_CELLS]
    return [Path(liberty)] if isinstance(liberty, (str, Path)) else list(liberty)


def read_library(
    liberty: Path | str | Sequence[Path] | None,
) -> tuple[Library, dict[str, bytes], str]:
    """The library, its files' text by a plain name, and its name in messages."""
    paths = _paths(liberty)
    contents = {f"cells{i}.lib": read_bytes(path) for i, path in enumerate(paths)}
    where = NEUTRAL_CELLS.name if liberty is None else ", ".join(map(str, paths))
    return parse(list(contents.values()), where), contents, where


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
    if period is not None and sta_command() and not library.timed:
        raise InputError(f"{where} has no loads and delays: for a period give --liberty one")
    versions = tool_versions()
    facts = f"{versions} {period} {config.name}"
    key = cache.key("lutcore.gen.asic.mapping", facts, rtlil, *contents.values())
    entry = cache.entry("synth", key)
    if use_cache and (found := cache.load(entry)):
        return Mapped(**found), versions
    try:
        mapped = map_rtlil(rtlil, config.name, library, contents, period)
    except ToolError as error:
        if "liberty" in str(error).lower():
            raise InputError(f"{where}: Yosys cannot use this library: {error}") from error
        raise
    cache.store(entry, dataclasses.asdict(mapped))
    return mapped, versions
