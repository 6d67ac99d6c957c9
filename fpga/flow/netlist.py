"""From a board's RTLIL to the netlist that place and route takes, and what it takes of the FPGA."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lutcore import cache
from lutcore.fpga.boards.boards import Board
from lutcore.fpga.flow.emit import TOP
from lutcore.gen.luts.adders import adder_maps
from lutcore.gen.luts.families import FAMILIES, Family
from lutcore.gen.luts.synth import module_cells, resources
from lutcore.gen.tools.netlist import Json
from lutcore.gen.tools.yosys import run_yosys, yosys_command

#: No buffer needs contents when power comes on.
_UNINITIALISED = "delete t:$meminit*"
#: Blocks that take a smaller part of all LUTs are not taken apart.
_SHARE = 0.1
#: Memories of so many bits belong into block RAM or RAM of LUTs.
_BUFFER_BITS = 2048


@dataclass(frozen=True)
class Netlist:
    """A mapped design.

    Attributes
    ----------
    json : str
        Flat netlist as nextpnr reads it.
    total : dict
        Resource (:func:`~lutcore.gen.luts.synth.resources`) -> number.
    hierarchy : {"kept", "whole"}
        The design is mapped block by block and as a whole; the one that took fewer LUTs.
    blocks : dict
        Block -> resource -> number, mapped block by block.
    memories : dict
        Buffer -> ``bits`` and ``kind``: what it was mapped to.
    yosys : str
        Version.
    seconds : float
        Of the synthesis, of the original one where it was cached.
    """

    json: str
    total: dict[str, int]
    hierarchy: str
    blocks: dict[str, dict[str, int]]
    memories: dict[str, dict[str, Any]]
    yosys: str
    seconds: float


def _script(board: Board, family: Family) -> str:
    """The design is mapped twice: block by block, which shows what each takes, and as a whole."""
    command = f"{family.command.replace(' -noiopads', '')} {board.synth} {family.keep} -top {TOP}"
    mapped = [command, *(["techmap -max_iter 1 -map finish.v"] if family.finish else [])]
    prepare = [
        "read_rtlil design.il",
        f"hierarchy -top {TOP}",
        _UNINITIALISED,
        "proc",
        "opt_expr",
        "opt_clean -purge",
        # Amaranth's names of parts, like a[0], would meet those of bits in ABC.
        "rename -hide w:*[[]*",
        "wreduce",
        "techmap -map adders.v",
    ]
    flatten = ["flatten -noscopeinfo", "opt_clean -purge"]
    kept = ["opt_hier", *mapped, "write_json blocks.json", *flatten, "write_json kept.json"]
    whole = [*flatten, *mapped, "write_json whole.json"]
    return "\n".join([*prepare, *kept, "design -reset", *prepare, *whole])


def synthesise(board: Board, rtlil: str, *, use_cache: bool = True) -> Netlist:
    """Map a design to a board's FPGA, or find that done.

    Raises
    ------
    InputError
        Yosys is missing.
    ToolError
        It failed.
    """
    start = time.perf_counter()
    family = FAMILIES[board.family]
    script, maps = _script(board, family), adder_maps(rtlil, board.family)
    yosys = yosys_command()[1]
    key = cache.key(__name__, yosys, str(family), script, maps, rtlil)
    entry = cache.entry("netlist", key)
    if use_cache and (found := cache.load(entry)):
        return Netlist(**found)
    texts = {"design.il": rtlil, "adders.v": maps, "finish.v": family.finish}
    files = {name: text.encode() for name, text in texts.items()}
    outputs = run_yosys(script, files, ("blocks.json", "kept.json", "whole.json"))
    tree = _Tree(family, json.loads(outputs["blocks.json"])["modules"])
    totals = {
        way: _Tree(family, json.loads(outputs[f"{way}.json"])["modules"]).total(TOP)
        for way in ("kept", "whole")
    }
    best = min(totals, key=lambda way: totals[way]["lut"] + totals[way]["lone"])
    result = Netlist(
        json=outputs[f"{best}.json"],
        total=totals[best],
        hierarchy=best,
        blocks=tree.blocks(),
        memories=dict(tree.memories(rtlil)),
        yosys=yosys,
        seconds=round(time.perf_counter() - start, 2),
    )
    cache.store(entry, vars(result))
    return result


class _Tree:
    """Resources through the hierarchy of a mapped design (Yosys JSON)."""

    def __init__(self, family: Family, modules: Mapping[str, Json]):
        self._own: dict[str, Counter[str]] = {}
        self._below: dict[str, Counter[str]] = {}
        real = {n: m for n, m in modules.items() if "blackbox" not in m["attributes"]}
        for name, module in real.items():
            cells = module_cells(family, module)
            self._below[name] = Counter({cell: n for cell, n in cells.items() if cell in real})
            self._own[name] = Counter(
                resources(family, {cell: n for cell, n in cells.items() if cell not in real})
            )

    def total(self, module: str) -> dict[str, int]:
        """Of a module with all below it."""
        total = Counter(self._own[module])
        for child, times in self._below[module].items():
            for kind, number in self.total(child).items():
                total[kind] += number * times
        return {kind: total[kind] for kind in self._own[module]}

    def blocks(self) -> dict[str, dict[str, int]]:
        """The largest blocks taken apart."""
        least = _SHARE * self.total(TOP)["lut"]
        found: dict[str, Counter[str]] = {}

        def visit(module: str, path: str, times: int) -> None:
            whole = self.total(module)
            if whole["lut"] * times <= least or not self._below[module]:
                rest: Mapping[str, int] = whole
            else:
                rest = self._own[module]
                for child, number in self._below[module].items():
                    name = re.split(rf"\.|^{TOP}_", child)[-1]
                    visit(child, _block(f"{path}/{name}"), times * number)
            block = found.setdefault(path or TOP, Counter())
            for kind, number in rest.items():
                block[kind] += number * times

        visit(TOP, "", 1)
        used = {path: block for path, block in found.items() if any(block.values())}
        return {path: dict(used[path]) for path in sorted(used, key=lambda p: -used[p]["lut"])}

    def memories(self, rtlil: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Buffers of the RTLIL, and where they went."""
        for module, text in re.findall(r"^module \\(\S+)\n(.*?)^end$", rtlil, re.M | re.S):
            sizes = re.findall(r"^\s*memory width (\d+) size (\d+)", text, re.M)
            bits = sum(int(width) * int(size) for width, size in sizes)
            if bits < _BUFFER_BITS or module not in self._own:
                continue
            own = self._own[module]
            kinds = [f"{own[kind]} {name}" for kind, name in _KINDS.items() if own[kind]]
            name = _block(module.replace(".", "/"))
            yield name, {"bits": bits, "kind": ", ".join(kinds) or "flip-flops"}


def _block(path: str) -> str:
    """Path of a block, without the modules around the board's own logic, and numbers of names."""
    return re.sub(rf"^/?({TOP}[/_])*|\$\d+", "", path)


_KINDS = {"bram": "block RAM", "spram": "single-port RAM", "lutram": "LUTs as RAM"}
