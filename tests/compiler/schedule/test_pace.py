"""Planning and counting cycles loads no hardware description."""

import subprocess
import sys


def test_compiling_loads_no_amaranth():
    script = (
        "import sys, lutcore.compiler.lowering.network, lutcore.compiler.inspection\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "amaranth" not in done.stdout.split()
    assert "lutcore.hdl.isa.pace" in done.stdout.split()
