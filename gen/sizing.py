"""Sizes cells until a clock period is met, guided by OpenSTA."""

import re
from dataclasses import dataclass, field

from gen.liberty import Library
from gen.netlist import Json
from gen.opensta import Session
from hdl.errors import ToolError

_STAGE = re.compile(r"^ *([\d.]+) +[\d.]+ ([v^]) (\S+)/(\w+) \((\w+)\)$", re.MULTILINE)
_END = re.compile(r"^(\S+)/\w+ \(\w+\).* (-?[\d.]+)(?: \(\w+\))?$", re.MULTILINE)
_SLACK = re.compile(r"^ *(-?[\d.]+) +slack", re.MULTILINE)


@dataclass
class Timing:
    """Worst slack in ns; and that path, stage by stage: delay, pin, cell."""

    slack: float
    path: list[str] = field(default_factory=list)


@dataclass
class _Stage:
    """A driver on a path, with its delay in ns."""

    delay: float
    edge: str
    instance: str
    pin: str
    cell: str


#: A cell of a module.
_Place = tuple[str, str]


class Sizer:
    """Exchanges cells on violating paths for stronger ones, while that helps.

    All instances of a module change together, and only the first one's endpoints are looked at.

    Parameters
    ----------
    design : dict
        Mapped netlist, Yosys JSON; changed in place.
    top : str
    library : Library
    session : Session
        With the same netlist, and a clock.
    """

    #: Steps without a better worst slack after which sizing ends.
    PATIENCE = 16
    #: Violating paths that are looked at in one step.
    PATHS = 6
    #: Gain in ns below which a change is not worth while.
    LEAST_GAIN = 2e-4

    def __init__(self, design: Json, top: str, library: Library, session: Session):
        self._modules = design["modules"]
        self._library = library
        self._session = session
        self._places: dict[str, list[str]] = {}
        self._module_of: dict[str, str] = {}
        self._find_places(top, "")
        pins = [
            f"{places[0]}{name}/{pin}"
            for module, places in self._places.items()
            for name, cell in self._modules[module]["cells"].items()
            if (kind := library.cells.get(cell["type"])) and kind.flip_flop
            for pin in kind.inputs
            if pin not in dict(kind.state).get("clocked_on", "")
        ]
        session.ask(f"set ends [get_pins {{{' '.join(pins)}}}]")

    def _find_places(self, module: str, path: str) -> None:
        self._module_of[path] = module
        self._places.setdefault(module, []).append(path)
        for name, cell in self._modules[module]["cells"].items():
            if cell["type"] in self._modules and cell["type"] not in self._library.cells:
                self._find_places(cell["type"], f"{path}{name}/")

    def run(self) -> Timing:
        """Size until nothing violates, or nothing helps; the best state found stays."""
        best, kept, waited = self.timing(), self._types(), 0
        while best.slack < 0 and waited < self.PATIENCE and self._step():
            timing = self.timing()
            waited += 1
            if timing.slack > best.slack:
                best, kept, waited = timing, self._types(), 0
        for place, cell in kept.items():
            self._exchange(place, cell)
        return best

    def _replace(self, instance: str, cell: str) -> None:
        self._session.ask(f"replace_cell [get_cells {{{instance}}}] {cell}")

    def timing(self) -> Timing:
        """The worst path as it is."""
        paths = self._paths("-group_count 1")
        if not paths:
            raise ToolError("OpenSTA found no path to a flip-flop")
        slack, stages = paths[0]
        return Timing(slack, [f"{s.delay:.4f} {s.instance}/{s.pin} {s.cell}" for s in stages])

    def module_slacks(self) -> dict[str, float]:
        """Module -> worst slack of its flip-flops."""
        slacks: dict[str, float] = {}
        said = self._session.ask("report_checks -to $ends -format end -digits 4 -group_count 20000")
        for instance, slack in _END.findall(said):
            module = self._place(instance)[0]
            slacks[module] = min(slacks.get(module, float("inf")), float(slack))
        return slacks

    def _paths(self, which: str) -> list[tuple[float, list[_Stage]]]:
        said = self._session.ask(f"report_checks -to $ends {which} -format full -digits 4")
        paths = []
        for text in said.split("Startpoint:")[1:]:
            slack = _SLACK.search(text)
            if slack is not None:
                stages = [_Stage(float(delay), *names) for delay, *names in _STAGE.findall(text)]
                paths.append((float(slack.group(1)), stages))
        return paths

    def _types(self) -> dict[_Place, str]:
        return {
            (module, name): cell["type"]
            for module in self._places
            for name, cell in self._modules[module]["cells"].items()
            if cell["type"] in self._library.cells
        }

    def _step(self) -> bool:
        """Change one cell on each of the worst paths; whether there was any to change."""
        changed: dict[_Place, str] = {}
        for _, stages in self._paths(f"-group_count {self.PATHS} -slack_max 0"):
            if changed.keys() & {self._place(stage.instance) for stage in stages}:
                continue  # this path gains already
            if choice := self._choice(stages):
                place, larger = choice
                changed[place] = larger
                self._exchange(place, larger)
        return bool(changed)

    def _choice(self, stages: list[_Stage]) -> tuple[_Place, str] | None:
        """The stronger cell with the best ratio of gain in slack to area."""
        best, choice = 0.0, None
        for stage in stages:
            variants = self._library.variants.get(stage.cell, (stage.cell,))
            for larger in variants[variants.index(stage.cell) + 1 :][:1]:
                before = self._slack(stage)
                self._replace(stage.instance, larger)
                gain = self._slack(stage) - before
                self._replace(stage.instance, stage.cell)
                cost = self._library.cells[larger].area - self._library.cells[stage.cell].area
                worth = gain / (cost + 0.1 * self._library.nand2.area)
                if gain > self.LEAST_GAIN and worth > best:
                    best, choice = worth, (self._place(stage.instance), larger)
        return choice

    def _slack(self, stage: _Stage) -> float:
        """Slack of the worst path through a stage, at the edge that the path has there."""
        edge = "rise" if stage.edge == "^" else "fall"
        pin = f"[get_pins {{{stage.instance}/{stage.pin}}}]"
        return float(self._session.ask(f"puts [get_property {pin} max_{edge}_slack]"))

    def _place(self, instance: str) -> _Place:
        path, _, name = instance.rpartition("/")
        return self._module_of[f"{path}/" if path else ""], name

    def _exchange(self, place: _Place, cell: str) -> None:
        module, name = place
        if self._modules[module]["cells"][name]["type"] != cell:
            self._modules[module]["cells"][name]["type"] = cell
            for path in self._places[module]:
                self._replace(f"{path}{name}", cell)
