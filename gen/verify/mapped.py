"""That a mapped netlist does what the RTL does, for all inputs, by Yosys' equivalence checker.

Wires and registers of the same name are points at which both are compared: each point is proved to
be the same wherever the points before it are. What is shown is of all states that both can share.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lutcore.errors import OutOfTime
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.synth import LibraryFiles, map_cells, read_library
from lutcore.gen.emit.rtl import design_name, design_rtlil
from lutcore.gen.emit.rtlil import read
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.formal.engines import of_one_column

#: A design without hierarchy, in wires of one bit.
_FLAT = (
    "hierarchy -top {top}\nproc\nflatten\nmemory\nopt -fast\nrename {top} {side}\n"
    "splitnets -ports\nopt_clean\ndesign -stash {side}\n"
)
_COMPARE = """design -copy-from gold -as gold gold
design -copy-from gate -as gate gate
async2sync
equiv_make -blacklist apart.txt gold gate equiv
hierarchy -top equiv
equiv_struct
equiv_simple
equiv_induct
tee -q -o status.txt equiv_status
"""
_COUNT = re.compile(r"Found (\d+) \$equiv cells in equiv")
_UNPROVEN = re.compile(r"Unproven \$equiv \S+ \\(\S+)_gold ")
#: Attempts, each without the points that the one before could not prove.
_ATTEMPTS = 4


@dataclass(frozen=True)
class Compared:
    """A netlist beside its RTL.

    Attributes
    ----------
    points : int
        Where both were compared, the outputs among them.
    differing : list of str
        Bits of outputs, or else wires, of which it is not proved that they are the same; None: no
        end in time.
    """

    points: int
    differing: list[str] | None


def unit(config: CoreConfig) -> CoreConfig:
    """A tile of one row, one column and at most two tables: sums of more are not decided."""
    return of_one_column(config, lookups=min(config.lookups, 2))


def compare_mapped(
    config: CoreConfig,
    period: float | None = None,
    files: LibraryFiles | None = None,
    limit: float = 120,
    change: Callable[[str], str] = lambda text: text,
) -> Compared:
    """Map the :func:`unit` of a tile, and prove that its netlist gives what the RTL gives.

    Parameters
    ----------
    period : float, optional
        Of the clock in ns; without one, for the least area.
    files : LibraryFiles, optional
        The library; the demonstration library without it.
    limit : float
        Seconds of the checker for each attempt.
    change : callable
        Made to the netlist: how a test breaks it.

    Raises
    ------
    InputError
        A tool is missing, or the library cannot be used.
    ToolError
        A tool failed.
    """
    files = files or read_library(DEMO)
    rtlil, top = design_rtlil(unit(config)), design_name(unit(config))
    mapped = map_cells(rtlil, top, files, period)
    texts = {
        **files.contents,
        "rtl.il": rtlil.encode(),
        "netlist.v": change(mapped.netlist).encode(),
    }
    cells = "".join(f"read_liberty {name}\n" for name in files.contents)
    script = (
        f"read_rtlil rtl.il\n{_FLAT.format(top=top, side='gold')}"
        f"{cells}read_verilog netlist.v\n{_FLAT.format(top=top, side='gate')}{_COMPARE}"
    )
    (module,) = (module for module in read(rtlil) if module.name == f"\\{top}")
    outputs = {w.name[1:] for w in module.ports() if w.direction == "output"}
    apart: set[str] = set()
    for _ in range(_ATTEMPTS):
        texts["apart.txt"] = "\n".join(sorted(apart)).encode()
        try:
            said = run_yosys(script, texts, ["status.txt"], limit)["status.txt"]
        except OutOfTime:
            return Compared(0, None)
        unproven = set(_UNPROVEN.findall(said))
        points = int(_COUNT.findall(said)[0])
        inner = {name for name in unproven if name.partition("[")[0] not in outputs}
        if not inner:
            return Compared(points, sorted(unproven))
        apart |= inner
    return Compared(points, sorted(unproven))
