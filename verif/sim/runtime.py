"""What all compiled simulations share: Verilator's own runtime, compiled once, and its headers.

Both are most of the time that a small design takes to compile.
"""

import os
import shutil
import time
from pathlib import Path

from lutcore import builds, tools

#: Objects of Verilator's own runtime; cocotb's verilator.o knows the size of the design.
_OBJECTS = "verilated*.o"
_HEADER = "precompiled.h"
_INCLUDED = "".join(
    f'#include "{name}.h"\n'
    for name in ("verilated", "verilated_vpi", "verilated_syms", "verilated_sym_props")
)
#: What makefiles of Verilator define where no waves are written.
_DEFINED = ("VERILATOR=1", "VM_SC=0", "VM_TIMING=0", "VM_TRACE=0")
_DEFINED += tuple(f"VM_TRACE_{kind}=0" for kind in ("FST", "VCD", "SAIF"))


def lend_objects(folder: Path, name: str) -> None:
    """Put the runtime's objects into a folder where make is to find them, if they are there."""
    if compiled := builds.whole("runtime", name):
        later = time.time() + 600  # make compares it with a makefile that is still to be written
        for part in compiled.glob(_OBJECTS):
            os.utime(shutil.copy(part, folder), (later, later))


def keep_objects(folder: Path, name: str) -> None:
    """Keep the runtime's objects that a build in ``folder`` has made."""

    def make(kept: Path) -> None:
        for part in folder.glob(_OBJECTS):
            shutil.copy2(part, kept)

    builds.built("runtime", name, make)


def lend_headers(folder: Path, root: str, standard: str, name: str, coverage: bool = False) -> str:
    """The compiler's flags that take precompiled headers, in a build without optimisation.

    Parameters
    ----------
    folder : Path
        Where the build runs; it gets a link to the headers, whose own path may have blanks.
    root : str
        Verilator's folder.
    standard : str
        The language's standard, as a flag.
    name : str
        Digest of all that the runtime depends on, ``coverage`` too.
    coverage : bool
        Whether the build counts coverage.
    """

    def make(kept: Path) -> None:
        header = kept / _HEADER
        header.write_text(_INCLUDED)
        flags = [*(f"-I{root}/include{part}" for part in ("", "/vltstd")), "-O0", standard]
        flags += [f"-D{name}" for name in (*_DEFINED, f"VM_COVERAGE={coverage:d}")]
        tools.run("g++", ["g++", *flags, "-x", "c++-header", str(header), "-o", f"{header}.gch"])

    made = builds.built("headers", name, make)
    for part in made.glob(f"{_HEADER}*"):
        (folder / part.name).symlink_to(part)
    return f"-include {_HEADER} -Winvalid-pch"
