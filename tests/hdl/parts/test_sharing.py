"""Shared modules: emitted once, connected everywhere, ordinary submodules in a simulation."""

import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from lutcore.hdl.parts.sharing import SharedModules, add_shared
from lutcore.verif.bench.contexts import evaluate


class Next(wiring.Component):
    """``a + 1``, a cycle later where it is clocked."""

    def __init__(self, clocked=True):
        self._clocked = clocked
        super().__init__({"a": In(8), "result": Out(8)})

    def elaborate(self, platform):
        m = Module()
        (m.d.sync if self._clocked else m.d.comb).__iadd__(self.result.eq(self.a + 1))
        return m


def chain(platform, count=3):
    """``count`` of them, one after the other, and an unclocked one."""
    m, first, last = Module(), Signal(8), Signal(8)
    value = first
    for i in range(count):
        part = add_shared(m, platform, f"next_{i}", "next", Next)
        m.d.comb += part.a.eq(value)
        value = part.result
    part = add_shared(m, platform, "plain", "plain", lambda: Next(clocked=False))
    m.d.comb += [part.a.eq(value), last.eq(part.result)]
    return m, first, last


def test_submodules_where_there_is_no_collector():
    m, first, last = chain(None)
    assert evaluate(m, [first], [last], [[7], [255]], cycles=3) == [(11,), (3,)]


def test_one_module_and_an_instance_each():
    shared = SharedModules("mine")
    m, first, last = chain(shared)
    top = rtlil.convert(m, ports=[first, last], platform=shared)
    assert list(shared.rtlil) == ["mine__next", "mine__plain"]
    assert top.count("cell \\mine__next ") == 3 and top.count("cell \\mine__plain ") == 1
    clocks = re.findall(r"connect \\(clk|rst) ", top)
    assert clocks.count("clk") == clocks.count("rst") == 3  # none for what has no clock


class Swap(wiring.Component):
    """Two fields, exchanged."""

    def __init__(self):
        pair = data.StructLayout({"low": 4, "high": 4})
        super().__init__({"pair": In(pair), "swapped": Out(pair)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.swapped.low.eq(self.pair.high),
            self.swapped.high.eq(self.pair.low),
        ]
        return m


def test_structures_have_fields_but_no_wires_of_them():
    shared = SharedModules("mine")
    m, source, result = Module(), Signal(8), Signal(4)
    swap = add_shared(m, shared, "swap", "swap", Swap)
    m.d.comb += [swap.pair.eq(source), result.eq(swap.swapped.high)]
    text = rtlil.convert(m, ports=[source, result], platform=shared)
    assert "swap__pair" in text and "swap__pair." not in text


@pytest.mark.parametrize("platform", [None, SharedModules("mine")])
def test_inputs_are_connected_where_the_part_is_added(platform):
    m, first, last = Module(), Signal(8), Signal(8)
    part = add_shared(m, platform, "next", "next", Next, {"a": first ^ 1})
    m.d.comb += last.eq(part.result)
    if platform is None:
        assert evaluate(m, [first], [last], [[7], [254]], cycles=1) == [(7,), (0,)]
    else:
        text = rtlil.convert(m, ports=[first, last], platform=platform)
        assert "next__a" not in text and "connect \\a " in text
