"""Timing closure of a mapped netlist: cells are exchanged here, OpenSTA says what came of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from lutcore.gen.asic.flat import Flat
from lutcore.gen.asic.library import Library
from lutcore.gen.asic.sizing import Sizer
from lutcore.gen.asic.timing import Timing
from lutcore.gen.tools.netlist import Json, Netlist
from lutcore.gen.tools.opensta import Session
from lutcore.gen.tools.yosys import run_yosys

#: What OpenSTA finds late by less than this part of the period is sized again, for so much less.
_NEARLY, _TRIES = 0.02, 3
_SPARE = 1e-4
_WRITE = "read_json m.json\nwrite_verilog -noattr -noexpr -nohex -simple-lhs netlist.v"


def verilog(design: Json, boxes: bytes = b"") -> str:
    """A netlist in Verilog, without Yosys's own header; ``boxes`` declares cells it cannot know."""
    script = f"read_verilog -lib boxes.v\n{_WRITE}" if boxes else _WRITE
    files = {"m.json": json.dumps(design).encode(), "boxes.v": boxes}
    text = run_yosys(script, files, ("netlist.v",))["netlist.v"]
    return text.partition("*/\n\n")[2]


def session(
    netlist: str,
    liberty: Mapping[str, bytes],
    top: str,
    period: float,
    from_ports: bool = False,
) -> Session:
    """OpenSTA with a netlist in Verilog; parameters as of :class:`Closing`."""
    script = [f"read_liberty {name}" for name in liberty]
    script += ["read_verilog netlist.v", f"link_design {top}"]
    script += ["set_cmd_units -time ns"]  # of itself it takes the library's
    script += [f"create_clock -name clk -period {period} [get_ports clk]"]
    if from_ports:
        script += ["set_input_delay 0 -clock clk [all_inputs]"]
    return Session({**liberty, "netlist.v": netlist.encode()}, "\n".join(script))


@dataclass
class Closed:
    """A netlist and its timing.

    Attributes
    ----------
    netlist : str
        Verilog.
    slack : float
        Worst slack in ns.
    path : list of str
        The worst path, stage by stage: delay in ns, pin, cell.
    slacks : dict
        Module -> worst slack of its flip-flops in ns.
    """

    netlist: str
    slack: float
    path: list[str]
    slacks: dict[str, float]


class Closing:
    """Sizes mapped netlists for a period.

    Parameters
    ----------
    library : Library
    liberty : dict
        Plain file name -> Liberty text.
    top : str
        Its port ``clk`` is the clock.
    period : float
        In ns.
    boxes : bytes
        Verilog declarations for :func:`verilog`.
    from_ports : bool
        Other inputs change at the clock edge; otherwise they are unconstrained.
    """

    def __init__(
        self,
        library: Library,
        liberty: Mapping[str, bytes],
        top: str,
        period: float,
        boxes: bytes = b"",
        from_ports: bool = False,
    ):
        self._library = library
        self._liberty = liberty
        self._top = top
        self._period = period
        self._boxes = boxes
        self._from_ports = from_ports

    def timing(self, design: Json) -> Timing:
        """Of the netlist, in which cells too weak for their loads are exchanged first."""
        timing = Timing(Flat(design, self._top, self._library), self._library, self._from_ports)
        timing.bear_loads()
        timing.analyse()
        timing.write(design)
        return timing

    def slacks(self, timing: Timing) -> dict[str, float]:
        """Module -> worst slack of its flip-flops in ns, as estimated."""
        return {module: self._period - need for module, need in timing.module_needs().items()}

    def size(self, design: Json, timing: Timing) -> Closed:
        """Exchange cells of the netlist so that OpenSTA, too, finds the period met."""
        sizer = Sizer(timing, self._library)
        goal, tries = self._period, _TRIES
        while True:
            met = sizer.run(goal)
            timing.write(design)
            found = self.check(design)
            tries -= 1
            if not met or not tries or not -_NEARLY * self._period <= found.slack < 0:
                return found
            goal += found.slack - _SPARE

    def check(self, design: Json) -> Closed:
        """What OpenSTA finds."""
        netlist = verilog(design, self._boxes)
        given = (netlist, self._liberty, self._top, self._period, self._from_ports)
        with session(*given) as asked:
            slack, path = asked.worst_path()
            ends = asked.slacks()
        modules = {path: module.name for path, module in Netlist(design, self._top).instances()}
        slacks: dict[str, float] = {}
        for instance, end in ends.items():
            module = modules[instance.rpartition("/")[0]]
            slacks[module] = min(slacks.get(module, float("inf")), end)
        return Closed(netlist, slack, path, slacks)
