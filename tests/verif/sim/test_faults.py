"""The regression notices a broken design: every fault injected into the Verilog makes it fail."""

import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from sweeps import swept

from lutcore.gen.emit.rtl import verilog
from lutcore.gen.run.tile import random_activations
from lutcore.gen.verify.tile_cases import TESTS as TILE_TESTS
from lutcore.gen.verify.tile_cases import TileCase, applicable, draw
from lutcore.gen.verify.tile_runs import rate_problem
from lutcore.hdl.config.core import CoreConfig
from lutcore.verif.plan.plan import load
from lutcore.verif.sim.job import Stalls, tile_job

pytestmark = pytest.mark.slow

CONFIG = CoreConfig(name="faulty", m=2, n=4, k=4, max_k=256, result_columns=2, zero_points="column")


def substitute(pattern: str, replacement: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        changed = re.sub(pattern, replacement, text)
        assert changed != text, "the fault is not in this text"
        return changed

    return edit


FAULTS = {
    "planes in wrong order": substitute(r"<< plane\b", "<< ~plane"),
    "negation missing": substitute(r"(index_0 <=) index\b", r"\1 4'h7 & index"),
    "negation without carry-in": substitute(r"(\+ \{\d+'d0,\s+)index_0\[3\]", r"\g<1>1'h0"),
    "index off by one": substitute(r"(index_0 <=) index\b", r"\1 4'h1 ^ index"),
    "stale table after a stall": substitute(r"= fire \? ", "= 1'h1 ? "),
    "accumulator never cleared": substitute(r"(keep_0 <=)[^;]*;", r"\1 1'h1;"),
    "row sum in every plane": substitute(r"counts_0 <= counts", "counts_0 <= 1'h1"),
    "run captured a cycle early": substitute(r"(\.done\()drain__done\)", r"\1done_0)"),
    "drain does not wait": substitute(r"assign free = [^;]*;", "assign free = 1'h1;"),
    "zero point ignored": substitute(r"(zero_points__payload\()zero_points__payload", r"\1 20'h0"),
    "results wait to be wanted": substitute(
        r"(results__valid <=)([^;]*);", r"\1 (\2) & (results__ready | results__valid);"
    ),
    "results never valid": substitute(r"(results__valid <=)[^;]*;", r"\1 1'h0;"),
}

#: Other datapaths: their configuration, and faults of their own.
OTHERS = {
    "booth": CoreConfig(
        **{"name": "faulty", "engine": "mac", "n": 4, "lookups": 2, "max_weight_bits": 8},
        **{"max_k": 256, "pipeline": 2, "zero_points": "column"},
    ),
    "chain": CoreConfig(
        **{"name": "faulty", "table_storage": "chain", "n": 4, "k": 2, "lookups": 4},
        **{"max_weight_bits": 2, "group_size": 32, "result_columns": 1, "zero_points": "column"},
    ),
    "exact": CoreConfig(
        **{"name": "faulty", "activation": "fp16", "float_mode": "exact", "n": 2, "k": 2},
        **{"max_weight_bits": 2, "max_k": 32, "group_size": 8, "zero_points": "external"},
    ),
    "lutram": CoreConfig(
        **{"name": "faulty", "table_storage": "lutram", "passes": 5, "n": 2, "k": 2, "lookups": 4},
        **{"max_weight_bits": 2, "group_size": 32, "zero_points": "column"},
    ),
}
FAULTS_OF_OTHERS = {
    ("booth", "sign dropped"): substitute(r"(sign_0_1 <=)[^;]*;", r"\1 1'h0;"),
    ("booth", "digits swapped"): substitute(r"(once_0_0 <=)[^;]*;", r"\1 once_0_1;"),
    ("chain", "never cleared"): substitute(r"(\.clear\()[^)]*\)", r"\g<1>1'h0)"),
    ("chain", "planes not weighed"): substitute(r"(\.weight\()[^)]*\)", r"\g<1>1'h0)"),
    ("chain", "does not halt"): substitute(r"(assign go =)[^;]*;", r"\1 1'h1;"),
    ("exact", "sums that cancel are negative"): substitute(
        r"(sign_term_1\[26:0\]\}\) \| )~subtract", r"\g<1>1'b1"
    ),
    ("lutram", "runs never start"): substitute(r"(\.first\()[^)]*\)", r"\g<1>1'h0)"),
    ("lutram", "planes not weighed"): substitute(r"(\.weight\()[^)]*\)", r"\g<1>1'h0)"),
    ("lutram", "does not halt"): substitute(r"(assign go =)[^;]*;", r"\1 1'h1;"),
}


def jobs(make_tensor, config=CONFIG):
    rng = np.random.default_rng(11)
    return [
        tile_job(
            config,
            random_activations(config, 4, 96, rng),
            make_tensor(9 * config.passes, 96, config.max_weight_bits, 32, seed),
            stalls=stalls,
            order=order,
            seed=seed,
        )
        for seed, (stalls, order) in enumerate(
            [
                (Stalls(), "ascending"),
                (Stalls(0.3, 0.3, 0.3, 0.3), "descending"),
                (Stalls(results=0.9), "ascending"),
            ]
        )
    ]


def test_the_sound_design_passes(make_tensor, run_tile):
    verdicts = run_tile(CONFIG, jobs(make_tensor))
    assert [v["mismatches"] for v in verdicts] == [0, 0, 0]


#: Seeds of each test of the plan that a fault is shown to.
SEEDS = range(8)


def shown(config: CoreConfig, tests: Sequence[str]) -> list[TileCase]:
    """The cases of a plan's tests that a configuration has."""
    listed = [test for test in tests if test in applicable(config)]
    return [draw(config, test, seed) for seed in SEEDS for test in listed]


@pytest.mark.parametrize("datapath", swept(["", *OTHERS], 2))
def test_the_plan_passes_where_nothing_is_wrong(datapath, run_tile):
    config = OTHERS.get(datapath, CONFIG)
    cases = shown(config, list(TILE_TESTS))
    assert not noticed(config, cases, run_tile(config, [case.job(config) for case in cases]))


def noticed(config: CoreConfig, cases: Sequence[TileCase], verdicts: list[dict]) -> list[str]:
    """What is wrong with any of the cases."""
    found = []
    for case, verdict in zip(cases, verdicts, strict=True):
        late = rate_problem(config, case.job(config), verdict)
        found += verdict["problems"] or ([late] if late else [])
        assert verdict["problems"] or not verdict["mismatches"]
    return found


def edit_of(fault: str) -> tuple[CoreConfig, Callable[[str], str]]:
    """Which design a fault of the plan is put into, and how."""
    if found := re.fullmatch(r"register (\d) without its reset", fault):
        return CONFIG, without_reset(int(found[1]))
    if fault in FAULTS:
        return CONFIG, FAULTS[fault]
    datapath, _, name = fault.partition(": ")
    return OTHERS[datapath], FAULTS_OF_OTHERS[datapath, name]


def test_plan_has_every_fault():
    ours = [*FAULTS, *map(": ".join, FAULTS_OF_OTHERS)]
    ours += [f"register {number} without its reset" for number in range(RESETS)]
    assert sorted(fault for feature in load("tile") for fault in feature.faults) == sorted(ours)


@pytest.mark.parametrize(
    ("feature", "fault"),
    [(feature, fault) for feature in load("tile") for fault in feature.faults],
    ids=lambda value: getattr(value, "name", value),
)
def test_fault_is_noticed_by_the_tests_of_its_feature(feature, fault, run_tile):
    config, edit = edit_of(fault)
    cases = shown(config, feature.tests)
    assert noticed(config, cases, run_tile(config, [case.job(config) for case in cases], edit=edit))


def test_stale_table_needs_stalls_to_show(make_tensor, run_tile):
    """The stall test is what finds it: without stalls the faulty design is right."""
    steady, stalled, _ = run_tile(
        CONFIG, jobs(make_tensor), edit=FAULTS["stale table after a stall"]
    )
    assert not steady["mismatches"]
    assert stalled["mismatches"]


#: Registers that a reset sets.
RESETS = 6


def test_all_resets_are_counted():
    assert len(re.findall(r"if \(rst\)", verilog(CONFIG))) == RESETS


def without_reset(number: int) -> Callable[[str], str]:
    """One register keeps what it has."""

    def edit(text: str) -> str:
        *_, place = itertools.islice(re.finditer(r"if \(rst\)", text), number + 1)
        return f"{text[: place.start()]}if (1'b0){text[place.end() :]}"

    return edit
