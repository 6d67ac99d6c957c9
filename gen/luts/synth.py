"""LUTs of a tile on an FPGA family, block by block: Amaranth's RTLIL through Yosys."""

import dataclasses
import importlib.metadata
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lutcore import cache
from lutcore.errors import InputError, ToolError
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.luts.adders import adder_maps
from lutcore.gen.luts.families import FAMILIES, Family
from lutcore.gen.tools.hierarchy import count_cells
from lutcore.gen.tools.netlist import Json, Module
from lutcore.gen.tools.yosys import run_yosys, yosys_command
from lutcore.hdl.config.core import CoreConfig

#: Cells of pins, cells that are no resource, or one of which there is only one.
_NOTHING = r"\$scopeinfo|VCC|GND|V(LO|HI)|EHXPLLL|MMCME2_BASE|[IO]BUF|[IO]B|TRELLIS_IO|ODDRX1F"
#: Stand among a module's cells for what :class:`_Nets` finds.
_FABRIC, _LONE = "(carry LUT)", "(lone flip-flop)"
_KINDS = ("ff", "carry", "bram", "spram")
#: What Yosys says of a memory where none may be.
_IS_MEMORY = "selection is not empty: t:$mem"


@dataclass(frozen=True, kw_only=True)
class FpgaReport:
    """Resources of one tile on one FPGA family, before place and route.

    Attributes
    ----------
    design : str
        Top module.
    config : dict
        Its configuration.
    target : str
        Family.
    luts : int
        All LUTs: of logic, of carry chains, and as memory
        (:data:`~lutcore.gen.luts.families.FAMILIES`).
    hierarchy : {"kept", "flattened"}
        The way that took fewer LUTs; all but ``blocks`` is of this one.
    blocks : dict
        Block -> LUTs of all its instances with the hierarchy kept: the children of the tile,
        ``columns`` all N weight columns, ``tile`` what remains.
    carry : int
        Carry cells: CCU2C and CCU2 (two bits), SB_CARRY and ALU (one bit), CARRY4 (four bits).
    ff : int
        Flip-flops.
    lone_ff : int
        Those that no LUT feeds; on iCE40 and Gowin each takes a logic cell with its LUT.
    lutram : int
        LUTs that serve as memory or shift registers.
    bram, dsp : int
        Block memories and multipliers.
    cells : dict
        Cell -> number.
    tool_versions : dict
    seconds : float
        Duration of the synthesis, of the original one where the result was cached.
    """

    design: str
    config: dict[str, Any]
    target: str
    luts: int
    hierarchy: str
    blocks: dict[str, int]
    carry: int
    ff: int
    lone_ff: int
    lutram: int
    bram: int
    dsp: int
    cells: dict[str, int]
    tool_versions: dict[str, str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def synthesise_fpga(config: CoreConfig, family: str, *, use_cache: bool = True) -> FpgaReport:
    """Map a tile to an FPGA family, or find that done, and report.

    The tile is mapped twice, with its hierarchy kept and flattened.

    Parameters
    ----------
    config : CoreConfig
    family : str
        Of :data:`~lutcore.gen.luts.families.FAMILIES`.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Raises
    ------
    InputError
        There is no such family, or Yosys is missing.
    ToolError
        It failed, or mapped to a cell that is not known here.
    """
    of = _family(family)
    mapped = _mapped(config, family, use_cache)
    name = design_name(config)
    ways = {way: count_cells(mapped[way], name) for way in ("kept", "flattened")}
    luts = {way: _luts(of, counts) for way, counts in ways.items()}
    best = min(luts, key=lambda way: luts[way].total())
    cells: Counter[str] = Counter()
    for (_, cell), number in ways[best].items():
        cells[cell] += number
    return FpgaReport(
        design=config.name,
        config=config.to_dict(),
        target=family,
        luts=luts[best].total(),
        hierarchy=best,
        blocks=dict(luts["kept"]),
        carry=_total(cells, of.carry),
        ff=_total(cells, of.ff),
        lone_ff=cells[_LONE],
        lutram=sum(n * _weight(of, cell) for cell, n in cells.items() if _is(cell, of.lutram)),
        bram=_total(cells, of.bram),
        dsp=_multipliers(of, cells),
        cells={cell: cells[cell] for cell in sorted(cells) if cell not in (_FABRIC, _LONE)},
        tool_versions={
            "yosys": mapped["yosys"],
            **{name: importlib.metadata.version(name) for name in ("amaranth", "lut-tensor-core")},
        },
        seconds=mapped["seconds"],
    )


def netlist(config: CoreConfig, family: str) -> str:
    """Verilog of the tile as mapped and flattened, cells replaced by what they do.

    It shows whether mapping kept the function. Parameters and errors as of
    :func:`synthesise_fpga`; block memories have no model.
    """
    of = _family(family)
    script = _script(design_name(config), of, ("flattened",))
    behaviour = [
        "delete =A:blackbox",  # what mapping derived for timing, in place of behaviour
        f"read_verilog -overwrite {of.models}",
        f"hierarchy -top {design_name(config)}",
        "proc",
        "flatten -noscopeinfo",
        "opt_clean -purge",
        "write_verilog -noattr netlist.v",
    ]
    files = _files(config, family)
    return run_yosys("\n".join([script, *behaviour]), files, ("netlist.v",))["netlist.v"]


def _family(name: str) -> Family:
    if name not in FAMILIES:
        raise InputError(f"target must be one of asic, {', '.join(FAMILIES)}, not {name!r}")
    return FAMILIES[name]


# Counting ----------------------------------------------------------------------------------------


def _is(cell: str, kind: str) -> bool:
    return re.fullmatch(kind, cell) is not None


def _total(cells: Mapping[str, int], kind: str) -> int:
    return sum(number for cell, number in cells.items() if _is(cell, kind))


def _multipliers(family: Family, cells: Mapping[str, int]) -> int:
    return sum(each * _total(cells, kind) for kind, each in family.dsp.items())


def _weight(family: Family, cell: str) -> int:
    """LUTs of a cell."""
    if cell in (_FABRIC, _LONE):
        return int(cell == _FABRIC)
    for kind, luts in family.luts.items():
        if _is(cell, kind):
            return luts
    others = (
        *(family.ff, family.bram, family.spram, *family.dsp),
        *(family.free, family.carry, _NOTHING),
    )
    if any(_is(cell, kind) for kind in others):
        return 0
    raise ToolError(f"Yosys mapped to a cell that the report does not know: {cell}")


def _luts(family: Family, counts: Mapping[tuple[str, str], int]) -> Counter[str]:
    """LUTs by block."""
    luts: Counter[str] = Counter()
    for (block, cell), number in counts.items():
        luts[block] += number * _weight(family, cell)
    return luts


class _Nets:
    """What the nets of a mapped module tell."""

    def __init__(self, family: Family, module: Module):
        self._family = family
        self._cells = module.cells
        self._driver, self._readers = module.drivers(), module.readers()

    def _drivers(self, bits: list) -> Iterator[tuple[int, tuple[str, str]]]:
        """Bits that are no constants, and what drives them."""
        for bit in bits:
            if isinstance(bit, int) and not _is(self._driver[bit][0], _NOTHING):
                yield bit, self._driver[bit]

    def _of(self, kind: str) -> Iterator[Mapping[str, list]]:
        """Connections of each cell of a kind."""
        return (cell.pins for cell in self._cells if _is(cell.kind, kind))

    def lone_flip_flops(self) -> int:
        """Flip-flops whose data come from no LUT; on iCE40, of one that nothing else reads."""
        family = self._family
        logic = "|".join((*family.luts, family.free))
        lone = 0
        for pins in self._of(family.ff):
            fed = [
                _is(driver[0], logic)
                and (family.carry != "SB_CARRY" or self._readers[bit].total() == 1)
                for bit, driver in self._drivers(pins[family.data])
            ]
            lone += not all(fed)
        return lone

    def carry_luts(self) -> int:
        """LUTs that place and route adds to carry chains.

        Carries come from logic and reach it through LUTs only; on iCE40 a carry needs a LUT of the
        same inputs, on the 7 series a sum bit must come from a LUT of its own.
        """
        family = self._family
        carry, extra = family.carry, 0
        for pins in self._of(carry):
            for _, driver in self._drivers(pins.get(family.carry_in, [])):
                extra += family.fabric_carry * (driver != (carry, family.carry_out))
            for bit in pins.get(family.carry_out, ()):
                readers = Counter(self._readers.get(bit))
                del readers[carry, family.carry_in]
                if readers["SB_LUT4", "I3"]:  # that of the next cell
                    readers["SB_LUT4", "I3"] -= 1
                extra += family.fabric_carry * (readers.total() > 0)
        if carry == "SB_CARRY":
            carries = Counter((pins["I0"][0], pins["I1"][0]) for pins in self._of(carry))
            luts = Counter((pins["I1"][0], pins["I2"][0]) for pins in self._of("SB_LUT4"))
            extra += (carries - luts).total()
        if carry == "CARRY4":
            drivers = {}
            positions: Counter[int] = Counter()
            for pins in self._of(carry):
                for bit, driver in self._drivers(pins["S"]):
                    positions[bit] += 1
                    drivers[bit] = driver
            extra += sum(n - _is(drivers[bit][0], "LUT[1-6]|INV") for bit, n in positions.items())
        return extra


def module_cells(family: Family, module: Json) -> dict[str, int]:
    """Cells of a mapped module (Yosys JSON) by type, and what its nets tell."""
    read = Module("", module)
    nets = _Nets(family, read)
    return {**read.counts(), _FABRIC: nets.carry_luts(), _LONE: nets.lone_flip_flops()}


def resources(family: Family, cells: Mapping[str, int]) -> dict[str, int]:
    """What the cells of a module take (:func:`module_cells`), those known to be no cells left out.

    ``lut`` counts all LUTs, ``lutram`` those of them that are memory, ``lone`` flip-flops that no
    LUT feeds.
    """
    found = {kind: _total(cells, getattr(family, kind)) for kind in _KINDS}
    found["lut"] = sum(number * _weight(family, cell) for cell, number in cells.items())
    found["lutram"] = sum(
        n * _weight(family, cell) for cell, n in cells.items() if _is(cell, family.lutram)
    )
    found["dsp"] = _multipliers(family, cells)
    found["lone"] = cells.get(_LONE, 0)
    return found


# Flow --------------------------------------------------------------------------------------------


def _script(
    top: str,
    family: Family,
    ways: tuple[str, ...] = ("kept", "flattened"),
    memories: bool = True,
) -> str:
    """Yosys commands: the mapped tile with its hierarchy kept, and flattened.

    Without ``memories`` they fail if there is one (:data:`_IS_MEMORY`), and take half the time:
    Yosys else makes all block RAMs of the family before it knows that none is wanted.
    """
    lines = []
    for way in ways:
        command = f"{family.command} {family.keep if way == 'kept' else family.flatten} -top {top}"
        apart = [f"{command} -run begin:{family.memories}", "select -assert-none t:$mem*"]
        lines += [
            "design -reset",
            "read_rtlil design.il",
            f"hierarchy -check -top {top}",
            "proc",
            "opt_expr",
            "opt_clean -purge",
            # Amaranth's names of parts, like a[0], would meet those of bits in ABC.
            "rename -hide w:*[[]*",
            "wreduce",
            "techmap -map adders.v",
            *(["flatten -noscopeinfo"] if way == "flattened" else []),
            *([command] if memories else [*apart, f"{command} -run map_ffram:"]),
            f"write_json {way}.json",
        ]
    return "\n".join(lines)


def _files(config: CoreConfig, family: str) -> dict[str, bytes]:
    rtlil = design_rtlil(config)
    return {"design.il": rtlil.encode(), "adders.v": adder_maps(rtlil, family).encode()}


def _netlists(top: str, family: Family, files: Mapping[str, bytes]) -> dict[str, str]:
    """What Yosys writes of a tile, by the shorter way where it has no memory."""
    names = ("kept.json", "flattened.json")
    if b"\n  memory " not in files["design.il"]:
        try:
            return run_yosys(_script(top, family, memories=False), files, names)
        except ToolError as error:  # a table of constants may have become one
            if _IS_MEMORY not in str(error):
                raise
    return run_yosys(_script(top, family), files, names)


def _mapped(config: CoreConfig, name: str, use_cache: bool) -> Json:
    """``kept`` and ``flattened`` (module -> cell -> number), ``yosys`` and ``seconds``."""
    start = time.perf_counter()
    family = FAMILIES[name]
    script, files = _script(design_name(config), family), _files(config, name)
    yosys = yosys_command()[1]
    key = cache.key(__name__, yosys, str(family), script, *files.values())
    entry = cache.entry("fpga", key)
    if use_cache and (found := cache.load(entry)):
        return found
    outputs = _netlists(design_name(config), family, files)
    result: Json = {"yosys": yosys}
    for way in ("kept", "flattened"):
        modules = json.loads(outputs[f"{way}.json"])["modules"]
        result[way] = {
            module: module_cells(family, content)
            for module, content in modules.items()
            if "blackbox" not in content["attributes"]
        }
    result["seconds"] = round(time.perf_counter() - start, 2)
    cache.store(entry, result)
    return result
