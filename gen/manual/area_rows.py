"""Rows of docs/area.md: which tiles are measured, on which library, at which clock periods."""

from dataclasses import dataclass, field
from typing import Any

from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset

#: Libraries by the names that they give themselves, as tables call them.
LIBRARIES = {
    "NangateOpenCellLibrary": "nangate45_typ.lib.gz",
    "sky130_fd_sc_hd__tt_025C_1v80": "sky130hd_tt.lib.gz",
}
NANGATE, SKY = LIBRARIES
#: Clock periods in ns that every structure is asked for, those of the largest, and of units.
SWEEP, SHORT_SWEEP, UNIT_SWEEP = (0.6, 0.8, 1.0, 1.6), (0.9, 1.0, 1.3), (0.6, 0.8, 0.9, 1.0, 1.6)


class _Tile:
    """A preset with changes."""

    of: str
    changes: dict[str, Any]

    @property
    def config(self) -> CoreConfig:
        """The tile's configuration."""
        return preset(self.of).replace(**self.changes)

    @property
    def command(self) -> str:
        """Arguments of ``lutcore synth``, without library, period and family."""
        return self.of + "".join(f" --set {name}={value}" for name, value in self.changes.items())


@dataclass(frozen=True)
class Row(_Tile):
    """A tile on a library: ``lutcore synth PRESET --set ... --period NS``.

    Attributes
    ----------
    of : str
        Preset.
    periods : tuple of float
        Asked for, in ns, one after the other; of several, the one is asked for as well that the
        best of them comes to, if that missed.
    changes : dict
        What ``--set`` changes.
    words : str
        What it is, where the command does not say so.
    library : str
        The library's own name.
    """

    of: str
    periods: tuple[float, ...]
    changes: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    library: str = NANGATE

    @property
    def name(self) -> str:
        """Name in the file of figures."""
        return _name(self.library, self.command, self.periods)


def _name(library: str, what: str, periods: tuple[float, ...]) -> str:
    asked = " ".join(f"{period:g}" for period in periods)
    return f"{LIBRARIES[library]}: {what} --period {asked}"


_GROUPS = {"group_size": 32, "zero_points": "external"}
_SIXTEEN = {"n": 16, "lookups": 4}
_WHOLE = {"m": 8, "n": 4, "lookups": 4, "pipeline": 2} | _GROUPS

#: Tables of docs/area.md of tiles at one period each, by the names of their markers.
TABLES = {
    "areas": [
        Row("dense-w1a8", (1.0,)),
        Row("dense-w2a8", (1.0,)),
        Row("dense-w1a8", (1.0,), {"n": 64, "lookups": 2}, "K = 4 a cycle in 64 columns"),
        Row(
            "dense-w1a8",
            (1.0,),
            {"n": 64, "lookups": 1, "k": 4, "table_form": "symmetric"},
            "the paper's shape",
        ),
        Row("mac-int8", (1.0,), _WHOLE, "products registered before they are summed"),
    ],
    "second": [
        Row("dense-w1a8", (5.0,), {}, library=SKY),
        Row("dense-w2a8", (5.0,), {}, library=SKY),
        Row("mac-int8", (5.0,), _WHOLE, library=SKY),
    ],
}


def _cut(level: int) -> dict[str, Any]:
    return {"pipeline": 1, "pipeline_cut": level}


def _shaped(of: str, m: int, n: int, level: int | None, **changes: Any) -> Row:
    """Of 512 one-bit products a cycle, cut there or not."""
    shape = {"m": m, "n": n, "lookups": 4} | changes
    return Row(of, SWEEP, shape | ({"pipeline": 0} if level is None else _cut(level)) | _GROUPS)


def _built(bits: int, m: int, n: int, level: int, multiplier: str) -> Row:
    return _shaped("mac-w2a8", m, n, level, max_weight_bits=bits, multiplier=multiplier)


def _chosen(m: int, n: int, level: int) -> Row:
    """Multipliers of ternary weights; k is of no tables, but of the weights' layout."""
    fields = {"weight_coding": "ternary", "multiplier": "select", "k": 2, "lookups": 8}
    return _shaped("mac-w2a8", m, n, level, **fields)


_ONE = {"max_weight_bits": 1}
#: What weights are multiplied by, and of how many bits -> structures that do it, each at every
#: period of a sweep.
STRUCTURES = {
    ("tables", "one bit"): [
        Row("dense-w1a8", SWEEP),
        Row("dense-w1a8", SWEEP, _cut(4)),
        Row("dense-w1a8", SWEEP, _cut(3)),
        Row("dense-w1a8", SWEEP, {"n": 64, "lookups": 2, "pipeline": 1}, "K = 4 a cycle"),
    ],
    ("conventional tables", "one bit"): [
        _shaped("conventional-w2a8", 2, 16, 4, **_ONE, k=2, lookups=8),
        _shaped("conventional-w2a8", 2, 16, 3, **_ONE, k=2, lookups=8),
        _shaped("conventional-w2a8", 2, 16, 4, **_ONE, k=4),
    ],
    ("adders", "one bit"): [
        _shaped("add-w2a8", 2, 16, None, **_ONE),
        _shaped("add-w2a8", 2, 16, 4, **_ONE),
        _shaped("add-w2a8", 8, 4, 4, **_ONE),
    ],
    ("multipliers", "one bit"): [
        _built(1, 2, 16, 5, "rows"),
        _built(1, 2, 16, 4, "rows"),
        _built(1, 8, 4, 4, "rows"),
    ],
    ("tables", "ternary"): [
        Row("dense-ternary-a8", SWEEP),
        Row("dense-ternary-a8", SWEEP, _cut(4)),
        Row("dense-ternary-a8", SWEEP, _cut(3)),
    ],
    ("multipliers", "ternary"): [_chosen(2, 16, 5), _chosen(2, 16, 4), _chosen(8, 4, 4)],
    ("tables", "two bits"): [
        Row("dense-w2a8", SWEEP),
        Row("dense-w2a8", SWEEP, _cut(4)),
        Row("dense-w2a8", SWEEP, _cut(3)),
    ],
    ("multipliers", "two bits"): [
        _built(2, 2, 16, 4, "rows"),
        _built(2, 2, 16, 5, "select"),
        _built(2, 2, 16, 4, "select"),
        _built(2, 8, 4, 4, "select"),
    ],
    ("tables", "four bits"): [
        Row("dense-w2a8", SWEEP, {"max_weight_bits": 4} | _cut(4)),
    ],
    ("multipliers", "four bits"): [
        _built(4, 2, 16, 5, "rows"),
        _built(4, 2, 16, 5, "booth"),
        _built(4, 8, 4, 5, "booth"),
    ],
    ("multipliers", "eight bits"): [
        Row("mac-int8-csa", SHORT_SWEEP, _GROUPS, "the reference: Booth, cut at level 6"),
        Row("mac-int8-csa", SHORT_SWEEP, {"pipeline_cut": 5} | _GROUPS),
        Row("mac-int8-csa", SHORT_SWEEP, {"m": 2, "n": 16} | _GROUPS),
        Row("mac-int8-csa", SHORT_SWEEP, {"multiplier": "rows"} | _GROUPS),
    ],
}


@dataclass(frozen=True)
class Unit:
    """A unit of :mod:`lutcore.gen.experiments.dp4`; attributes as of a row."""

    kind: str
    words: str
    periods: tuple[float, ...] = UNIT_SWEEP
    library: str = NANGATE

    @property
    def name(self) -> str:
        """Name in the file of figures."""
        return _name(self.library, f"unit {self.kind}", self.periods)


UNITS = [
    Unit("discrete", "MAC, discrete"),
    Unit("fused", "MAC, fused"),
    Unit("lut-aligned", "tables of one-bit weights"),
]


@dataclass(frozen=True)
class Fabric(_Tile):
    """A tile's LUTs: ``lutcore synth PRESET --set ... --target FAMILY``; attributes as of a row."""

    of: str
    family: str
    words: str
    changes: dict[str, Any] = field(default_factory=dict)
    library: str = ""

    @property
    def name(self) -> str:
        """Name in the file of figures, and arguments of ``lutcore synth``."""
        return f"{self.command} --target {self.family}"


FABRICS = [
    Fabric("fpga-xilinx-w1a8", "xilinx", "Artix-7 35T"),
    Fabric("fpga-xilinx-w1a8", "xilinx", "Artix-7 50T", {"n": 32}),
    Fabric("fpga-ecp5-w1a8", "ecp5", "LFE5U-85F"),
    Fabric("fpga-ecp5-w1a8", "ecp5", "LFE5U-85F", {"n": 36}),
    Fabric("fpga-gowin-w1a8", "gowin", "GW2A-55"),
    Fabric("fpga-gowin-w1a8", "gowin", "GW5AST-138", {"n": 48}),
    Fabric("fpga-ice40-w1a8", "ice40", "none: HX8K has 7,680"),
    Fabric("fpga-ice40-w1a8", "ice40", "HX8K", {"n": 15}),
    Fabric("fpga-ice40-w1a8", "ice40", "none", {"m": 1, "n": 40}),
]
_ALL = [*TABLES.values(), *STRUCTURES.values(), UNITS, FABRICS]
ROWS: dict[str, Row | Unit | Fabric] = {row.name: row for rows in _ALL for row in rows}
