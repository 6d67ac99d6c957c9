"""The adder of floats against fractions."""

import plain_floats as plain
import pytest

from lutcore.hdl.config.formats import FORMATS
from lutcore.hdl.floats.add import FloatAdder
from lutcore.verif.bench.contexts import evaluate


def reference(a, b, f):
    return plain.encode(plain.add(plain.decode(a, f), plain.decode(b, f)), f)


@pytest.mark.parametrize("pipeline", [0, 4])
@pytest.mark.parametrize("name", FORMATS)
def test_sums(name, pipeline):
    f = FORMATS[name]
    adder = FloatAdder(f, pipeline)
    found = evaluate(adder, [adder.a, adder.b], [adder.result], plain.pairs(f), cycles=pipeline)
    assert found == [(reference(a, b, f),) for a, b in plain.pairs(f)]
