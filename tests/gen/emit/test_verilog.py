"""Our Verilog against the RTLIL that it is made from: Yosys proves that they are one design."""

import random

import pytest
from amaranth.back import rtlil
from amaranth.hdl import (
    Array,
    C,
    Cat,
    ClockDomain,
    Elaboratable,
    Module,
    Mux,
    Signal,
    signed,
    unsigned,
)
from amaranth.lib.memory import Memory

from lutcore import tools
from lutcore.errors import ToolError
from lutcore.gen.emit import expressions
from lutcore.gen.emit.nets import OPERATORS
from lutcore.gen.emit.rtl import component_rtlil
from lutcore.gen.emit.verilog import verilog_text
from lutcore.gen.tools.yosys import run_yosys
from lutcore.hdl.config.presets import PRESETS
from lutcore.hdl.tile.tile import Tile

_BINARY = (
    *(lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a & b),
    *(lambda a, b: a | b, lambda a, b: a ^ b, lambda a, b: a == b, lambda a, b: a < b),
    *(lambda a, b: a >= b, lambda a, b: a != b, lambda a, b: Cat(a, b), lambda a, b: a > b),
    *(lambda a, b: a <= b, lambda a, b: a << b.as_unsigned()[:2], lambda a, b: Mux(a[0], a, b)),
    lambda a, b: a >> b.as_unsigned()[:2],
)
_UNARY = (
    *(lambda a: ~a, lambda a: -a, lambda a: a.any(), lambda a: a.all(), lambda a: a.xor()),
    *(lambda a: a.as_signed(), lambda a: a.as_unsigned(), lambda a: a[len(a) // 2 :]),
    *(lambda a: a.replicate(2), lambda a: abs(a)),
)


class Circuit(Elaboratable):
    """Expressions, choices and registers of random shapes."""

    def __init__(self, seed: int):
        self._chance = random.Random(seed)
        shapes = [self._shape() for _ in range(4)]
        self.inputs = [Signal(shape, name=f"in_{i}") for i, shape in enumerate(shapes)]
        self.outputs = [Signal(self._shape(), name=f"out_{i}") for i in range(5)]
        self.seen = self.outputs[0] = Signal(4, name="seen")

    def _shape(self):
        return self._chance.choice((unsigned, signed))(self._chance.randint(1, 5))

    def _value(self, known, depth=0):
        if depth == 3 or self._chance.random() < 0.2:
            return self._chance.choice(known)
        if self._chance.random() < 0.3:
            found = self._chance.choice(_UNARY)(self._value(known, depth + 1))
        else:
            pair = (self._value(known, depth + 1) for _ in range(2))
            found = self._chance.choice(_BINARY)(*pair)
        return found[:6] if self._chance.random() < 0.2 else found

    def _choose(self, m, domain, target, known):
        """A decision of one of three kinds, and some within another."""
        kind = self._chance.randrange(3)
        if kind == 0:
            with m.If(self._value(known).bool()):
                domain += target.eq(self._value(known))
            with m.Elif(self._value(known).bool()):
                domain += target.eq(self._value(known))
            with m.Else():
                if self._chance.random() < 0.5:
                    self._choose(m, domain, target, known)
        elif kind == 1:
            with m.Switch(Cat(self._value(known), self._value(known), C(0, 3))[:3]):
                with m.Case(1):
                    domain += target.eq(self._value(known))
                with m.Case(0, 3):
                    domain += target[0].eq(self._value(known))
                with m.Default():
                    domain += target.eq(self._value(known))
        else:
            with m.If(self._value(known).bool()):
                with m.If(self._value(known).bool()):
                    domain += target.eq(self._value(known))
            with m.Else():
                domain += target.eq(1)

    def _choose_together(self, m, same, known):
        """Neighbours under one condition."""
        with m.If(self.inputs[0].bool()):
            m.d.sync += [signal.eq(self._value(known)) for signal in same[:2]]
            self._choose(m, m.d.sync, same[2], known)
            m.d.sync += [same[3].eq(self._value(known)), same[3][0].eq(self._value(known))]

    def elaborate(self, platform):
        m = Module()
        known = list(self.inputs)
        for i in range(3):
            shape = self._shape()
            held = Signal(
                shape, name=f"held_{i}", reset_less=i == 1, init=-(i % 2) if shape.signed else i % 2
            )
            self._choose(m, m.d.sync, held, known)
            chosen = Signal(self._shape(), name=f"chosen_{i}")
            self._choose(m, m.d.comb, chosen, known)
            if self._chance.random() < 0.5:  # after a decision, and without one
                m.d.comb += chosen[0].eq(self._value(known))
                m.d.sync += held[0].eq(self._value(known))
            known += [held, chosen]
        same = [Signal(self._shape(), name=f"same_{i}") for i in range(4)]
        self._choose_together(m, same, known)
        halves = [Signal(4, name=f"halves_{i}", reset_less=True) for i in range(2)]
        m.d.sync += [signal[i : i + 2].eq(self._value(known)) for signal in halves for i in (0, 2)]
        known += halves
        known += same
        mixed = Signal(4, name="mixed")  # clocked in part
        m.d.sync += mixed[:2].eq(self._value(known))
        m.d.comb += mixed[2:].eq(self._value(known))
        known += [mixed, Array(self.inputs)[self.inputs[0].as_unsigned()[:1]]]
        m.d.comb += self.seen.eq(mixed)  # what is not seen cannot be matched
        for output in self.outputs[1:]:
            m.d.comb += output.eq(self._value(known))
        return m


_COMPARE = """design -reset
read_rtlil {name}.il
hierarchy -top {name}
rename {name} gold
proc; {first}
design -stash gold
read_verilog {name}.v
hierarchy -check -top {name}
rename {name} gate
proc; check -assert; {first}
design -copy-from gold -as gold gold
equiv_make gold gate both
hierarchy -top both
equiv_simple
equiv_induct -seq 2
equiv_status -assert
"""


def prove_equal(designs, first="opt_clean"):
    """Name -> RTLIL: each and its Verilog are one design."""
    assert designs
    files, script = {}, []
    for name, text in designs.items():
        files |= {f"{name}.il": text.encode(), f"{name}.v": verilog_text(text).encode()}
        script.append(_COMPARE.format(name=name, first=first))
    done = "tee -o done.txt stat\n"
    assert run_yosys("\n".join(script) + done, files, ["done.txt"])


@pytest.mark.parametrize(
    "batch", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in (1, 2, 3))]
)
def test_random_circuits_are_the_same_design(batch):
    designs = {}
    for seed in range(15 * batch, 15 * batch + 15):
        circuit = Circuit(seed)
        ports = [*circuit.inputs, *circuit.outputs]
        name = f"c{seed}"
        designs[name] = rtlil.convert(circuit, name=name, ports=ports, emit_src=False)
    prove_equal(designs)


def hold(m, a, c, out):
    held = Signal(4, name="held", reset_less=True)
    m.d.sync += held.eq(a)
    with m.If(c[0]):
        m.d.sync += held.eq(held)
    with m.Elif(c[1]):
        m.d.sync += held.eq(a + 1)
    m.d.comb += out.eq(held)


def hold_a_bit(m, a, c, out):
    held = Signal(4, name="held", reset_less=True)
    m.d.sync += held.eq(a)
    with m.If(c[0]):
        m.d.sync += held[0].eq(held[0])
    m.d.comb += out.eq(held)


def read_oneself(m, a, c, out):
    m.d.comb += out[1].eq(out[0])
    with m.If(c[0]):
        m.d.comb += out[0].eq(a[0])


def the_same_case_twice(m, a, c, out):
    with m.Switch(c[0]):
        with m.Case(0):
            m.d.comb += out.eq(a)
        with m.Case(0):
            m.d.comb += out.eq(3)
        with m.Default():
            m.d.comb += out.eq(a + 2)


def decisions_on_constants(m, a, c, out):
    with m.If(C(1)):
        m.d.comb += out.eq(9)
        with m.If(C(0)):
            m.d.comb += out.eq(a)


def signs_in_a_row(m, a, c, out):
    m.d.comb += out.eq(-(~a))
    with m.Switch(~(a[0] ^ a[1])):
        with m.Case(0):
            with m.If(c[0]):
                m.d.comb += out.eq((~(a[0] | a[2])).replicate(4))
            with m.If(c[1]):
                m.d.comb += out.eq((~a).xor())


def nothing_wide(m, a, c, out):
    m.d.comb += out.eq(a << Signal(0) | (Signal(0) == 0) | (a >> C(9, 4)))


def decided_in_part(m, a, c, out):
    held = Signal(2, name="held")
    m.d.sync += held.eq(a)
    mixed = Signal(4, name="mixed")
    with m.If(c[0]):
        m.d.comb += mixed[1].eq(a[3])
    m.d.comb += mixed[0].eq(a[1])
    m.d.sync += mixed[2:].eq(mixed[:2] + held)
    m.d.comb += out.eq(mixed ^ held)


def names_of_any_kind(m, a, c, out):
    value = a
    for name in ("0_plus", "0", "_0", "module", "logic", "größe", "gr__e", "a", "x[0]", "x$1", "$"):
        named = Signal(4, name=name)
        m.d.comb += named.eq(value + 1)
        value = named
    inner = Module()
    inner.d.comb += out.eq(value ^ c)
    m.submodules["3"] = inner


_DIRECTED = (
    *(hold, hold_a_bit, read_oneself, the_same_case_twice, decisions_on_constants),
    *(signs_in_a_row, nothing_wide, decided_in_part, names_of_any_kind),
)


@pytest.mark.parametrize("build", _DIRECTED)
def test_what_was_wrong_once_is_the_same_design(build, tmp_path):
    m, ports = Module(), [Signal(4, name="a"), Signal(2, name="c"), Signal(4, name="out")]
    build(m, *ports)
    text = rtlil.convert(m, name=build.__name__, ports=ports, emit_src=False)
    hidden = "rename -hide;" if build is names_of_any_kind else ""  # matched by their ports alone
    prove_equal({build.__name__: text}, f"flatten; {hidden} opt_clean")
    if tools.find("iverilog"):
        (tmp_path / "t.v").write_text(verilog_text(text))
        command = ["iverilog", "-g2005", "-Wall", "-t", "null", str(tmp_path / "t.v")]
        assert tools.run("Icarus", command).err == ""


def test_every_operator_has_a_way():
    assert set(expressions._WAYS) == OPERATORS


def test_what_cannot_be_said_is_refused():
    m, falling = Module(), Signal(name="falling")
    m.domains += ClockDomain("down", clk_edge="neg")
    m.d.down += falling.eq(~falling)
    with pytest.raises(NotImplementedError, match="falling edge"):
        verilog_text(rtlil.convert(m, name="down", ports=[falling], emit_src=False))
    m, whole, quotient = Module(), Signal(4, name="whole"), Signal(4, name="quotient")
    m.d.comb += quotient.eq(whole // 3)
    with pytest.raises(NotImplementedError, match=r"divided has a cell .divfloor"):
        verilog_text(rtlil.convert(m, name="divided", ports=[whole, quotient], emit_src=False))


@pytest.mark.parametrize(("edge", "why"), [("pos", "at the same time"), ("neg", "falling edge")])
def test_memories_that_cannot_be_said_are_refused(edge, why):
    m = Module()
    m.domains += ClockDomain("other", clk_edge=edge)
    m.submodules.words = words = Memory(shape=unsigned(8), depth=4, init=[])
    write = words.write_port(domain="other")
    read = words.read_port(domain="other", transparent_for=(write,))
    ports = [write.addr, write.data, write.en, read.addr, read.data]
    with pytest.raises(NotImplementedError, match=why):
        verilog_text(rtlil.convert(m, name="memory", ports=ports, emit_src=False))


def test_memories_are_the_same_design():
    """Read at once or a cycle later, written whole or by bytes, with contents or without."""
    kinds = ((None, "comb", [], 4), (4, "sync", [3, 1, 2], 4), (2, "comb", [7], 4))
    for granularity, domain, init, depth in (*kinds, (None, "comb", [5], 1)):
        m = Module()
        m.submodules.words = words = Memory(shape=unsigned(8), depth=depth, init=init)
        write = words.write_port(granularity=granularity)
        read = words.read_port(domain=domain)
        ports = [write.addr, write.data, write.en, read.addr, read.data]
        for port, name in zip(ports, ("place", "value", "enable", "where", "found"), strict=True):
            port.name = name
        if domain == "sync":
            ports.append(read.en)
        text = rtlil.convert(m, name="memory", ports=ports, emit_src=False)
        if depth == 1:  # its addresses have no bits, which Yosys cannot match
            assert "words[0] <= value" in verilog_text(text).replace("memory", "words")
            continue
        prove_equal({"memory": text}, "memory -nordff; memory_map; opt_clean")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["w1a8", "w2a8-int8-tables", "ternary-a8", "add-w2a8"])
def test_small_tiles_are_the_same_design(name):
    config = PRESETS[name].replace(n=2, m=1, name="tile")
    prove_equal({"tile": component_rtlil(Tile(config), "tile")}, "memory; flatten; opt_clean")


def test_a_wrong_text_is_found(monkeypatch):
    """The proof can fail: one operator exchanged is seen."""
    monkeypatch.setitem(expressions._BINARY, "$add", ("-", False))
    with pytest.raises(ToolError):
        test_random_circuits_are_the_same_design(0)
