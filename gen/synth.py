"""Area of a tile on a standard-cell library, block by block: Amaranth's RTLIL through Yosys."""

import contextlib
import dataclasses
import gzip
import hashlib
import importlib.metadata
import json
import os
import re
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.liberty import PARITY3, Cell, Library, parse, read_bytes
from gen.rtl import design_rtlil
from gen.yosys import run_yosys, yosys_command
from hdl.config import CoreConfig
from hdl.errors import InputError, ToolError
from verif.simulator import cache_folder

#: The library that is used where none is given.
NEUTRAL_CELLS = Path(__file__).with_name("cells.lib")
_NEUTRAL_NAME = "lutcore_gate_equivalents"

#: Gate equivalents of a full adder in separate gates: three NAND2, two OAI21, two inverters. A
#: library's full-adder cell is used unless it is larger: ABC by itself never picks one, and what
#: it need not see makes it faster. Half-adder cells were measured and save nothing.
_FULL_ADDER_IN_GATES = 7

#: Chains of full-adder cells. Bits with a constant input, of a mere sign extension or with a carry
#: that nobody reads are left to ABC, which finds something smaller.
_ADDERS = r"""
(* techmap_celltype = "$alu" *)
module _10_alu (A, B, CI, BI, X, Y, CO);
	parameter A_SIGNED = 0;
	parameter B_SIGNED = 0;
	parameter A_WIDTH = 1;
	parameter B_WIDTH = 1;
	parameter Y_WIDTH = 1;
	(* force_downto *) input [A_WIDTH-1:0] A;
	(* force_downto *) input [B_WIDTH-1:0] B;
	input CI, BI;
	(* force_downto *) output [Y_WIDTH-1:0] X, Y, CO;
	(* force_downto *) wire [Y_WIDTH-1:0] a, b, b_extended;
	wire [Y_WIDTH:0] carry;
	\$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_a (.A(A), .Y(a));
	\$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) extend_b
		(.A(B), .Y(b_extended));
	assign b = b_extended ^ {Y_WIDTH{BI}};
	assign X = a ^ b;
	assign CO = carry[Y_WIDTH:1];
	assign carry[0] = CI;
	genvar i;
	generate for (i = 0; i < Y_WIDTH; i = i + 1) begin : bits
		if (i == Y_WIDTH - 1 || i >= A_WIDTH || i >= B_WIDTH) begin
			assign Y[i] = X[i] ^ carry[i];
			assign carry[i+1] = (a[i] & b[i]) | (carry[i] & X[i]);
		end else
			\$fa #(.WIDTH(1)) adder (.A(a[i]), .B(b[i]), .C(carry[i]), .X(carry[i+1]), .Y(Y[i]));
	end endgenerate
endmodule

(* techmap_celltype = "$fa" *)
module _10_fa (A, B, C, X, Y);
	parameter WIDTH = 1;
	parameter _TECHMAP_CONSTMSK_A_ = 0;
	parameter _TECHMAP_CONSTMSK_B_ = 0;
	parameter _TECHMAP_CONSTMSK_C_ = 0;
	localparam [WIDTH-1:0] CONSTANT =
		_TECHMAP_CONSTMSK_A_ | _TECHMAP_CONSTMSK_B_ | _TECHMAP_CONSTMSK_C_;
	(* force_downto *) input [WIDTH-1:0] A, B, C;
	(* force_downto *) output [WIDTH-1:0] X, Y;
	genvar i;
	generate for (i = 0; i < WIDTH; i = i + 1) begin : bits
		if (CONSTANT[i] || (WIDTH > 1 && i == WIDTH - 1)) begin
			wire half = A[i] ^ B[i];
			assign Y[i] = half ^ C[i];
			assign X[i] = (A[i] & B[i]) | (C[i] & half);
		end else
			FULL_ADDER;
	end endgenerate
endmodule
"""

#: Blocks of the tile in the order of the data.
_BLOCKS = (
    *("exponent_keys", "align_buffer", "aligner", "magnitude_keys", "round_buffer"),
    *("table_builder", "rounder", "frontend", "table_buffer", "table_stage"),
    *("columns", "row_sums", "drain", "zero_points", "tile"),
)
#: Modules that count as another block, and blocks whose children are blocks of their own.
_BLOCK_OF = {"column": "columns", "column_block": "tile"}
_CONTAINERS = ("tile", "frontend")


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
        Clock period and worst slack; None where timing was not analysed.
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
    tool_versions: dict[str, str]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Fields as plain values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Fields as JSON."""
        return json.dumps(self.to_dict(), indent=2)


def synthesise(
    config: CoreConfig, liberty: Path | None = None, *, use_cache: bool = True
) -> AreaReport:
    """Map a tile to standard cells for least area, or find that done, and report.

    Time does not count: adders are carry chains of full-adder cells, and nothing is buffered or
    sized for a clock. Blocks are mapped one by one; what two blocks could share stays double.

    Parameters
    ----------
    config : CoreConfig
    liberty : Path, optional
        Liberty file, plain or gzip; default :data:`NEUTRAL_CELLS`.
    use_cache : bool
        Take an earlier result; otherwise replace it.

    Raises
    ------
    InputError
        The library cannot be used, or the synthesis tool is missing.
    ToolError
        It failed.
    """
    library, content, where = _library(liberty)
    mapped = _mapped(config, content, library, where, use_cache)
    counts = _count(mapped["modules"], config.name)
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
    return AreaReport(
        design=config.name,
        config=config.to_dict(),
        target="asic",
        liberty=Path(where).name,
        blocks={block: areas[block] / gate for block in order if block in areas},
        area_um2=None if library.name == _NEUTRAL_NAME else sum(areas.values()),
        gate_equivalents=sum(areas.values()) / gate,
        sequential_gate_equivalents=sequential / gate,
        cells=counts.total(),
        period_ns=None,
        slack_ns=None,
        tool_versions={
            "yosys": mapped["yosys"],
            **{name: importlib.metadata.version(name) for name in ("amaranth", "lut-tensor-core")},
        },
        seconds=mapped["seconds"],
    )


def netlist(config: CoreConfig, liberty: Path | None = None) -> str:
    """Verilog of the tile as :func:`synthesise` mapped it: instances of the library's cells.

    Parameters and errors as there.
    """
    library, content, where = _library(liberty)
    return _mapped(config, content, library, where)["netlist"]


def _library(liberty: Path | None) -> tuple[Library, bytes, str]:
    """The library, its text, and its name in messages."""
    content = read_bytes(liberty or NEUTRAL_CELLS)
    where = str(liberty or NEUTRAL_CELLS.name)
    return parse(content, where), content, where


def _count(modules: Mapping[str, Mapping[str, int]], top: str) -> Counter[tuple[str, str]]:
    """Instances of every (block, cell), through the hierarchy below ``top``."""
    counts: Counter[tuple[str, str]] = Counter()

    def visit(module: str, times: int, block: str) -> None:
        for kind, number in modules[module].items():
            if kind not in modules:
                counts[block, kind] += times * number
            elif block in _CONTAINERS:
                name = kind.removeprefix(f"{top}_")
                visit(kind, times * number, _BLOCK_OF.get(name, name))
            else:
                visit(kind, times * number, block)

    visit(top, 1, "tile")
    return counts


# Flow --------------------------------------------------------------------------------------------


def _full_adder_files(cell: Cell) -> dict[str, bytes]:
    """The cell as a black box, and the rules that map adders to it."""
    nets = dict(zip(cell.inputs, ("A[i]", "B[i]", "C[i]"), strict=True))
    nets |= {pin: "Y[i]" if table == PARITY3 else "X[i]" for pin, table in cell.tables.items()}
    pins = ", ".join(f".{pin}({net})" for pin, net in nets.items())
    inputs, outputs = ", ".join(cell.inputs), ", ".join(cell.outputs)
    box = f"module {cell.name} (input {inputs}, output {outputs}); endmodule\n"
    rules = _ADDERS.replace("FULL_ADDER", f"{cell.name} adder ({pins})")
    return {"full_adder.v": box.encode(), "adders.v": rules.encode()}


def _script(top: str, full_adder: bool) -> str:
    """Yosys commands; the hierarchy stays, so that identical columns are mapped once."""
    return "\n".join(
        [
            *(["read_verilog -lib full_adder.v"] if full_adder else []),
            "read_rtlil design.il",
            f"synth -top {top} -noabc -run begin:fine",
            *(["maccmap", "techmap -map adders.v"] if full_adder else []),
            "synth -noabc -run fine:check",
            "dfflibmap -liberty cells.lib",
            "abc -liberty cells.lib",
            "opt_clean -purge",
            f"tee -q -o stat.json stat -json -top {top}",
            "write_verilog -noattr netlist.v",
        ]
    )


def _mapped(
    config: CoreConfig, content: bytes, library: Library, where: str, use_cache: bool = True
) -> dict[str, Any]:
    """``modules`` (name -> cell -> count), ``netlist``, ``yosys`` and ``seconds`` of a tile."""
    start = time.perf_counter()
    rtlil = design_rtlil(config)
    for module in re.findall(r"^module \\(\S+)", rtlil, re.MULTILINE):
        if module in library.cells:
            raise InputError(
                f"{where} has a cell {module}, as the design has a module: set another name"
            )
    adder = library.full_adder
    if adder and adder.area > _FULL_ADDER_IN_GATES * library.nand2.area:
        adder = None
    script = _script(config.name, adder is not None)
    files = _full_adder_files(adder) if adder else {}
    files |= {"design.il": rtlil.encode(), "cells.lib": content}
    yosys = yosys_command()[1]
    digest = hashlib.sha256(f"{yosys}\0{script}".encode())
    for name, data in sorted(files.items()):
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    entry = cache_folder() / "synth" / f"{digest.hexdigest()[:24]}.json.gz"
    if use_cache:
        # It may not be there yet, or be damaged.
        with contextlib.suppress(OSError, EOFError, ValueError, zlib.error):
            return json.loads(gzip.decompress(entry.read_bytes()))
    try:
        outputs = run_yosys(script, files, ("stat.json", "netlist.v"))
    except ToolError as error:
        if "liberty" in str(error).lower():
            raise InputError(f"{where}: Yosys cannot use this library: {error}") from error
        raise
    found = json.loads(outputs["stat.json"])["modules"]
    modules = {n.removeprefix("\\"): module["num_cells_by_type"] for n, module in found.items()}
    result = {
        "modules": modules,
        "netlist": outputs["netlist.v"].partition("*/\n\n")[2],  # without Yosys's own header
        "yosys": yosys,
        "seconds": round(time.perf_counter() - start, 2),
    }
    _store(entry, gzip.compress(json.dumps(result).encode()))
    return result


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
