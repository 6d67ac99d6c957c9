"""Assertions of a design as SystemVerilog: immediate ones in checkers, concurrent ones to bind.

Both say what :mod:`lutcore.gen.collateral.rules` lists. Checkers are modules of plain Verilog with
immediate assertions, which Yosys and every simulator read; ``<design>_bind.sv`` has the same as
properties, and binds them.
"""

from collections.abc import Iterable

from lutcore.gen.collateral.rules import COUNTER_BITS, Checked, Counter, Rule, checked
from lutcore.gen.emit.interfaces import ports
from lutcore.gen.emit.rtl import design_name, header
from lutcore.hdl.config.core import CoreConfig


def assertions(config: CoreConfig, top: str) -> dict[str, str]:
    """Names and texts of a design's assertions: ``_checker.sv``, ``_bind.sv``, ``_formal.sv``."""
    name = design_name(config, top)
    all_ = checked(config, top)
    texts = {
        f"{name}_checker.sv": "\n".join(_immediate(of) for of in all_),
        f"{name}_bind.sv": "\n".join(_concurrent(of) + _bound(of) for of in all_),
        f"{name}_formal.sv": _surrounded(config, top, all_[0]),
    }
    return {file: header(config, top) + "\n" + text for file, text in texts.items()}


def _named(of: Checked, kind: str) -> str:
    """Name of a module of assertions: of ports, or of signals within."""
    return f"{of.module}_{'inside_' if of.inside else ''}{kind}"


def _declared(of: Checked) -> list[str]:
    """Ports of a module of assertions, and its unused bits."""
    ports = ",\n".join(f"  input wire {_size(width)}{name}" for name, width in of.read.items())
    return [ports, ");", *_unread(of.in_parts)]


def _unread(names: Iterable[str]) -> list[str]:
    """Signals that nothing else reads, for linters."""
    listed = ", ".join(names)
    return [f"  wire unused = &{{1'b0, {listed}}};"] if listed else []


def _initial(names: Iterable[str]) -> list[str]:
    """Registers that are 0 until their first clock edge."""
    return ["  initial begin", *(f"    {name} = 0;" for name in names), "  end"]


def _counters(of: Checked) -> list[str]:
    """Counters, and how they count."""
    if not of.counters:
        return []
    lines = []
    for counter in of.counters:
        lines += [f"  // {counter.text}", f"  reg [{COUNTER_BITS - 1}:0] {counter.name};"]
    lines += _initial(counter.name for counter in of.counters)
    cleared = [f"      {counter.name} <= 0;" for counter in of.counters]
    counted = [line for counter in of.counters for line in _counted(counter)]
    lines += [f"  always @(posedge {of.clock})", f"    if ({of.reset}) begin", *cleared]
    return [*lines, "    end else begin", *counted, "    end", ""]


def _counted(counter: Counter) -> list[str]:
    name, one = counter.name, f"{COUNTER_BITS}'d1"
    both = f"{{{counter.begins}, {counter.ends}}}"
    return [
        f"      case ({both})",
        f"        2'b10: {name} <= {name} + {one};",
        f"        2'b01: {name} <= {name} - {one};",
        f"        default: {name} <= {name};",
        "      endcase",
    ]


def _immediate(of: Checked) -> str:
    """A checker: what was so a cycle ago stands in registers."""
    befores = list(dict.fromkeys(rule.before for rule in of.rules if rule.before))
    same = list(dict.fromkeys(rule.same for rule in of.rules if rule.same))
    was = {before: f"before_{place}" for place, before in enumerate(befores)}
    lines = [f"module {checker_name(of)} (", *_declared(of), *_counters(of)]
    if befores:
        lines.append("  // What was so in the cycle before.")
        lines += [f"  reg {_size(of.signals[signal])}was_{signal};" for signal in same]
        lines += [f"  reg {name};" for name in was.values()]
        lines += _initial((*(f"was_{signal}" for signal in same), *was.values()))
        lines.append(f"  always @(posedge {of.clock}) begin")
        lines += [f"    was_{signal} <= {signal};" for signal in same]
        for before, name in was.items():
            lines.append(f"    {name} <= {_when_alive(of, before)};")
        lines += ["  end", ""]
    lines += [f"  always @(posedge {of.clock})", f"    if ({of.alive}) begin"]
    for rule in of.rules:
        holds = _holds(rule, f"{rule.same} == was_{rule.same}")
        condition = f"if ({was[rule.before]}) " if rule.before else ""
        if rule.kind == "cover" and rule.before:
            condition, holds = "", f"{was[rule.before]} && {holds}"
        lines += [f"      // {rule.text}", f"      {condition}{rule.name}: {rule.kind} ({holds});"]
    return "\n".join([*lines, "    end", f"endmodule : {checker_name(of)}", ""])


def _when_alive(of: Checked, before: str) -> str:
    return before if before == of.reset else f"{of.alive} && {before}"


def _holds(rule: Rule, same: str) -> str:
    return " && ".join(part for part in (rule.holds, same if rule.same else "") if part)


def _concurrent(of: Checked) -> str:
    """The same rules as properties."""
    lines = [f"module {_named(of, 'sva')} (", *_declared(of), *_counters(of)]
    for rule in of.rules:
        holds = _holds(rule, f"$stable({rule.same})")
        alive = f" disable iff ({of.reset})"
        if rule.before == of.reset:  # as in the checker, of cycles that are in no reset themselves
            alive, holds = "", f"{of.reset} || {holds}"
        if rule.kind == "cover":
            shown = f"$past({_when_alive(of, rule.before)}) && {holds}" if rule.before else holds
        else:
            shown = f"{rule.before} |=> {holds}" if rule.before else holds
        end = "" if rule.kind == "cover" else f'\n    else $error("{rule.text}")'
        head = f"  {rule.name}: {rule.kind} property (@(posedge {of.clock}){alive}"
        lines += [f"  // {rule.text}", f"{head}\n    {shown}){end};"]
    return "\n".join([*lines, f"endmodule : {_named(of, 'sva')}", ""])


def _bound(of: Checked) -> str:
    instance = "assertions_inside" if of.inside else "assertions"
    return f"bind {of.module} {_named(of, 'sva')} {instance} (.*);\n"


def reset_first(of: Checked) -> str:
    """The assumption that a module starts with a reset."""
    lines = [
        "  // The first cycle is one in reset.",
        "  reg started;",
        "  initial started = 0;",
        f"  always @(posedge {of.clock}) started <= 1;",
        f"  always @* if (!started) first_in_reset: assume ({of.reset});",
    ]
    return "\n".join(lines)


def checker_name(of: Checked) -> str:
    """Module of a checker."""
    return _named(of, "checker")


def instances(all_: Iterable[Checked]) -> list[tuple[str, str]]:
    """Modules within, and the instance of its checker for each: where nothing can be bound."""
    return [
        (of.module, f"  {checker_name(of)} watching_inside (\n{_pins(of.read)}\n  );\n")
        for of in all_
        if of.inside
    ]


def _surrounded(config: CoreConfig, top: str, of: Checked) -> str:
    """Design and checker with free inputs, for solvers."""
    described = ports(config, top)
    inputs, outputs = (
        [port for port in described if port["direction"] == kind] for kind in ("input", "output")
    )
    pins = _pins(port["name"] for port in described)
    lines = [
        f"module {of.module}_formal (",
        ",\n".join(f"  input wire {_size(port['width'])}{port['name']}" for port in inputs),
        ");",
        *(f"  wire {_size(port['width'])}{port['name']};" for port in outputs),
        *(f"  {of.module} inner (", pins, "  );"),
        *(f"  {checker_name(of)} watching (", _pins(of.read), "  );"),
        *_unread(port["name"] for port in outputs if port["name"] not in of.read),
        reset_first(of),
    ]
    return "\n".join([*lines, f"endmodule : {of.module}_formal", ""])


def _pins(names: Iterable[str]) -> str:
    return ",\n".join(f"    .{name}({name})" for name in names)


def _size(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
