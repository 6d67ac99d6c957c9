"""Simulations driven from C++: model and harness in one program, cached by content."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lutcore import builds, cache, tools
from lutcore.verif.sim.runtime import includes, lend_headers
from lutcore.verif.sim.simulator import (
    APART,
    COVERAGE_FLAGS,
    is_large,
    tool_versions,
    verilator_environment,
)

_VERILATOR_FLAGS = ("--cc", "-O3", "-Wno-fatal", "--no-public-flat-rw")
_STANDARD = "-std=c++20"
#: Characters of a flat design that takes a compiler too long to optimise.
_LARGE_NETLIST = 8_000_000
#: What designs and harnesses include.
_HEADERS = ("verilated.h", "algorithm", "deque", "memory", "string", "vector")
#: Options for what is not reset to hold anything, by a seed; and for designs with mutants, whose
#: cases may match twice.
ANYTHING = ("--x-assign", "unique", "--x-initial", "unique")
MUTATED = ("--no-assert-case",)
#: Name and text of the header with pseudo-random numbers, for harnesses that draw some.
RANDOM = {"lutcore_random.h": Path(__file__).with_name("lutcore_random.h").read_text()}


def build_native(
    verilog: str,
    top: str,
    harness: Path,
    definitions: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    coverage: bool = False,
) -> Path:
    """Compile a design with its harness, or find it compiled; returns the program.

    Parameters
    ----------
    verilog : str
        The design, with the module ``top``; the harness includes ``V<top>.h``.
    definitions : sequence of str
        ``NAME=value`` macros of the harness.
    headers : mapping
        Name -> text of files that the harness includes.
    options : sequence of str
        Further options of Verilator.
    coverage : bool
        Count how often lines run and bits toggle; the harness, which sees ``VM_COVERAGE`` then, is
        to write the file.

    Raises
    ------
    InputError
        Verilator or the C++ compiler is missing.
    ToolError
        The build failed.
    """
    environment = os.environ | verilator_environment()
    tools.need("g++", "Verilator needs it: apt-get install g++")
    headers = dict(headers or {})
    # -O1 builds sooner than -O3, and runs no slower.
    compiler = [_STANDARD, "-O0" if len(verilog) > _LARGE_NETLIST else "-O1", "-pthread"]
    if coverage:
        options = (*options, *COVERAGE_FLAGS, *(APART if is_large(verilog) else ()))
        compiler.append("-DVM_COVERAGE=1")
    flow = [*_VERILATOR_FLAGS, *options, *compiler, *tool_versions()]
    recipe = [verilog, top, harness.read_text(), *definitions, *headers.values(), *flow]

    def make(folder: Path) -> None:
        for name, text in (headers | {f"{top}.v": verilog}).items():
            (folder / name).write_text(text)
        root = _translate(folder, top, options, environment)
        # One translation unit: most of the time goes into reading Verilator's headers.
        parts = [*sorted(folder.glob(f"V{top}*.cpp")), harness]
        everything = folder / "everything.cpp"
        everything.write_text("".join(f'#include "{part}"\n' for part in parts))
        macros = [f"-D{definition}" for definition in definitions]
        lent = lend_headers(folder, root, compiler, _HEADERS, tool_versions())
        command = ["g++", *compiler, *lent, *macros, f"-I{folder}", *includes(root)]
        command += ["-o", str(folder / top), str(everything), *_runtime(root, coverage)]
        tools.run("g++", command, folder=folder, environment=environment)
        builds.keep_programs(folder)

    return builds.built("native", cache.key(__name__, *recipe), make) / top


def _translate(
    folder: Path, top: str, options: Sequence[str], environment: Mapping[str, str]
) -> str:
    """Have Verilator write C++ beside the design; returns Verilator's own folder."""
    flags = [*_VERILATOR_FLAGS, *options, "--prefix", f"V{top}", "--top-module", top]
    command = ["verilator", *flags, "--Mdir", str(folder), str(folder / f"{top}.v")]
    tools.run("Verilator", command, environment=environment)
    ask = ["verilator", "--getenv", "VERILATOR_ROOT"]
    return tools.run("Verilator", ask, environment=environment).out.strip()


def _runtime(root: str, coverage: bool) -> list[str]:
    """Object files of Verilator's own runtime, compiled once for all designs."""
    parts = ("verilated", "verilated_threads", *(["verilated_cov"] if coverage else []))

    recipe = (root, *parts, *tool_versions())

    def make(folder: Path) -> None:
        for part in parts:
            source = f"{root}/include/{part}.cpp"
            command = ["g++", _STANDARD, "-O1", *includes(root), "-c", source]
            tools.run("g++", [*command, "-o", str(folder / f"{part}.o")])

    folder = builds.built("native-runtime", cache.key(__name__, *recipe), make)
    return [str(folder / f"{part}.o") for part in parts]
