"""What compiled simulations share is taken, and what it cannot fit is not."""

import pytest

from lutcore import cache, tools
from lutcore.verif.sim.native import build_native
from lutcore.verif.sim.simulator import build

pytestmark = pytest.mark.slow

TEXT = """module {name}(input clk, output reg [7:0] q);
  always @(posedge clk) q <= q + 1;
endmodule
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    """One cache for this file; its path has a blank, which make cannot take."""
    folder = tmp_path_factory.getbasetemp() / "runtime cache"
    monkeypatch.setenv("LUTCORE_CACHE", str(folder))


def log(name, **options):
    built = build(TEXT.format(name=name), name, **options)
    return (built.folder / "build.log").read_text()


def test_the_runtime_and_its_headers_are_compiled_once():
    first, second = log("first_one", optimised=False), log("second_one", optimised=False)
    assert "-o verilated.o" in first and "-o verilated.o" not in second
    assert len(list((cache.folder() / "headers").glob("*/*.gch"))) == 1
    assert "-include precompiled.h" in second
    assert "not used because" not in second  # as the compiler says of headers of other flags
    waves = log("third_one", optimised=False, waves=True)
    assert "-o verilated_vpi.o" in first and "-o verilated_vpi.o" not in waves


def test_programs_of_our_own_take_headers_too(tmp_path, monkeypatch):
    harness = tmp_path / "harness.cpp"
    harness.write_text('#include "Vour_own.h"\nint main() { return Vour_own().q; }\n')
    said = []
    real = tools.run

    def told(*given, **more):
        said.append(real(*given, **more))
        return said[-1]

    monkeypatch.setattr(tools, "run", told)
    build_native(TEXT.format(name="our_own"), "our_own", harness)
    assert len(list((cache.folder() / "headers").glob("*/*.gch"))) == 2
    assert said and "precompiled" not in "".join(output.err for output in said)


def test_headers_of_other_flags_are_not_lent():
    assert "precompiled.h" not in log("other_one", optimised=True)
