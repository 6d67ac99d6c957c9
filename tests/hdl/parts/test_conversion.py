"""Conversion: without garbage collection, which is as it was afterwards, whatever happens."""

import gc

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.parts.conversion import component_text, uncollected


class Inverter(wiring.Component):
    """``~a``; remembers whether garbage was collected while it was elaborated."""

    def __init__(self):
        super().__init__({"a": In(8), "result": Out(8)})

    def elaborate(self, platform):
        self.collected = gc.isenabled()
        m = Module()
        m.d.comb += self.result.eq(~self.a)
        return m


@pytest.fixture(params=[True, False])
def before(request):
    was = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if was else gc.disable)()


def test_paused_within_and_as_before_afterwards(before):
    with uncollected():
        assert not gc.isenabled()
        with uncollected():
            pass
        assert not gc.isenabled()  # the inner one leaves what the outer one wants
    assert gc.isenabled() is before


def test_as_before_after_an_error(before):
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled() is before


def test_the_same_text_as_amaranths():
    inverter = Inverter()
    assert component_text(inverter, "inverter") == rtlil.convert(
        Inverter(), name="inverter", emit_src=False
    )
    assert not inverter.collected
