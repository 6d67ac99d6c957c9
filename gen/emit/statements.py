"""Statements of Verilog: what decides a net, what a register takes, what a memory does."""

from lutcore.gen.emit.bodies import assigned_in, changed
from lutcore.gen.emit.expressions import Expressions, number
from lutcore.gen.emit.lines import Block, indented
from lutcore.gen.emit.names import Names
from lutcore.gen.emit.nets import MemoryPorts, Nets, Process, Register
from lutcore.gen.emit.rtlil import Assign, Body, Cell, Signal, Switch, is_private
from lutcore.gen.emit.signals import each, part_of

_STEP = "  "
#: Cases of an ``if``: conditions and what follows, as it is and as text; the last may have none.
_Chain = list[tuple[str, Body]]
_Parts = list[tuple[str, list[str]]]


class Statements:
    """Writes processes, registers and memories of a module."""

    def __init__(self, nets: Nets, names: Names, expressions: Expressions):
        self._nets, self._names, self._expressions = nets, names, expressions
        self._depth = 0  # of the decision that is written

    # Registers -----------------------------------------------------------------------------------

    def folded(self, register: Register) -> Process | None:
        """The process that nothing but this register follows."""
        if len(register.value) != 1:
            return None
        (chunk,) = register.value
        drivers = self._nets.driver.get(chunk.wire, [])
        alone = len(drivers) == 1 and len(self._nets.readers[chunk.wire]) == 1
        if not alone or not is_private(chunk.wire) or chunk.low:
            return None
        process = drivers[0]
        whole = chunk.width == self._nets.module.wires[chunk.wire].width
        if isinstance(process, Process) and process.targets == [chunk.wire] and whole:
            return process
        return None

    def register(self, register: Register) -> Block:
        """What a register takes at the rising edge."""
        edge = f"always @(posedge {self._expressions.text(register.clock)})"
        process = self.folded(register)
        if process is None:
            target = self._expressions.target(register.target)
            return Block([edge], [f"{target} <= {self._expressions.text(register.value)};"])

        def mapped(target: Signal) -> Signal:
            """Bits of the register for those that the process decides."""
            parts = (part_of(register.target, chunk.low, chunk.width) for chunk in target)
            return tuple(piece for part in parts for piece in part)

        body = changed(process.body, mapped)
        return self._clocked(edge, _resets_first(body, _keeps(body)))

    def _clocked(self, edge: str, body: Body) -> Block:
        """A block that others may join where it has nothing but assignments, or one condition."""
        match body:
            case [Switch() as switch]:
                parts = self._parts(switch, "<=")
                if parts is None:
                    return Block([], _under(edge, self._case(switch, "<=")))
            case _:
                parts = [("", self._statements(body, "<="))]
        ((condition, lines), *others) = parts
        if others or any(line.startswith(("if ", "case")) for line in lines):
            return Block([], _under(edge, self._decided(parts)))
        return Block([edge, f"if ({condition})"] if condition else [edge], lines)

    def process(self, process: Process) -> list[str]:
        """What is decided at all times."""
        if choice := chosen(process):
            words = self._expressions
            on, yes, no = (words.text(signal).within("none") for signal in choice)
            return [f"assign {words.target(process.body[0].target)} = {on} ? {yes} : {no};"]
        return ["always @(*) begin", *indented(self._statements(process.body, "=")), "end"]

    def _statements(self, body: Body, sign: str) -> list[str]:
        lines: list[str] = []
        for statement in body:
            if isinstance(statement, Assign):
                target = self._expressions.target(statement.target)
                lines.append(f"{target} {sign} {self._expressions.text(statement.value)};")
            else:
                lines += self._switch(statement, sign)
        return lines

    def _within(self, body: Body, sign: str) -> list[str]:
        """Statements of a case."""
        self._depth += 1
        lines = self._statements(body, sign)
        self._depth -= 1
        return lines

    def _switch(self, switch: Switch, sign: str) -> list[str]:
        parts = self._parts(switch, sign)
        return self._case(switch, sign) if parts is None else self._decided(parts)

    def _decided(self, parts: _Parts) -> list[str]:
        """The first of some conditions that holds, and what follows it."""
        if parts and not parts[0][0]:  # what Amaranth says after a decision
            # Yosys 0.70 loses an assignment that follows a decision within another one.
            return _under("if (1'b1)", parts[0][1]) if self._depth else parts[0][1]
        lines: list[str] = []
        for condition, inner in parts:
            if lines and not condition and inner[0].startswith("if ") and _is_one(inner):
                lines = _followed(lines, [f"else {inner[0]}", *inner[1:]])
                continue
            head = f"if ({condition})" if condition else "else"
            head = f"else {head}" if lines and condition else head
            lines = _followed(lines, _under(head, inner))
        return lines

    def _parts(self, switch: Switch, sign: str) -> _Parts | None:
        """Conditions in their order and what follows them; None: that takes a ``case``."""
        chain = self._chain(switch)
        if chain is None:
            return None
        parts = [(condition, self._within(body, sign)) for condition, body in chain]
        match parts:
            case [(condition, []), ("", lines)]:
                return [(f"!{_bracketed(condition)}", lines)]
        return parts

    def _chain(self, switch: Switch) -> _Chain | None:
        """Conditions in their order, where each case is one bit that is 1."""
        bits = each(switch.on)
        chain: _Chain = []
        seen: set[str] = set()
        for patterns, body in _cases(switch):
            if not patterns or patterns == ["-" * len(bits)]:
                chain.append(("", body))
                return chain
            if len(patterns) > 1:
                return None
            (pattern,) = patterns
            ones = [i for i, bit in enumerate(reversed(pattern)) if bit != "-"]
            if len(ones) != 1:
                return None
            (place,) = ones
            if pattern in seen:
                continue
            if len(bits) == 1 and seen:  # the other value
                chain.append(("", body))
                return chain
            seen.add(pattern)
            text = self._expressions.text(bits[place])
            chain.append((f"!{text.primary()}" if pattern[-1 - place] == "0" else str(text), body))
        return chain

    def _case(self, switch: Switch, sign: str) -> list[str]:
        wild = any("-" in pattern for patterns, _ in switch.cases for pattern in patterns)
        lines = [f"{'casez' if wild else 'case'} ({self._expressions.text(switch.on)})"]
        words = self._words(switch)
        last = False
        for patterns, body in switch.cases:
            labels = ", ".join(_label(pattern) for pattern in patterns) or "default"
            said = ", ".join(filter(None, (words.get(pattern) for pattern in patterns)))
            inner = self._within(body, sign)
            last = last or not patterns
            lines += indented(_under(f"{labels}:", inner or [";"], f"// {said}" if said else ""))
        if not last:
            lines.append(f"{_STEP}default: ;")
        return [*lines, "endcase"]

    def _words(self, switch: Switch) -> dict[str, str]:
        """Names of an enumeration's values by their bits."""
        if len(switch.on) != 1 or not switch.on[0].wire:
            return {}
        attributes = self._nets.module.wires[switch.on[0].wire].attributes
        mark = "\\enum_value_"
        return {
            key.removeprefix(mark): value.strip('"').lstrip("\\")
            for key, value in attributes.items()
            if key.startswith(mark)
        }

    # Memories ------------------------------------------------------------------------------------

    def memory(self, part: MemoryPorts) -> list[str]:
        """Ports of a memory, and what it holds at first."""
        name, words = self._names[part.memory.name], self._expressions
        lines = self._initial(part, name)
        for cell in (*part.reads, *part.writes):
            if cell.number("CLK_ENABLE") and not cell.number("CLK_POLARITY"):
                raise NotImplementedError(f"memory {name} has a port at the falling edge")
        for cell in part.writes:
            place = self._place(cell, name)
            inner: list[str] = []
            for bit, first, last in _runs(each(cell.ports["EN"])):
                some = "" if last - first + 1 == part.memory.width else f"[{last}:{first}]"
                data = words.text(part_of(cell.ports["DATA"], first, last - first + 1))
                inner += _when(words.text(bit), f"{place}{some} <= {data};")
            lines += _under(f"always @(posedge {words.text(cell.ports['CLK'])})", inner)
        for cell in part.reads:
            lines += self._read(cell, name, part)
        return lines

    def _place(self, cell: Cell, name: str) -> str:
        """The word that a port reads or writes; of a memory of one word its address has no bits."""
        address = cell.ports["ADDR"]
        return f"{name}[{self._expressions.text(address) if address else 0}]"

    def _read(self, cell: Cell, name: str, part: MemoryPorts) -> list[str]:
        words = self._expressions
        target = words.target(cell.ports["DATA"])
        place = self._place(cell, name)
        if "1" in cell.parameters["TRANSPARENCY_MASK"].split("'")[1]:
            raise NotImplementedError(f"memory {name} reads what is written at the same time")
        if not cell.number("CLK_ENABLE"):
            return [f"assign {target} = {place};"]
        inner = _when(words.text(cell.ports["EN"]), f"{target} <= {place};")
        return _under(f"always @(posedge {words.text(cell.ports['CLK'])})", inner)

    def _initial(self, part: MemoryPorts, name: str) -> list[str]:
        width, size = part.memory.width, part.memory.size
        if not part.initial:
            return []
        values = [part.initial[i : i + width] for i in range(0, width * size, width)][::-1]
        if len(set(values)) > 1:
            return [
                "initial begin",
                *(f"{_STEP}{name}[{i}] = {number(value)};" for i, value in enumerate(values)),
                "end",
            ]
        index = self._names.new(f"{name}_index")
        bits = f"[{(size - 1).bit_length() - 1}:0]" if size > 1 else "[0]"
        loop = f"for ({index} = 0; {index} < {size}; {index} = {index} + 1)"
        return [
            f"integer {index};",
            "initial begin",
            f"{_STEP}{loop}",
            f"{_STEP * 2}{name}[{index}{bits}] = {number(values[0])};",
            "end",
        ]


def _cases(switch: Switch) -> list[tuple[list[str], Body]]:
    """Cases without those at the end that do nothing, whose conditions need not be said."""
    cases = list(switch.cases)
    while cases and not any(True for _ in assigned_in(cases[-1][1])):
        cases.pop()
    return cases


def chosen(process: Process) -> tuple[Signal, Signal, Signal] | None:
    """Condition and two values, where a process only chooses one: an ``assign`` says so."""
    match process.body:
        case [Assign((_,) as first, no), Switch((_,) as on, [(["1"], [Assign(second, yes)])])]:
            return (on, yes, no) if first == second else None
    return None


def _keeps(body: Body) -> bool:
    """Whether a register keeps its value by the first statement, which need not be said.

    It must where some bits are never assigned: they would have no driver.
    """
    match body:
        case [Assign(target, value), *rest] if target == value:
            assigned = {bit for other in assigned_in(rest) for bit in each(other)}
            return assigned.issuperset(each(target))
    return False


def _resets_first(body: Body, keeps: bool) -> Body:
    """A decision that replaces all before it, said first: its other case is all the rest.

    With ``keeps`` the first statement is left out.
    """
    match body:
        case [Assign(whole, _), *_, Switch(on, [(["1"], [Assign(target, _)] as inner)])]:
            if target == whole:
                return [Switch(on, [(["1"], inner), ([], _resets_first(body[:-1], keeps))])]
    return body[1:] if keeps else body


def _runs(bits: list[Signal]) -> list[tuple[Signal, int, int]]:
    """Equal neighbours: the bit, and the first and last place."""
    found: list[tuple[Signal, int, int]] = []
    for place, bit in enumerate(bits):
        if found and found[-1][0] == bit:
            found[-1] = (bit, found[-1][1], place)
        else:
            found.append((bit, place, place))
    return found


def _when(condition: str, statement: str) -> list[str]:
    return [statement] if condition == "1'b1" else [f"if ({condition})", f"{_STEP}{statement}"]


def _label(pattern: str) -> str:
    return f"{len(pattern)}'b{pattern.replace('-', '?')}" if "-" in pattern else number(pattern)


def _bracketed(condition: str) -> str:
    return condition if condition.replace("_", "a").isalnum() else f"({condition})"


def _is_one(lines: list[str]) -> bool:
    """Whether lines are one statement, an ``if`` with all that belongs to it."""
    return all(line.startswith((_STEP, "end", "else")) for line in lines[1:])


def _under(head: str, lines: list[str], comment: str = "") -> list[str]:
    """Lines that belong to a head."""
    said = f" {comment}" if comment else ""
    plain = len(lines) == 1 and not lines[0].startswith(("if ", "case"))  # an else would stray
    if plain and len(head) + len(lines[0]) < 96:
        return [f"{head} {lines[0]}{said}"]
    if not lines:
        return [f"{head} begin", "end"]
    return [f"{head} begin{said}", *indented(lines), "end"]


def _followed(lines: list[str], more: list[str]) -> list[str]:
    """What follows an ``if``, its ``end`` and the ``else`` on one line."""
    if lines and lines[-1] == "end" and more[0].startswith("else"):
        return [*lines[:-1], f"end {more[0]}", *more[1:]]
    return [*lines, *more]
