"""Timing of a mapped tile at other corners of its library: slow, fast."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lutcore import cache
from lutcore.errors import InputError
from lutcore.gen.asic.closing import session
from lutcore.gen.asic.liberty import library_name
from lutcore.gen.asic.mapping import Mapped, tool_versions
from lutcore.gen.asic.synth import LibraryFiles, check_period, mapped_tile, read_library
from lutcore.gen.emit.rtl import design_name
from lutcore.hdl.config.core import CoreConfig, check_config


class Corner(NamedTuple):
    """Worst slacks of all flip-flops in ns; of hold with an ideal clock."""

    setup_ns: float
    hold_ns: float


def corners(
    config: CoreConfig,
    liberty: Path | str | Sequence[Path] | None,
    others: Sequence[Path],
    period: float,
) -> dict[str, Corner]:
    """Time the netlist of :func:`lutcore.gen.asic.synth.synthesise` with other libraries.

    It stays as the first library has sized it, which should be the slowest.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, str or sequence of Path, optional
        That library.
    others : sequence of Path
        Liberty files, each the whole library at another corner: cells of the same names and pins.
    period : float
        Clock period in ns.

    Returns
    -------
    dict
        File's name -> :class:`Corner`.

    Raises
    ------
    InputError
        A library cannot be used, or lacks a cell or a pin that the netlist has; two have one name;
        OpenSTA is missing.
    ToolError
        A tool failed.
    """
    check_config(config)
    check_period(period)
    names = [library_name(path) for path in others]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"two corners are called {twice}: give files of different names")
    mapped, first = mapped_tile(config, liberty, period)
    found = {}
    for path, called in zip(others, names, strict=True):
        files = read_library(path)
        _check(mapped, first, files)
        found[called] = _slacks(mapped.netlist, design_name(config), files, period)
    return found


def _check(mapped: Mapped, first: LibraryFiles, files: LibraryFiles) -> None:
    """Refuse a library that is not the same at another corner."""
    used = {cell for counts in mapped.modules.values() for cell in counts}
    for name in sorted(used & first.library.cells.keys()):
        here, there = first.library.cells[name], files.library.cells.get(name)
        if there is None or set(there.inputs) != set(here.inputs) or there.outputs != here.outputs:
            what = "no cell" if there is None else "another cell"
            raise InputError(
                f"{files.where}: {what} {name}, which the netlist has: "
                "give the same library at another corner"
            )
    if not files.library.timed:
        raise InputError(f"{files.where} has no loads and delays")


def _slacks(netlist: str, top: str, files: LibraryFiles, period: float) -> Corner:
    facts = f"{tool_versions()} {period} {top}"
    entry = cache.entry("corners", cache.key(__name__, facts, netlist, *files.contents.values()))
    if found := cache.load(entry):
        return Corner(**found)
    with session(netlist, files.contents, top, period) as asked:
        found = Corner(asked.worst_path()[0], asked.worst_path("min")[0])
    cache.store(entry, found._asdict())
    return found
