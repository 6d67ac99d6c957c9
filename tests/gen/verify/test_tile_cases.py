"""Cases of a tile: legal for every configuration, written in a line, and made smaller."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.gen.verify.draws import draws
from lutcore.gen.verify.kinds import KINDS
from lutcore.gen.verify.tile_cases import TESTS, TileCase, applicable, draw, most_slices
from lutcore.gen.verify.tile_values import activations, profiles
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS
from lutcore.verif.coverage import tile as coverage
from lutcore.verif.coverage.bins import Bins
from lutcore.verif.plan.plan import load

CONFIGS = [
    *(PRESETS[name] for name in ("w2a8", "ternary-a8", "mac-int8", "w4-fp16", "fpga-xilinx-w1a8")),
    *(draw.config for draw in itertools.islice(draws(5), 30)),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_every_case_is_legal_written_and_covers_bins_that_there_are(config):
    wanted = {(group, name) for group, bins in coverage.wanted(config).items() for name in bins}
    for test in applicable(config):
        case = draw(config, test, 1)
        assert TileCase.from_text(case.to_text()) == case
        job = case.job(config)
        longest = config.run_steps * config.planes(case.bits) * config.passes
        assert job.slices <= 40 * max(most_slices(config), longest)
        hits = set(coverage.stimulated(config, job.layout, case.order))
        assert hits and hits <= wanted
        assert set(coverage.results_hit(config, job)) <= wanted


#: Two runs make a scale group at most, since a third would not fit the longest row.
SHORT_ROWS = CoreConfig(
    **{"name": "short_rows", "n": 2, "k": 2, "max_k": 30, "group_size": 17, "zero_points": "column"}
)
REACHED = [SHORT_ROWS, *(c for c in CONFIGS if c.products_per_cycle <= 48 and not c.exact_floats)]


@pytest.mark.parametrize("config", REACHED[:8], ids=lambda config: config.name)
def test_every_bin_of_stimulus_and_results_is_reached_by_some_case(config):
    """What nothing reaches would be a hole for ever."""
    kind = KINDS["tile"]
    groups = kind.wanted(config).items()
    bins = Bins({group: names for group, names in groups if group not in kind.observed})
    seeds = range(160 + 4 * 2**config.index_bits)  # whole weights have many, short rows few of them
    for seed, test in itertools.product(seeds, kind.tests(config)):
        bins.add(kind.predicted(config, test, seed))
        if not bins.holes:
            break
    assert not bins.holes


def test_a_smaller_case_is_smaller_and_legal():
    config = PRESETS["w2a8"].replace(max_k=256)
    case = replace(draw(config, "resets", 3), stalls=(0.3, 0.0, 0.0, 0.5))
    steps = 0
    while smaller := next(case.smaller(), None):
        case, steps = smaller, steps + 1
        case.job(config)
    assert steps < 100
    assert case == replace(TileCase(), **vars(case) | {"resets": (), "stalls": (0.0,) * 4})
    assert (case.m, case.n, case.k, case.bits) == (1, 1, 1, 1)


@pytest.mark.parametrize("name", ["w2a8", "w4-fp16", "w4-fp8", "w2-fp8-e5m2", "mxfp4-bf16"])
def test_rows_of_each_profile_differ_from_those_of_others(name):
    config = PRESETS[name]
    kinds = set()
    for profile in profiles(config):
        values = activations(config, 2, 64, profile, np.random.default_rng(0))
        assert values.shape == (2, 64)
        kinds.add(values.tobytes())
    assert len(kinds) == len(profiles(config))


@pytest.mark.parametrize("text", ["m", "x=1", "m=a", "stalls=1/2", "stalls=0/0/0/2", "resets=a"])
def test_what_is_no_case_is_refused_in_one_line(text):
    with pytest.raises(InputError, match="no case"):
        TileCase.from_text(text).job(CoreConfig())


def test_an_unknown_test_is_refused():
    with pytest.raises(InputError, match="test must be one of smoke"):
        draw(CONFIGS[0], "none", 0)


def test_the_plan_names_what_there_is_and_all_of_it():
    features = load("tile")
    tests = {test for feature in features for test in feature.tests}
    groups = {group for feature in features for group in feature.bins}
    assert tests == set(TESTS)
    assert groups == {group for config in CONFIGS for group in coverage.wanted(config)}
    assert all(feature.tests and feature.text.endswith(".") for feature in features)
    assert len({feature.name for feature in features}) == len(features)


def test_a_design_without_a_plan_is_refused():
    with pytest.raises(InputError, match="there is a test plan for"):
        load("spline")
