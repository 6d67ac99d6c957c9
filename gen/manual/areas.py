"""Figures of docs/area.md: measured once, kept beside it, and stale where what made them changed.

``python -m lutcore.gen.manual.areas --liberty FILE`` measures the stale ones that this library is
meant for, and writes the tables. A test compares fingerprints, which needs no library.
"""

import argparse
import ast
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lutcore.errors import InputError
from lutcore.files import fill_table
from lutcore.gen.asic.synth import read_library, synthesise
from lutcore.gen.emit.rtl import design_rtlil
from lutcore.gen.tools.opensta import sta_command
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset

#: Libraries by the names that they give themselves, as tables call them.
LIBRARIES = {
    "NangateOpenCellLibrary": "nangate45_typ.lib.gz",
    "sky130_fd_sc_hd__tt_025C_1v80": "sky130hd_tt.lib.gz",
}
NANGATE, SKY = LIBRARIES
#: What of :mod:`lutcore.gen.asic` decides nothing about a netlist.
_NO_PART = {"__init__.py", "advice.py", "corners.py", "sweep.py"}


@dataclass(frozen=True)
class Row:
    """A tile, a library and a period: ``lutcore synth PRESET --set ... --period NS``.

    Attributes
    ----------
    of : str
        Preset.
    period : float
        Asked for, in ns.
    changes : dict
        What ``--set`` changes.
    words : str
        What it is, where the command does not say so.
    library : str
        The library's own name.
    """

    of: str
    period: float
    changes: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    library: str = NANGATE

    @property
    def config(self) -> CoreConfig:
        """The tile's configuration."""
        return preset(self.of).replace(**self.changes)

    @property
    def key(self) -> str:
        """Command line without its library."""
        given = "".join(f" --set {name}={value}" for name, value in self.changes.items())
        return f"{self.of}{given} --period {self.period:g}"

    @property
    def name(self) -> str:
        """Name in the file of figures."""
        return f"{LIBRARIES[self.library]}: {self.key}"


_SIXTEEN = {"n": 16, "lookups": 4}
_GROUPS = {"group_size": 32, "zero_points": "external"}
_CUT = {"pipeline": 1, "pipeline_cut": 4}
_BUILT = _SIXTEEN | {"pipeline": 1, "pipeline_cut": 6} | _GROUPS
_WHOLE = {"m": 8, "n": 4, "lookups": 4, "pipeline": 2} | _GROUPS

#: Tables of docs/area.md, by the names of their markers.
TABLES = {
    "areas": [
        Row("dense-w1a8", 1.0),
        Row("dense-w2a8", 1.0),
        Row("dense-w1a8", 1.0, {"n": 64, "lookups": 2}, "K = 4 a cycle in 64 columns"),
        Row(
            "dense-w1a8",
            1.0,
            {"n": 64, "lookups": 1, "k": 4, "table_form": "symmetric"},
            "the paper's shape",
        ),
        Row(
            "add-w2a8",
            1.0,
            {"max_weight_bits": 1, **_SIXTEEN, "pipeline": 1, "pipeline_cut": 0, **_GROUPS},
            "conditional adders",
        ),
        Row("mac-int8", 1.0, {**_SIXTEEN, "pipeline": 2, **_GROUPS}, "whole products"),
        Row("mac-int8", 1.0, _WHOLE, "the same products in eight rows, four columns"),
    ],
    "carries": [
        Row("dense-w1a8", 0.695, _CUT),
        Row("dense-w1a8", 0.7, _CUT | {"pipeline_cut": 3}),
        Row("dense-w2a8", 0.695, _CUT),
        Row("dense-w1a8", 0.7, {"n": 64, "lookups": 2, "pipeline": 1}, "K = 4 a cycle"),
        Row("dense-ternary-a8", 0.8, _CUT, "ternary pairs"),
        Row("mac-int8-csa", 1.0, _GROUPS, "whole products, the reference"),
        Row("mac-w2a8", 0.8, {"max_weight_bits": 1} | _BUILT, "multipliers for one bit"),
        Row("mac-w2a8", 0.9, _BUILT, "multipliers for two bits"),
    ],
    "second": [
        Row("dense-w1a8", 5.0, {}, library=SKY),
        Row("dense-w2a8", 5.0, {}, library=SKY),
        Row("mac-int8", 5.0, _WHOLE, library=SKY),
    ],
}
ROWS = {row.name: row for rows in TABLES.values() for row in rows}


def fingerprint(row: Row) -> str:
    """Of all that decides a row's figures but the tools' versions: design, flow, period."""
    parts = [design_rtlil(row.config), _flow(), repr(row.period), row.library]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def _flow() -> str:
    """What :mod:`lutcore.gen.asic` does, without its comments and docstrings."""
    folder = Path(str(sys.modules["lutcore.gen.asic.synth"].__file__)).parent
    found = []
    for path in sorted(folder.glob("*.py")):
        if path.name not in _NO_PART:
            tree = ast.parse(path.read_text("utf-8"))
            for node in ast.walk(tree):
                body = getattr(node, "body", None)
                if isinstance(body, list) and body and _is_text(body[0]):
                    body[:] = body[1:] or [ast.Pass()]
            found.append(f"{path.name} {ast.dump(tree)}")
    return "\n".join(found)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def measure(row: Row, liberty: Sequence[Path]) -> dict[str, Any]:
    """What the tables say of a row, and its fingerprint.

    Raises
    ------
    InputError
        OpenSTA or the library's timing is missing.
    """
    if sta_command() is None:
        raise InputError("figures need OpenSTA (sta): install it, or set LUTCORE_STA")
    report = synthesise(row.config, liberty, period=row.period)
    names = ("core_gate_equivalents", "gate_equivalents", "slack_ns", "reached_ns")
    figures = {name: getattr(report, name) for name in (*names, "core_ge_ns", "ge_ns")}
    figures = {name: round(value, 4) for name, value in figures.items()}
    return figures | {"tools": report.tool_versions, "fingerprint": fingerprint(row)}


def stale(figures: dict[str, dict[str, Any]]) -> list[str]:
    """Rows without figures, and those whose design or flow is another by now."""
    missing = [name for name in ROWS if name not in figures]
    known = [name for name in ROWS if name in figures]
    return missing + [n for n in known if figures[n]["fingerprint"] != fingerprint(ROWS[n])]


_HEADER = (
    "| `lutcore synth` | period asked, met | core GE | all GE | core GE ns | all GE ns |\n"
    "|---|---|---|---|---|---|\n"
)


def table(rows: Iterable[Row], figures: dict[str, dict[str, Any]]) -> str:
    """Markdown; GE ns are those of a product of whole weights, at the period that is met."""
    lines = []
    for row in rows:
        of = figures[row.name]
        met = "met" if of["slack_ns"] >= 0 else f"{of['reached_ns']:.3f}"
        words = f" ({row.words})" if row.words else ""
        command = row.key.rpartition(" --period")[0]
        lines.append(
            f"| `{command}`{words} | {row.period:g}, {met} | {of['core_gate_equivalents']:,.0f} "
            f"| {of['gate_equivalents']:,.0f} | {of['core_ge_ns']:.1f} | {of['ge_ns']:.1f} |\n"
        )
    return _HEADER + "".join(lines)


def _least(figures: dict[str, dict[str, Any]], of: str, bits: int) -> float:
    """The best core GE ns of a preset's rows, of weights of so many bits, on the first library."""
    return min(
        figures[row.name]["core_ge_ns"]
        for row in ROWS.values()
        if row.of == of and row.library == NANGATE and row.config.max_weight_bits == bits
    )


def ratios(figures: dict[str, dict[str, Any]]) -> str:
    """How much less tables take than multipliers, each at its best period of the tables above."""
    least = functools.partial(_least, figures)
    ours = {"one bit": least("dense-w1a8", 1), "two bits": least("dense-w2a8", 2)}
    ours["ternary"] = least("dense-ternary-a8", preset("dense-ternary-a8").max_weight_bits)
    built = {"one bit": least("mac-w2a8", 1), "two bits": least("mac-w2a8", 2)}
    reference = least("mac-int8-csa", preset("mac-int8-csa").max_weight_bits)
    lines = [
        "| weights | tables, core GE ns | over the reference | over multipliers built for them |\n",
        "|---|---|---|---|\n",
    ]
    for weights, mine in ours.items():
        other = f"{built[weights] / mine:.1f}" if weights in built else ""
        lines.append(f"| {weights} | {mine:.1f} | {reference / mine:.1f} | {other} |\n")
    return "".join(lines)


def filled(document: str, figures: dict[str, dict[str, Any]]) -> str:
    """The document with its tables."""
    for name, rows in TABLES.items():
        document = fill_table(document, name, table(rows, figures))
    return fill_table(document, "ratios", ratios(figures))


def main() -> None:
    """Measure what is stale on a library, and write the tables of a document."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--liberty", type=Path, nargs="*", default=())
    parser.add_argument("--document", type=Path, default=Path("docs/area.md"))
    given = parser.parse_args()
    kept = given.document.with_name("areas.json")
    figures = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    try:
        for path in given.liberty:
            library = read_library(path).library.name
            for name in stale(figures):
                if ROWS[name].library == library:
                    figures[name] = measure(ROWS[name], [path])
                    print(name, figures[name]["core_ge_ns"], flush=True)
                    kept.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", "utf-8")
    except InputError as error:
        sys.exit(f"{error}")
    if left := stale(figures):
        sys.exit("stale, give the library with --liberty:\n" + "\n".join(left))
    figures = {name: figures[name] for name in ROWS}
    kept.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", "utf-8")
    text = given.document.read_text("utf-8")
    given.document.write_text(filled(text, figures), "utf-8")


if __name__ == "__main__":
    main()
