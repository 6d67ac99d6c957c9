"""Bounded proofs of the bus interfaces, and that a broken property is found."""

import pytest

from lutcore.verif.formal import engines as formal_engines
from lutcore.verif.formal import properties as formal

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", formal.PROOFS)
def test_properties_hold(name):
    make, depth = formal.PROOFS[name]
    assert formal.check(make(), depth)


def test_a_broken_property_is_found(monkeypatch):
    """Bursts do cross 2 KiB."""
    monkeypatch.setattr(formal, "PAGE_BITS", 11)
    make, depth = formal.PROOFS["bursts"]
    assert not formal.check(make(), depth)


@pytest.mark.parametrize(
    ("name", "fact", "value"),
    [("load", "PAGE_BITS", 11), ("store", "OUTPUTS", ("fp16", "bf16", "fp32", "int32"))],
)
def test_a_broken_property_of_an_engine_is_found(monkeypatch, name, fact, value):
    """Bursts do cross 2 KiB; a store of other types has other strobes."""
    monkeypatch.setattr(formal_engines, fact, value)
    make, depth = formal.PROOFS[name]
    assert not formal.check(make(), depth)
