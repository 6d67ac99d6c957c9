"""What compiled simulations share: Verilator's own runtime, compiled once, and its headers.

Both are most of the time that a small design takes to compile.
"""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from lutcore import builds, cache, tools

#: Objects of Verilator's own runtime; cocotb's verilator.o knows the size of the design.
_OBJECTS = "verilated*.o"
#: Those that are the same with waves, with coverage, and without.
_COMMON = {"verilated", "verilated_dpi", "verilated_threads", "verilated_vpi"}
_HEADER = "precompiled.h"
#: Headers that cocotb's benches include.
COCOTB_HEADERS = ("verilated.h", "verilated_vpi.h", "verilated_syms.h", "verilated_sym_props.h")
#: What makefiles of Verilator define where no waves are written.
MAKE_DEFINITIONS = ("-DVERILATOR=1", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_TRACE=0")
MAKE_DEFINITIONS += tuple(f"-DVM_TRACE_{kind}=0" for kind in ("FST", "VCD", "SAIF"))


def lend_objects(folder: Path, *names: str) -> None:
    """Put the runtime's objects into a folder where make is to find them, if they are there."""
    later = time.time() + 600  # make compares them with a makefile that is still to be written
    for compiled in filter(None, (builds.whole("runtime", name) for name in names)):
        for part in compiled.glob("*.o"):
            os.utime(shutil.copy(part, folder), (later, later))


def keep_objects(folder: Path, name: str, kind: str) -> None:
    """Keep the runtime's objects that a build in ``folder`` has made.

    Parameters
    ----------
    name, kind : str
        Those that all builds have, and those that builds of one kind have besides.
    """
    made = set(folder.glob(_OBJECTS))
    common = {part for part in made if part.stem in _COMMON}
    for place, parts in ((name, common), (kind, made - common)):

        def make(kept: Path, parts: set[Path] = parts) -> None:
            for part in parts:
                shutil.copy2(part, kept)

        if parts:
            builds.built("runtime", place, make)


def lend_headers(
    folder: Path, root: str, flags: Sequence[str], headers: Sequence[str], versions: Sequence[str]
) -> list[str]:
    """The compiler's flags that take precompiled headers, in a build with these flags.

    Parameters
    ----------
    folder : Path
        Where the build runs; it gets a link to the headers, whose own path may have blanks.
    root : str
        Verilator's folder.
    headers : sequence of str
        Names of headers, the system's too.
    versions : sequence of str
        What they depend on otherwise.
    """

    def make(kept: Path) -> None:
        header = kept / _HEADER
        header.write_text("".join(f"#include <{name}>\n" for name in headers))
        command = ["g++", *flags, *includes(root), "-x", "c++-header", str(header)]
        tools.run("g++", [*command, "-o", f"{header}.gch"])

    made = builds.built("headers", cache.key(__name__, root, *flags, *headers, *versions), make)
    for part in made.glob(f"{_HEADER}*"):
        (folder / part.name).symlink_to(part)
    return ["-include", _HEADER, "-Winvalid-pch"]


def includes(root: str) -> list[str]:
    """Flags that name the folders of Verilator's headers."""
    return [f"-I{root}/include", f"-I{root}/include/vltstd"]
