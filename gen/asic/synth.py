"""Area and timing of a tile on a standard-cell library, block by block."""

import dataclasses
import functools
import importlib.metadata
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.asic.advice import Advice, advise, reached
from lutcore.gen.asic.liberty import library_name, read_bytes
from lutcore.gen.asic.library import Library, parse_files
from lutcore.gen.asic.mapping import Mapped, map_flat, map_rtlil, tool_versions
from lutcore.gen.asic.plain import plain_text
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.tools.hierarchy import BLOCKS, core, count_cells, walk
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.config.core import CoreConfig, check_config

#: The library that is used where none is given.
NEUTRAL_CELLS = Path(__file__).with_name("cells.lib")
#: Libraries of our own, by the names that they give themselves: their areas have no unit.
_UNITLESS = ("lutcore_gate_equivalents", "lutcore_demo")
_COMPLETE = "give a complete library"


class LibraryFiles(NamedTuple):
    """A library; its files' text for tools, plain, by plain names; and its name in messages."""

    library: Library
    contents: dict[str, bytes]
    where: str


def read_library(liberty: Path | str | Sequence[Path] | None) -> LibraryFiles:
    """The library that these files form; without any, :data:`NEUTRAL_CELLS`.

    Raises
    ------
    InputError
        A file cannot be read, or they do not form a library that is fit for synthesis.
    """
    paths = _paths(liberty)
    names = [NEUTRAL_CELLS.name] if liberty is None else list(map(str, paths))
    return _library(tuple(zip(names, map(read_bytes, paths), strict=True)))


@functools.lru_cache(maxsize=2)
def _library(files: tuple[tuple[str, bytes], ...]) -> LibraryFiles:
    """Read once: a large library takes seconds, and a command asks for it several times."""
    library = parse_files(files)
    contents = {f"cells{i}.lib": plain_text(file) for i, file in enumerate(library.files)}
    return LibraryFiles(library, contents, ", ".join(name for name, _ in files))


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

    @property
    def reached_ns(self) -> float | None:
        """The period that is met, the asked one or a longer; None where timing was not analysed."""
        if self.period_ns is None or self.slack_ns is None:
            return None
        return reached(self.period_ns, self.slack_ns)

    @property
    def products_per_cycle(self) -> float:
        """Products of weights of all their bits that the tile makes in a cycle."""
        config = CoreConfig.from_dict(self.config)
        return config.products_of(config.max_weight_bits)

    @property
    def core_ge_ns(self) -> float | None:
        """Gate equivalents of the core times the period that is met, of each of these products."""
        return self._ge_ns(self.core_gate_equivalents)

    @property
    def ge_ns(self) -> float | None:
        """The same of the whole tile."""
        return self._ge_ns(self.gate_equivalents)

    def _ge_ns(self, gate_equivalents: float) -> float | None:
        period = self.reached_ns
        return None if period is None else gate_equivalents * period / self.products_per_cycle

    @property
    def advice(self) -> Advice | None:
        """What to change where the period is not met, if that is known."""
        return advise(CoreConfig.from_dict(self.config), self.block_slack_ns)

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values, and what follows from them."""
        advice = self.advice
        return {
            **dataclasses.asdict(self),
            "core_gate_equivalents": self.core_gate_equivalents,
            "reached_ns": self.reached_ns,
            "products_per_cycle": self.products_per_cycle,
            "core_ge_ns": self.core_ge_ns,
            "ge_ns": self.ge_ns,
            "advice": advice._asdict() if advice else None,
        }

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
    name = design_name(config)
    mapped, files = mapped_tile(config, liberty, period, use_cache=use_cache)
    counts = count_cells(mapped.modules, name)
    areas, sequential = _areas(counts, files)
    order = [*BLOCKS, *sorted(areas.keys() - set(BLOCKS))]
    slacks = _block_slacks(mapped, name)
    gate = files.library.nand2.area
    ours = ("amaranth", "lut-tensor-core")
    return AreaReport(
        design=config.name,
        config=config.to_dict(),
        target="asic",
        liberty=", ".join(map(library_name, _paths(liberty))),
        blocks={block: areas[block] / gate for block in order if block in areas},
        area_um2=None if files.library.name in _UNITLESS else sum(areas.values()),
        gate_equivalents=sum(areas.values()) / gate,
        sequential_gate_equivalents=sequential / gate,
        cells=counts.total(),
        period_ns=period,
        slack_ns=mapped.slack,
        path=mapped.path,
        block_slack_ns={block: slacks[block] for block in order if block in slacks},
        tool_versions=tool_versions() | {name: importlib.metadata.version(name) for name in ours},
        seconds=mapped.seconds,
    )


def _areas(counts: Counter[tuple[str, str]], files: LibraryFiles) -> tuple[dict[str, float], float]:
    """Area of each block, and that of all flip-flops, in the library's unit."""
    areas: dict[str, float] = {}
    sequential = 0.0
    for (block, name), number in counts.items():
        cell = files.library.cells.get(name)
        if cell is None:
            raise InputError(f"{files.where}: no cell can stand for {name}: {_COMPLETE}")
        if not cell.area:
            raise InputError(f"{files.where}: cell {name} has no area: {_COMPLETE}")
        areas[block] = areas.get(block, 0.0) + number * cell.area
        sequential += number * cell.area if cell.flip_flop else 0
    return areas, sequential


def _block_slacks(mapped: Mapped, top: str) -> dict[str, float]:
    """Block -> worst slack of its modules."""
    slacks: dict[str, float] = {}
    for block, module, _ in walk(mapped.modules, top):
        if module in mapped.slacks:
            slacks[block] = min(slacks.get(block, math.inf), mapped.slacks[module])
    return slacks


def netlist(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None = None,
    *,
    period: float | None = None,
) -> str:
    """Verilog of the tile as :func:`synthesise` mapped it: instances of the library's cells.

    Parameters and errors as there.
    """
    return mapped_tile(config, liberty, period)[0].netlist


def mapped_tile(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None,
    period: float | None,
    *,
    use_cache: bool = True,
) -> tuple[Mapped, LibraryFiles]:
    """What :func:`synthesise` reports on, and the library; parameters and errors as there."""
    files, name = read_library(liberty), design_name(config)
    return map_cells(design_rtlil(config), name, files, period, use_cache=use_cache), files


def map_cells(
    rtlil: str,
    top: str,
    files: LibraryFiles,
    period: float | None,
    *,
    flat: bool = False,
    use_cache: bool = True,
) -> Mapped:
    """A design in cells, or an earlier result: :func:`~lutcore.gen.asic.mapping.map_rtlil`.

    Parameters
    ----------
    flat : bool
        Without its hierarchy, for speed: :func:`~lutcore.gen.asic.mapping.map_flat`.

    Raises
    ------
    InputError
        The library cannot be used for that.
    ToolError
        A tool failed.
    """
    library, contents, where = files
    for module in re.findall(r"^module \\(\S+)", rtlil, re.MULTILINE):
        if module in library.cells:
            raise InputError(
                f"{where} has a cell {module}, as the design has a module: set another name"
            )
    check_period(period)
    if period is not None and sta_command() and not library.timed:
        raise InputError(f"{where} has no loads and delays: for a period give --liberty one")
    facts = f"{tool_versions()} {period} {top} {flat}"
    key = cache.key("lutcore.gen.asic.mapping", facts, rtlil, *contents.values())
    entry = cache.entry("synth", key)
    if use_cache and (found := cache.load(entry)):
        return Mapped(**found)
    try:
        mapped = (map_flat if flat else map_rtlil)(rtlil, top, library, contents, period)
    except ToolError as error:
        said = str(error).partition(" (all of it")[0]  # what follows is a path
        if re.search(r"\b(liberty|library)\b", said, re.IGNORECASE):
            raise InputError(f"{where}: Yosys cannot use this library: {error}") from error
        raise
    cache.store(entry, dataclasses.asdict(mapped))
    return mapped


def check_period(period: float | None) -> None:
    """Refuse what is no clock period.

    Raises
    ------
    InputError
        It is not above 0 ns, or not finite.
    """
    if period is not None and not 0 < period < math.inf:
        raise InputError(f"period must be above 0 ns, and finite, not {period}")


def _paths(liberty: Path | str | Sequence[Path] | None) -> list[Path]:
    if liberty is None:
        return [NEUTRAL_CELLS]
    return [Path(liberty)] if isinstance(liberty, (str, Path)) else list(liberty)
