"""What compiled simulations share is taken, and what it cannot fit is not."""

import pytest

from lutcore import cache
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


@pytest.mark.parametrize("options", [{"optimised": True}, {"optimised": False, "waves": True}])
def test_headers_of_other_flags_are_not_lent(options):
    assert "precompiled.h" not in log("other_one", **options)
