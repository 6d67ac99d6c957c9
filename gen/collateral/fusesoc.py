"""Designs as cores of FuseSoC (CAPI2), with targets that the tools of ``lutcore env`` run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lutcore.gen.emit import interfaces
from lutcore.gen.emit.lint import VERILATOR_OPTIONS

#: Folder for ``fusesoc library add`` and ``FUSESOC_CORES``: it has the core of the generator.
LIBRARY = Path(__file__).parent
#: Role of a file -> its set of files, and its type as Edalize calls it.
ROLES = {
    "rtl": ("rtl", "verilogSource"),
    "systemverilog": ("systemverilog", "systemVerilogSource"),
    "testbench": ("testbench", "verilogSource"),
    "vectors": ("testbench", "user"),
    "sdc": ("constraints", "SDC"),
    "xdc": ("constraints", "xdc"),
    "yosys": ("synthesis", "user"),
}
#: What the top of a system does not want from a part of it.
_IF_ALONE = "is_toplevel? (constraints)"


def fusesoc_core(
    name: str,
    description: str,
    version: str,
    files: Mapping[str, str],
    comment: str = "",
    vlnv: str | None = None,
) -> str:
    """Text of ``<name>.core``.

    Its targets are ``default``, of which other cores take the sources, ``lint`` and ``sim`` by
    Verilator, and ``synth``: checked by Verilator, then synthesised by the script of Yosys among
    the files, whose log is ``yosys.log``. Edalize's own flows of Yosys speak Tcl, which the Yosys
    of YoWASP does not.

    Parameters
    ----------
    name : str
        Of the core and its top module. ``<name>_tb`` is its bench, a module without ports.
    description, version : str
    files : mapping of str to str
        Names -> roles, as :data:`ROLES` has them, in the order in which tools read them. Vectors
        are copied to where the bench runs. Without a bench there is no target ``sim``, without a
        script of Yosys no ``synth``.
    comment : str
        Whole lines, each behind a ``#``.
    vlnv : str, optional
        Vendor, library, name and version of the core by colons; default those of IP-XACT.
    """
    sets: dict[str, dict[str, Any]] = {}
    for file, role in files.items():
        group, kind = ROLES[role]
        copied = {"copyto": file} if role in ("vectors", "yosys") else {}
        sets.setdefault(group, {"files": []})["files"].append({file: {"file_type": kind} | copied})
    commands = {}
    for script in [file for file, role in files.items() if role == "yosys"]:
        # Yosys of YoWASP takes the first folder of a path for one of the root: it reads copies that
        # are in no folder.
        sets["synthesis"]["files"] += [
            {file: {"file_type": ROLES["rtl"][1], "copyto": file}}
            for file, role in files.items()
            if role == "rtl"
        ]
        commands["scripts"] = {"yosys": {"cmd": ["yosys", "-q", "-l", "yosys.log", "-s", script]}}
    core = {
        "name": vlnv or f"{interfaces.VENDOR}:{interfaces.LIBRARY}:{name}:{version}",
        "description": description,
        "filesets": sets,
        **commands,
        "targets": _targets(name, set(sets)),
    }
    return "\n".join(["CAPI=2:", *comment.splitlines(), *_lines(core), ""])


def _targets(name: str, sets: set[str]) -> dict[str, Any]:
    design = [group for group in ("rtl", "systemverilog") if group in sets]
    alone = [_IF_ALONE] if "constraints" in sets else []
    lint = {
        "flow": "lint",
        "flow_options": {
            "tool": "verilator",
            "verilator_options": list(VERILATOR_OPTIONS),
        },
        "toplevel": name,
    }
    targets = {
        "default": {"filesets": [*design, *alone], "toplevel": name},
        "lint": {"description": "Verilator -Wall", "filesets": design, **lint},
        "sim": {
            "description": "the bench, by Verilator",
            "filesets": [*design, "testbench"],
            "flow": "sim",
            "flow_options": {
                "tool": "verilator",
                "mode": "binary",
                "verilator_options": ["-Wno-fatal", "-j 0"],
            },
            "toplevel": f"{name}_tb",
        },
        "synth": {
            "description": "Verilator's check, then Yosys, to generic gates and memories",
            "filesets": ["synthesis", *alone],
            **lint,
            "hooks": {"post_build": ["yosys"]},
        },
    }
    wants = {"sim": "testbench", "synth": "synthesis"}
    return {key: it for key, it in targets.items() if wants.get(key, "rtl") in sets}


def _lines(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """YAML, a line for each innermost mapping or list: JSON is YAML, too."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif key == "files":
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_inline(entry)}" for entry in value)
        else:
            yield f"{indent}{key}: {_inline(value)}"


def _inline(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
