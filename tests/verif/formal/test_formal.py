"""Proofs hold, their covers are reached, and they find faults that are put into the design."""

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In
from block_faults import BLOCKS, FAULTS, with_fault
from sweeps import later, swept

from lutcore.gen.verify import proofs as campaign
from lutcore.gen.verify.proofs import LEAST_FOUND, MUTANTS, SMALL, Proved, other_buses, small, told
from lutcore.gen.verify.solver import Problem
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset
from lutcore.verif.formal.harness import Harness
from lutcore.verif.formal.proofs import PROOFS, proofs_of
from lutcore.verif.plan.plan import load

#: Proofs of the library, which has no block of ours to put faults into.
OF_OTHERS = {"queues"}
#: Proofs of blocks whose inputs may be anything.
FREE = {"decoder", "tables", "exponents", "greatest entries", "run buffer", "table buffer"}
FREE |= {"zero points"}


#: Proofs of which `make test` tries faults by hand alone, and `make long` drawn mutants, too.
LONG = {
    "load addresses",
    "load words",
    "store words",
    "store addresses",
    "alignment",
    "decoder",
    "progress",
    "tables",
    "engines",
    "host",
    "slice walk",
    "beats",
    "bursts",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mutants"),
    [
        # The longest first: workers end together.
        *(
            (name, 0 if name in OF_OTHERS | LONG else MUTANTS)
            for name in sorted(PROOFS, key="load words".__ne__)
        ),
        *(later(pytest.param(name, MUTANTS)) for name in sorted(LONG)),
    ],
)
def test_a_proof_holds_and_finds_faults(name, mutants):
    proved = campaign.prove(PROOFS[name], small(PROOFS[name]), mutants)
    assert proved.holds and not proved.broken, told(proved)
    assert proved.unreached == []
    assert (proved.claimed and proved.assumed) or name in OF_OTHERS | FREE
    assert len(proved.found) >= (LEAST_FOUND if mutants else 0), told(proved)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_design_is_found(fault, monkeypatch):
    name, old, new = FAULTS[fault]
    room, block = BLOCKS[name]
    monkeypatch.setattr(room, block, with_fault(getattr(room, block), old, new))
    proof = PROOFS[name.removesuffix(" lane")]
    problem = Problem.of(proof.make(small(proof)))
    answer = problem.bounded(proof.steps)
    if answer.holds and proof.unbounded:
        answer = problem.inductive()
    assert answer.holds is False and answer.failed


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"table_form": "subset"}, {"engine": "conventional-lut"}, {"engine": "add"}],
    ids=str,
)
def test_tables_of_one_bit_give_what_multipliers_do(changes):
    """In every form; of two bits the symmetric one is among the proofs above."""
    config = preset("w2a8").replace(max_weight_bits=1, **changes)
    proved = campaign.prove(PROOFS["engines"], config, 0)
    assert proved.holds and not proved.unreached, told(proved)


#: Tiles whose sums keep their carries, or not, and registers of every depth.
PIPELINES = {
    **{
        f"depth {d}, cut {c}": {"pipeline": d, "pipeline_cut": c} for d in (1, 2) for c in (0, 1, 6)
    },
    "any order": {"pipeline": 1, "plane_order": "any"},
    "pairs": {
        **{"pipeline": 1, "weight_coding": "ternary", "table_form": "symmetric"},
        **{"plane_order": "any"},
    },
    "multipliers": {
        **{"pipeline": 1, "engine": "mac", "table_form": "symmetric", "plane_order": "any"},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["accumulators", later("lookup")])
@pytest.mark.parametrize("tile", PIPELINES)
def test_sums_with_carries_kept_are_proved(tile, name):
    config = preset("dense-w2a8").replace(m=1, n=1, lookups=3, group_size=36, **PIPELINES[tile])
    proof = PROOFS[name]
    if proof.without(config):
        assert (tile, name) == ("multipliers", "lookup")
        return
    proved = campaign.prove(proof, config, 0)
    assert proved.holds and not proved.unreached, told(proved)


WIDTHS = [(name, other) for name, proof in PROOFS.items() for other in other_buses(proof)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config"),
    swept([pytest.param(*pair, id=f"{pair[0]}-{pair[1].bus_bits}") for pair in WIDTHS], 5),
)
def test_addresses_are_right_on_every_bus(name, config):
    assert {other.bus_bits for _, other in WIDTHS} | {SMALL.bus_bits} == {64, 128, 256, 512}
    proved = campaign.prove(PROOFS[name], config, 0)
    assert proved.holds and not proved.unreached, told(proved)


class _Names(Harness):
    """Its signals are called as what is made of a block might be."""

    def __init__(self, config):
        super().__init__({"a": In(4)})

    def describe(self, m):
        part, more, block = Module(), Signal(4), Signal(4)
        m.submodules.dut = part
        part.d.comb += more.eq(self.a + 1)
        m.d.comb += block.eq(~more)
        self.hold(m, "they differ", block != more)
        self.happen(m, "the most", block == 15)


def test_a_harness_may_name_its_signals_as_it_likes():
    problem = Problem.of(_Names(None), MUTANTS)
    assert problem.same([*problem.faults]) < {*problem.faults}


#: Cores whose shapes are far from the small ones.
SHAPES = {
    "many rows": SMALL.replace(m=16, n=4, result_columns=2),
    "narrow beats": SMALL.replace(m=1, result_columns=1, bus_bits=512),
    "three activations": SMALL.replace(k=3, lookups=1, max_weight_bits=1),
}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [name for name, proof in PROOFS.items() if proof.has(SMALL)])
def test_proofs_hold_and_happen_in_other_shapes(name, shape):
    proved = campaign.prove(PROOFS[name], SHAPES[shape], 0)
    assert proved.holds and not proved.unreached and proved.good, told(proved)


@pytest.mark.slow
def test_mutants_that_do_what_the_block_does_are_known():
    """Of this block the proof finds all others."""
    proof = PROOFS["exponents"]
    problem = Problem.of(proof.make(small(proof)), 20)
    same = problem.same([*problem.faults])
    assert 0 < len(same) < len(problem.faults)
    assert {n for n in problem.faults if problem.bounded(1, n).holds} == same


def test_a_tile_of_one_activation_is_proved():
    """Aligned activations do not reach the least of their bits."""
    config = CoreConfig(m=1, n=1, k=1, activation="fp16", table="int8", group_size=32)
    assert campaign.prove(PROOFS["tables"], config, 0).holds


@pytest.mark.parametrize("top", ["tile", "core"])
def test_plans_name_the_proofs_that_there_are(top):
    tile = {proof.name for proof in PROOFS.values() if proof.top == "tile"}
    named = [name for feature in load(top) for name in feature.proofs]
    assert set(named) == (tile if top == "tile" else set(PROOFS))


class _Vacuous(Harness):
    """Assumes what is never so."""

    def __init__(self, config):
        super().__init__({})

    def describe(self, m):
        never = Signal()
        self.assume(m, "nothing can be", never)
        self.hold(m, "all is well", never)
        self.happen(m, "something happens", ~never)


def test_a_proof_of_nothing_is_not_good():
    proof = PROOFS["bursts"]
    vacuous = type(proof)("vacuous", "Nothing.", _Vacuous, steps=2, cover=2)
    proved = campaign.prove(vacuous, SMALL, mutants=0)
    assert proved.holds and proved.unreached == ["something happens"] and not proved.good
    assert "NEVER HAPPENS: something happens" in told(proved)


def test_a_broken_claim_is_told():
    class Wrong(_Vacuous):
        def describe(self, m):
            count = Signal(2)
            m.d.sync += count.eq(count + 1)
            self.hold(m, "it counts", count < 4)
            self.hold(m, "it counts to two", count < 2)

    proof = type(PROOFS["bursts"])("wrong", "Wrong.", Wrong, steps=4, cover=2)
    proved = campaign.prove(proof, SMALL, mutants=0)
    assert proved.holds is False and proved.broken == ["it counts to two"]
    assert isinstance(proved, Proved) and "BROKEN: it counts to two" in told(proved)


def test_proofs_are_of_what_a_design_has():
    tile = {"tables", "lookup", "accumulators", "drain"}
    exact = tile | {"engines"}
    assert {p.name for p in proofs_of("tile", SMALL)} == exact | {"table buffer"}
    configs = [small(proof) for proof in PROOFS.values()]
    assert {p.name for config in configs for p in proofs_of("axi", config)} == set(PROOFS)
    eight_bits = tile | {"greatest entries", "rounding", "run buffer", "zero points"}
    assert {p.name for p in proofs_of("tile", preset("w2a8-int8-tables"))} == eight_bits
    aligned = exact | {"exponents", "alignment", "run buffer", "zero points"}
    assert {p.name for p in proofs_of("tile", preset("w4-fp16"))} == aligned
    assert "host" not in {p.name for p in proofs_of("core", SMALL)}
    assert {p.name for p in proofs_of("tile", preset("w2-fp16-exact"))} == {"drain"}
    macs = {p.name for p in proofs_of("tile", preset("mac-int8"))}
    assert macs == {"accumulators", "drain", "zero points"}
