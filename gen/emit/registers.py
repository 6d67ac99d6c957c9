"""The register table as a C header, a Python module, SystemRDL and Markdown."""

import inspect
import re
import textwrap

from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.registers import COUNTERS, READING, REGISTERS, Register


def _registers():
    return [(name, offset, register) for name, (offset, register) in REGISTERS.items()]


def c_header() -> str:
    """Offsets, field positions and causes in C."""
    told = textwrap.fill(READING, 92, initial_indent="/* ", subsequent_indent="   ") + " */"
    lines = ["#ifndef LUTCORE_REGISTERS_H", "#define LUTCORE_REGISTERS_H", "", told, ""]
    for name, offset, register in _registers():
        upper = f"LUTCORE_{name.upper()}"
        lines.append(f"#define {upper} 0x{offset:02X} /* {register.text} */")
        for field, low, bits, text in register.fields:
            mask = ((1 << bits) - 1) << low
            lines.append(f"#define {upper}_{field.upper()} 0x{mask:X}u /* {text} */")
    lines += ["", f"#define LUTCORE_COUNTERS {len(COUNTERS)}"]
    lines += [f"#define LUTCORE_CAUSE_{cause.name} {cause.value}" for cause in Cause]
    return "\n".join([*lines, "", "#endif", ""])


def python_module() -> str:
    """Offsets and field masks as Python constants."""
    told = textwrap.fill(READING, 92, initial_indent="# ", subsequent_indent="# ")
    lines = ['"""Registers of the core; generated, do not edit."""', "", told, ""]
    for name, offset, register in _registers():
        lines.append(f"{name.upper()} = 0x{offset:02X}  # {register.text}")
        for field, low, bits, _ in register.fields:
            lines.append(f"{name.upper()}_{field.upper()} = 0x{((1 << bits) - 1) << low:X}")
    return "\n".join([*lines, ""])


#: Access -> SystemRDL properties.
_ACCESS = {
    "ro": "sw = r; hw = w;",
    "rw": "sw = rw; hw = r;",
    "wo": "sw = w; hw = r;",
    "w1c": "sw = rw; onwrite = woclr; hw = w;",
}


def _rdl_fields(register: Register) -> list[str]:
    fields = register.fields or (("value", 0, register.bits, register.text),)
    return [
        f'        field {{ {_ACCESS[register.access]} desc = "{text}"; }} '
        f"{name}[{low + bits - 1}:{low}];"
        for name, low, bits, text in fields
    ]


def system_rdl(name: str) -> str:
    """SystemRDL 2.0 address map of a design; wide values are registers of 64 bits."""
    lines = [f"addrmap {name} {{", f'    name = "{name} registers";', ""]
    for register_name, offset, register in _registers():
        lines += [
            "    reg {",
            f'        desc = "{register.text}";',
            f"        regwidth = {register.size}; accesswidth = 32;",
            *_rdl_fields(register),
            f"    }} {register_name} @ 0x{offset:02X};",
        ]
    return "\n".join([*lines, "};", ""])


def register_rows() -> list[tuple[str, str, str, str, str]]:
    """Offset, name, bits, access and meaning of each register, and below it of its fields."""
    rows = []
    for name, offset, register in _registers():
        size = str(register.size)
        rows.append((f"0x{offset:02X}", f"`{name}`", size, register.access, register.text))
        rows += [
            ("", f"`{field}`", f"{low + width - 1}..{low}", "", text)
            for field, low, width, text in register.fields
        ]
    return rows


#: Meaning of a register -> the same with Markdown, for the manual.
_MARKED = {"LUTC": "`LUTC`", "see causes": "see [causes](isa.md)"}


def register_table() -> str:
    """Markdown table of all registers and their fields, for the manual."""
    lines = ["| offset | register | bits | access | meaning |\n|---|---|---|---|---|\n"]
    for *cells, text in register_rows():
        told = "".join(f" {cell} |" if cell else " |" for cell in cells)
        lines.append(f"|{told} {_MARKED.get(text, text)} |\n")
    return "".join([*lines, f"\n{textwrap.fill(READING, 100)}\n"])


def cause_rows() -> list[tuple[str, str, str]]:
    """Number, name and meaning of each cause; the meaning stands beside it in the source."""
    told = dict(re.findall(r"(\w+) = \d+  # (.+)", inspect.getsource(Cause)))
    return [(str(cause.value), f"`{cause.name}`", told[cause.name]) for cause in Cause]
