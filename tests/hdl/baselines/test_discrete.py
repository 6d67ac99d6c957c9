"""Four products and an addend by adders, each sum rounded, against fractions."""

import pytest
from plain_floats import add, decode, encode, multiply
from plain_products import cases

from lutcore.hdl.baselines.discrete import DotProduct4
from lutcore.hdl.config.formats import FP16, FP32
from lutcore.verif.bench.contexts import evaluate


def reference(a, b, c):
    """``((a0 b0 + a1 b1) + (a2 b2 + a3 b3)) + c``, each addition rounded to FP32."""
    rounded = lambda x, y: decode(encode(add(x, y), FP32), FP32)  # noqa: E731
    p = [multiply(decode(x, FP16), decode(y, FP16)) for x, y in zip(a, b, strict=True)]
    total = rounded(rounded(p[0], p[1]), rounded(p[2], p[3]))
    return encode(rounded(total, decode(c, FP32)), FP32)


@pytest.mark.parametrize(("pipeline", "booth"), [(4, False), (11, True)])
def test_results(pipeline, booth):
    """Operands stay as long as the pipeline is deep, so ``c`` may come with them."""
    dut = DotProduct4(pipeline, booth)
    found = evaluate(dut, [dut.a, dut.b, dut.c], [dut.result], cases(), pipeline)
    assert [result for (result,) in found] == [reference(*case) for case in cases()]
