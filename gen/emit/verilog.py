"""From RTLIL to Verilog 2005 that people read: one module after the other, the top first."""

import re
from collections.abc import Iterator

from lutcore.gen.emit.expressions import Expressions
from lutcore.gen.emit.lines import Block, comment, indented, merged, spaced, wrapped
from lutcore.gen.emit.names import Names, plain, unique
from lutcore.gen.emit.nets import (
    OPERATORS,
    Connection,
    MemoryPorts,
    Nets,
    Part,
    Process,
    Register,
)
from lutcore.gen.emit.port_names import port_names
from lutcore.gen.emit.remarks import are_told_at_once, numbered, part_text, remark
from lutcore.gen.emit.rtlil import Cell, Module, Wire, is_private, read
from lutcore.gen.emit.signals import spans, width_of
from lutcore.gen.emit.statements import Statements, chosen

_FIRST = ("clk", "rst", "aclk", "aresetn")
#: A port that is some bits of a member (:func:`~lutcore.gen.emit.names.bits_of`).
_PART = re.compile(r"(\w+?)_(?:(\d+)_)?(\d+)")
_SHARED = {"valid": "it is offered", "ready": "it is taken if valid", "payload": ""}


def verilog_text(rtlil: str, initial: bool = True) -> str:
    """Verilog of RTLIL, its modules in the order in which they are used.

    Without ``initial``, memories hold nothing when power comes on.
    """
    modules = {module.name: module for module in read(rtlil)}
    if not initial:
        for module in modules.values():
            module.cells = [cell for cell in module.cells if cell.kind != "$meminit_v2"]
    outputs = {
        name: {wire.name[1:] for wire in module.ports() if wire.direction == "output"}
        for name, module in modules.items()
    }
    nets = {name: Nets(module, outputs) for name, module in modules.items()}
    order = list(_used(modules, next(iter(modules))))
    ports = port_names(nets, order)
    titles = _titles(order)
    others = {name: {plain(order[0])} for name in order}  # linters take both for one
    for module in modules.values():
        for cell in module.cells:
            if cell.kind in others:
                others[cell.kind].add(plain(cell.name))
    names = {name: Names(nets[name], ports, others[name]) for name in order}
    texts = [_Writer(nets[name], titles, names).text() for name in order]
    return "\n".join(texts)


def _used(modules: dict[str, Module], top: str) -> Iterator[str]:
    """Names of modules, each once, those that use others before them."""
    seen: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in seen:
            return
        seen[name] = None
        for cell in modules[name].cells:
            if cell.kind in modules:
                visit(cell.kind)

    visit(top)
    yield from seen


def _titles(order: list[str]) -> dict[str, str]:
    """Verilog's names of modules."""
    found: dict[str, str] = {}
    for name in order:
        found[name] = unique(_title(name), found.values())
    return found


def _title(name: str) -> str:
    """Name of a module: parts of the top without a name of their own are told as those with one."""
    top, _, part = name.partition(".")
    mark = "_" if "__" in top else "__"
    return plain(f"{top}{mark}{part.replace('.', '_')}" if part else top)


class _Writer:
    """Writes one module."""

    def __init__(self, nets: Nets, titles: dict[str, str], names: dict[str, Names]):
        self._nets, self._titles = nets, titles
        self._of_modules, self._names = names, names[nets.module.name]
        self._needed: dict[str, None] = {}
        self._todo: list[str] = []
        self._expressions = Expressions(nets, self._names, self._need)
        self._statements = Statements(nets, self._names, self._expressions)
        self._blocks: dict[Part, Block] = {}
        self._regs: set[str] = set()

    def _need(self, wire: str) -> None:
        if wire not in self._needed:
            self._needed[wire] = None
            self._todo.append(wire)

    def text(self) -> str:
        for wire in self._nets.module.ports():
            self._need(wire.name)
        for part in self._nets.parts:
            if self._is_root(part):
                self._write(part)
        while self._todo:
            for part in self._nets.driver.get(self._todo.pop(), ()):
                self._write(part)
        # Parts in the order in which data passes them: that of the source.
        written = [part for part in self._nets.all_parts if part in self._blocks]
        body = spaced(merged(self._blocks[part] for part in written))
        title = self._titles[self._nets.module.name]
        head = [f"module {title} (", *indented(self._ports()), ");"]
        declared = [*self._declarations(), ""]
        lines = [
            *head,
            *indented(declared),
            *indented(body),
            *indented(self._unread()),
            "endmodule",
            "",
        ]
        return "\n".join(piece for line in lines for piece in wrapped(line))

    def _is_root(self, part: Part) -> bool:
        """Whether a part is written whatever reads it: it has a name, or does something."""
        if isinstance(part, MemoryPorts | Register):
            return True
        if isinstance(part, Cell) and part.kind not in OPERATORS:
            return True
        return any(
            not is_private(chunk.wire) or self._nets.module.wires[chunk.wire].direction
            for signal in self._nets.driven(part)
            for chunk in signal
        )

    def _write(self, part: Part) -> None:
        if part in self._blocks:
            return
        if isinstance(part, Register) or (isinstance(part, Process) and not chosen(part)):
            self._regs.update(chunk.wire for signal in self._nets.driven(part) for chunk in signal)
        if isinstance(part, Register):
            self._blocks[part] = self._statements.register(part)
        else:
            self._blocks[part] = Block([], self._part(part))

    def _part(self, part: Process | MemoryPorts | Connection | Cell) -> list[str]:
        words = self._expressions
        match part:
            case Process():
                return self._statements.process(part)
            case MemoryPorts():
                for cell in part.reads:
                    if cell.number("CLK_ENABLE"):
                        self._regs.update(chunk.wire for chunk in cell.ports["DATA"])
                return self._statements.memory(part)
            case Connection():
                target, named = words.target(part.target), part.target[0].wire
                value = words.text(part.value, named not in self._nets.field_nets)
                return [f"assign {target} = {value};"]
            case Cell() if part.kind in OPERATORS:
                target = part.ports["Y"]
                return [f"assign {words.target(target)} = {words.cell(part, width_of(target))};"]
        return self._instance(part)

    def _instance(self, cell: Cell) -> list[str]:
        names = self._of_modules[cell.kind]
        outputs, words = self._nets.outputs[cell.kind], self._expressions
        pins = [
            f"  .{names.port(port)}"
            f"({words.target(signal) if port in outputs else words.text(signal)})"
            for port, signal in cell.ports.items()
            if signal
        ]
        head = f"{self._titles[cell.kind]} {self._names[cell.name]} ("
        return [head, *(f"{pin}," for pin in pins[:-1]), pins[-1], ");"]

    def _needed_wires(self) -> list[Wire]:
        """Nets that the text names, in the order of the source."""
        return [wire for wire in self._nets.module.wires.values() if wire.name in self._needed]

    def _declared(self, wire: Wire) -> str:
        kind = "reg " if wire.name in self._regs else "wire"
        size = f"[{wire.width - 1}:0]" if wire.width > 1 else ""
        return f"{kind} {size:8} {self._names[wire.name]}"

    def _unread(self) -> list[str]:
        """Bits that nothing reads, said so to those who look for them."""
        found: list[str] = []
        for wire in self._needed_wires():
            seen = self._expressions.read[wire.name]
            missing = [i for i in range(wire.width) if i not in seen]
            if not missing or wire.direction == "output":
                continue
            text = self._names[wire.name]
            if not seen:
                found.append(text)
                continue
            for low, high in spans(missing):
                found.append(f"{text}[{high}]" if low == high else f"{text}[{high}:{low}]")
        if not found:
            return []
        name = self._names.new("unused")
        return [f"wire {name} = &{{1'b0, {', '.join(found)}}};"]

    # Declarations ---------------------------------------------------------------------------------

    def _ports(self) -> list[str]:
        """Clock and reset, then the ports of each interface, those that bring data first."""
        groups: dict[str, list[Wire]] = {}
        for wire in self._nets.module.ports():
            name = self._names[wire.name]
            key = name if name in _FIRST else name.partition("__")[0]
            if are_told_at_once(self._nets.module.attributes.get("\\src", ""), key):
                key = numbered(key)
            groups.setdefault(key, []).append(wire)
        order = sorted(groups, key=lambda key: (key not in _FIRST, _gives(groups[key])))
        lines: list[str] = []
        for key in order:
            wires = sorted(groups[key], key=lambda wire: _rank(self._names[wire.name]))
            told = self._remark(wires[0], True)
            alike = "*" in key
            of = " to ".join(self._names[wires[i].name] for i in (0, -1)) if alike else key
            shared = f"{of}: {told}" if told and len(wires) > 1 else ""
            if shared:
                lines += ["", *comment(shared)]
            for wire in wires:
                said = (
                    "" if shared else self._remark(wire, True) or _SHARED.get(self._last(wire), "")
                )
                lines += self._port(wire, said, bool(shared) and not alike)
        at = max(i for i, line in enumerate(lines) if line and not line.strip().startswith("//"))
        lines[at] = re.sub(r",(?=( *//.*)?$)", "", lines[at], count=1)
        return lines if lines[0] else lines[1:]

    def _port(self, wire: Wire, said: str, in_group: bool) -> list[str]:
        declared = f"{wire.direction:6} {self._declared(wire)},"
        fields = [f"  {line}" for line in _fields(self._nets.layout(wire.name))]
        if in_group:
            part = self._last(wire)
            said = _SHARED[part] if part in _SHARED else self._remark(wire, False)
            if said and len(declared) + len(said) < 90:
                return [*comment(*fields), f"{declared} // {said}"]
        return [*(comment(said) if said else []), *comment(*fields), declared]

    def _last(self, wire: Wire) -> str:
        """What a port is within its interface."""
        return self._names[wire.name].rpartition("__")[2]

    def _remark(self, wire: Wire, component: bool) -> str:
        attributes = self._nets.module.attributes if component else {}
        place = wire.attributes.get("\\src", "")
        name = plain(wire.attributes.get("name", wire.name)).rstrip("_")  # of words of Verilog
        if said := remark(place, name, attributes.get("\\src", "")):
            return said
        part = _PART.fullmatch(self._names[wire.name]) if component else None
        whole = part_text(attributes.get("\\src", ""), part[1]) if part else ""
        return f"Of {part[1]}, {_places(part)}: {whole}" if part and whole else ""

    def _declarations(self) -> list[str]:
        found: list[str] = []
        for part in self._nets.parts:
            if isinstance(part, MemoryPorts):
                memory = part.memory
                said = remark(memory.attributes.get("\\src", ""), plain(memory.name))
                size = f"[{memory.width - 1}:0]"
                found += comment(said) if said else []
                found.append(f"reg  {size:8} {self._names[memory.name]} [0:{memory.size - 1}];")
        for wire in self._needed_wires():
            if wire.direction:
                continue
            made = is_private(wire.name) or wire.name in self._nets.field_nets
            said = "" if made else self._remark(wire, False)
            declared = f"{self._declared(wire)};"
            if said and len(declared) + len(said) > 90:
                found += comment(said)
                said = ""
            found.append(f"{declared} // {said}" if said else declared)
        return found


def _places(part: re.Match[str]) -> str:
    return f"[{part[2]}:{part[3]}]" if part[2] else f"[{part[3]}]"


def _gives(wires: list[Wire]) -> bool:
    """Whether an interface brings something out."""
    data = [wire for wire in wires if not wire.name.endswith(("__ready", "__valid"))] or wires
    return data[0].direction == "output"


def _rank(name: str) -> int:
    """Place of a port within its stream."""
    order = ("valid", "ready", "payload")
    part = name.rpartition("__")[2]
    return order.index(part) if part in order else len(order)


def _fields(layout: list[tuple[str, int, int]]) -> list[str]:
    """Fields of a payload, elements of an array told once."""
    groups: dict[str, list[tuple[str, int, int]]] = {}
    for path, low, width in layout:
        groups.setdefault(re.sub(r"\[\d+\]", "[]", path), []).append((path, low, width))
    found = []
    for path, members in groups.items():
        low = min(member[1] for member in members)
        high = max(member[1] + member[2] for member in members) - 1
        bits = f"[{high}:{low}]" if high > low else f"[{low}]"
        name = path.lstrip(".").replace("[]", "") or "elements"
        if len(members) > 1 or "[]" in path:
            lengths = [
                str(1 + max(int(m) for m in numbers))
                for numbers in zip(
                    *(re.findall(r"\[(\d+)\]", member[0]) for member in members), strict=True
                )
            ]
            of = "".join(f"[{length}]" for length in lengths)
            found.append(f"{bits} {name}{of}, each {members[0][2]} bits wide, [0] lowest")
        else:
            found.append(f"{bits} {name}")
    return found
