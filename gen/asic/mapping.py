"""From RTLIL to standard cells: least area, or least area that meets a clock period.

Yosys does the coarse synthesis, :mod:`lutcore.gen.asic.compressor` the sums, ABC the gates between
them. For a period, nets are buffered, cells are sized with OpenSTA, and in modules that miss it
carries take faster gates from an ever earlier point on (``Adders.depths``) until the period is met.

That is :func:`map_rtlil`. A second recipe of the same steps, :func:`map_flat`, takes a small design
for speed alone: float units, whose adders are wide and in series.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lutcore.gen.asic.buffering import Buffering, use_inverted_outputs
from lutcore.gen.asic.closing import Closing, verilog
from lutcore.gen.asic.compressor import Adders, compress
from lutcore.gen.asic.library import Cell, Library
from lutcore.gen.asic.prefix import prefix_gates
from lutcore.gen.tools.netlist import Json, Netlist, bypass
from lutcore.gen.tools.opensta import sta_command, sta_version
from lutcore.gen.tools.yosys import ABC_SPEAKS, run_yosys, yosys_command

#: Gate equivalents of a full adder in separate gates: three NAND2, two OAI21, two inverters. A
#: library's full-adder cell is used unless it is larger: ABC by itself never picks one.
_FULL_ADDER_IN_GATES = 7

#: Estimated delays (:mod:`lutcore.gen.asic.compressor`) from which on carries take a prefix tree,
#: the smallest area first.
_DEPTHS = (float("inf"), 7.0, 6.0, 4.0, 2.0)
#: Starts that miss the period by more than the first part of it get faster carries before any
#: sizing, which would cost more; those that still miss it by the second part are not sized.
_SIZABLE, _HOPELESS = 0.15, 0.4
#: ns by which a step must make a module faster if another is to follow.
_FASTER = 1e-3

#: ABC: least area without more levels; complex gates are found by ``&nf``.
_AREA = "strash; ifraig; scorr; drw -l; drf -l; &get -n; &nf; &put\n"

#: ABC for speed: ``dc2`` would turn parallel-prefix adders into ripples. Mapping aims at a looser
#: period than sizing: the gates that it picks then are small, and the sizes make them fast.
_SPEED = (
    "strash; ifraig; scorr; rewrite; refactor; rewrite -z; dch -f; map -B 0.9 -D {loose:.0f}; "
    "topo; buffer -c; upsize -D {tight:.0f}; dnsize -D {tight:.0f}\n"
)
#: Parts of the period that these aim at, the second where the first misses it; and the miss, as
#: part of the period, from which on a flat design is not sized.
_LOOSE, _TIGHT, _FLAT_HOPELESS = 1.8, (0.8, 0.7), 0.12


@dataclass
class Mapped:
    """A design in standard cells.

    Attributes
    ----------
    modules : dict
        Module -> cell or module below it -> how often.
    netlist : str
        Verilog.
    slack : float or None
        Worst slack in ns; None where timing was not analysed.
    path : list of str
        The worst path, stage by stage: delay in ns, pin, cell.
    slacks : dict
        Module -> worst slack of its flip-flops in ns.
    depths : dict
        :class:`~lutcore.gen.asic.compressor.Adders` depths that were chosen.
    """

    modules: dict[str, dict[str, int]]
    netlist: str
    slack: float | None = None
    path: list[str] = field(default_factory=list)
    slacks: dict[str, float] = field(default_factory=dict)
    depths: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0


def tool_versions() -> dict[str, str]:
    """Versions of Yosys, and of OpenSTA where it is installed."""
    versions = {"yosys": yosys_command()[1]}
    if command := sta_command():
        versions["opensta"] = sta_version(command)
    return versions


def map_rtlil(
    rtlil: str, top: str, library: Library, liberty: Mapping[str, bytes], period: float | None
) -> Mapped:
    """Map a design.

    Parameters
    ----------
    rtlil : str
        Its hierarchy stays, so that each distinct module is mapped once.
    top : str
        Name of the top module, whose clock is its port ``clk``.
    library : Library
        What the files in ``liberty`` hold together.
    liberty : dict
        Plain file name -> Liberty text.
    period : float or None
        Clock period in ns to meet, ideal clock, no wires, ports unconstrained. None, or no OpenSTA:
        least area, without buffers or sizing.
    """
    start = time.perf_counter()
    flow = _Flow(rtlil, top, library, liberty)
    if period is None or sta_command() is None:
        design = flow.gates({})
        result = Mapped(Netlist(design, top).counts(), verilog(design, flow.boxes))
    else:
        result = flow.timed(period)
    result.seconds = round(time.perf_counter() - start, 2)
    return result


def map_flat(
    rtlil: str, top: str, library: Library, liberty: Mapping[str, bytes], period: float | None
) -> Mapped:
    """Map a design without its hierarchy, for speed, operands arriving with the clock edge.

    Parameters are those of :func:`map_rtlil`.
    """
    start = time.perf_counter()

    def gates(abc: str) -> Json:
        steps = ["read_rtlil design.il", f"synth -flatten -top {top} -noabc"]
        return _cells(steps, abc, {"design.il": rtlil.encode()}, library, liberty)

    if period is None or sta_command() is None:
        design = gates(_AREA)
        result = Mapped(Netlist(design, top).counts(), verilog(design))
    else:
        closing = Closing(library, liberty, top, period, from_ports=True)
        picoseconds = 1000 * period
        for tight in _TIGHT:
            abc = _SPEED.format(loose=_LOOSE * picoseconds, tight=tight * picoseconds)
            design = gates(abc)
            timing = closing.timing(design)
            sizable = min(closing.slacks(timing).values()) >= -_FLAT_HOPELESS * period
            found = closing.size(design, timing) if sizable else closing.check(design)
            if found.slack >= 0:
                break
        result = Mapped(Netlist(design, top).counts(), **vars(found))
    result.seconds = round(time.perf_counter() - start, 2)
    return result


def _cells(
    steps: Sequence[str],
    abc: str,
    files: Mapping[str, bytes],
    library: Library,
    liberty: Mapping[str, bytes],
) -> Json:
    """Modules of cells, in Yosys JSON: what coarse synthesis by ``steps`` leaves, mapped."""
    libraries = " ".join(f"-liberty {name}" for name in liberty)
    script = [
        *steps,
        f"dfflibmap {libraries}",
        f"abc {libraries} -script abc.script",
        "opt_clean -purge",
        "setundef -zero",
        "rename -enumerate -pattern _%_",
        "write_json mapped.json",
    ]
    files = {**liberty, **files, "abc.script": f"{ABC_SPEAKS}{abc}".encode()}
    design = json.loads(run_yosys("\n".join(script), files, ("mapped.json",))["mapped.json"])
    modules = design["modules"]
    design["modules"] = {name: modules[name] for name in modules if name not in library.cells}
    for module in design["modules"].values():  # OpenSTA knows no signed ports
        for named in (*module["ports"].values(), *module["netnames"].values()):
            named.pop("signed", None)
    bypass(design)
    use_inverted_outputs(design, library)
    return design


class _Flow:
    """The steps for one design and library."""

    def __init__(self, rtlil: str, top: str, library: Library, liberty: Mapping[str, bytes]):
        self._top = top
        self._library = library
        self._liberty = liberty
        adder = library.full_adder
        if adder and adder.area > _FULL_ADDER_IN_GATES * library.nand2.area:
            adder = None
        self._adder = adder
        self._gates = prefix_gates(library)
        boxes = [cell for cell, _ in self._gates.values()] + ([adder] if adder else [])
        self.boxes = "".join(map(_box, boxes)).encode()
        script = f"read_rtlil design.il\nsynth -top {top} -noabc -run begin:fine\nwrite_json c.json"
        outputs = run_yosys(script, {"design.il": rtlil.encode()}, ("c.json",))
        self._coarse = outputs["c.json"]

    def gates(self, depths: Mapping[str, float]) -> Json:
        """Modules of cells, in Yosys JSON."""
        design = json.loads(self._coarse)
        compress(design, Adders(self._adder, self._gates, depths))
        steps = [
            "read_verilog -lib boxes.v",
            "read_json c.json",
            f"hierarchy -top {self._top}",
            "synth -noabc -run fine:check",
        ]
        files = {"boxes.v": self.boxes, "c.json": json.dumps(design).encode()}
        return _cells(steps, _AREA, files, self._library, self._liberty)

    def timed(self, period: float) -> Mapped:
        """The first start that can be sized to meet the period, or what comes nearest."""
        closing = Closing(self._library, self._liberty, self._top, period, self.boxes)
        best: Mapped | None = None
        steps: dict[str, int] = {}
        #: Module -> slack of its start at each step.
        tried: defaultdict[str, dict[int, float]] = defaultdict(dict)
        #: Module -> slack when it was sized last.
        sized: dict[str, float] = {}

        def go_on(modules: list[str]) -> bool:
            """Take the next step in modules that have one; whether any has."""
            further = {module: len(tried[module]) for module in modules}
            further = {module: step for module, step in further.items() if step < len(_DEPTHS)}
            steps.update(further)
            return bool(further)

        while True:
            depths = {module: _DEPTHS[step] for module, step in steps.items()}
            design = self.gates(depths)
            Buffering(design, self._library).insert()
            timing = closing.timing(design)
            netlist = Netlist(design, self._top)
            slacks = _shared(closing.slacks(timing), netlist)
            for module, slack in slacks.items():
                tried[module][steps.get(module, 0)] = slack
            late = [module for module, slack in slacks.items() if slack < -_SIZABLE * period]
            if go_on(late):
                continue
            nearest = {module: max(tried[module], key=tried[module].__getitem__) for module in late}
            if any(steps.get(module, 0) != step for module, step in nearest.items()):
                steps.update(nearest)
                continue
            sizable = min(slacks.values()) >= -_HOPELESS * period
            found = closing.size(design, timing) if sizable else closing.check(design)
            if best is None or best.slack is None or found.slack > best.slack:
                best = Mapped(Netlist(design, self._top).counts(), **vars(found), depths=depths)
            slacks = _shared(found.slacks, netlist)
            late = [module for module, slack in slacks.items() if slack < 0]
            late = [m for m in late if slacks[m] > sized.get(m, -math.inf) + _FASTER]
            sized.update(slacks)
            if found.slack >= 0 or not go_on(late):
                return best


def _shared(slacks: dict[str, float], netlist: Netlist) -> dict[str, float]:
    """Slacks also of modules without flip-flops: the worst of those that have instances of them."""
    found = dict(slacks)
    for _, module in netlist.instances():
        for kind in {cell.kind for cell in module.cells} & netlist.modules.keys() - slacks.keys():
            above = found.get(module.name, math.inf)
            found[kind] = min(found.get(kind, above), above)
    return found


def _box(cell: Cell) -> str:
    inputs, outputs = ", ".join(cell.inputs), ", ".join(cell.outputs)
    return f"module {cell.name} (input {inputs}, output {outputs}); endmodule\n"
