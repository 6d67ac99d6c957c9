"""Exploration: spaces are read strictly, searches find the front and repeat nothing."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from lutcore.errors import InputError
from lutcore.files import example
from lutcore.gen.experiments.compare import dominates
from lutcore.gen.experiments.measure import failed, measure
from lutcore.gen.experiments.point import Point, ops_per_cycle
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.explore import search as searching
from lutcore.gen.explore.model import PRIOR, estimate, features, fit
from lutcore.gen.explore.report import exploration
from lutcore.gen.explore.search import explore
from lutcore.gen.explore.space import Space, load_space
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import PRESETS

pytestmark = [pytest.mark.slow, pytest.mark.asic]

EXAMPLE = example("space.toml")

SPACE = """
[measure]
period = 1.0
[fixed]
m = 1
max_weight_bits = 1
group_size = 32
zero_points = "external"
[space]
n = {low = 2, high = 64, log2 = true}
k = {low = 2, high = 5}
lookups = [1, 2, 4, 8]
table_form = ["symmetric", "subset"]
[objectives]
core_ge = "min"
ops_per_cycle = "max"
"""


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path_factory.getbasetemp() / "explore-cache"))


@pytest.fixture
def load(tmp_path):
    def make(text: str = SPACE, *edits: tuple[str, str]) -> Space:
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "space.toml").write_text(text)
        return load_space(tmp_path / "space.toml")

    return make


def true_cost(config: CoreConfig) -> float:
    """What the imaginary technology of these tests costs: not what the model thinks at first."""
    factors = 1 + 0.5 * np.sin(np.arange(len(PRIOR)))
    own = 1 + 0.03 * np.sin(config.n + 7 * config.k + 3 * config.lookups)
    return float(features(config) @ (factors * np.array(list(PRIOR.values()))) * own)


def imagined(point: Point) -> dict:
    """A record in no time."""
    config, cost = point.config, true_cost(point.config)
    rate = ops_per_cycle(config, point.bits)
    return {
        "key": point.key,
        **point.facts(),
        "design": config.name,
        "area_ge": cost * 1.2,
        "ops_per_cycle": rate,
        **dict.fromkeys(("core_ge", "unit_ge", "columns_ge"), cost),
        "ge_per_op": cost / rate,
        "slack_ns": 0.1,
        "closed": True,
        "error": None,
        "seconds": 1.0,
    }


class Counting:
    def __init__(self, measure=imagined):
        self.configs: list[CoreConfig] = []
        self._measure = measure

    def __call__(self, point: Point) -> dict:
        self.configs.append(point.config)
        return self._measure(point)


def true_front(space: Space) -> set[CoreConfig]:
    costs = {
        config: (true_cost(config), -ops_per_cycle(config, space.bits(config)))
        for config in space.configs()
    }
    return {
        config
        for config, cost in costs.items()
        if not any(dominates(other, cost) for other in costs.values())
    }


# Spaces ------------------------------------------------------------------------------------------


def test_axes_are_lists_steps_or_doublings(load):
    space = load(SPACE, ("low = 2, high = 5}", "low = 2, high = 6, step = 2}"))
    assert space.axes == {
        "n": (2, 4, 8, 16, 32, 64),
        "k": (2, 4, 6),
        "lookups": (1, 2, 4, 8),
        "table_form": ("symmetric", "subset"),
    }
    assert space.size == 6 * 3 * 4 * 2
    assert (space.target, space.measure, space.period, space.method) == (
        *("asic", "area", 1.0, "exhaustive"),
    )


def test_the_example_is_valid():
    space = load_space(EXAMPLE)
    configs = list(space.configs())
    assert space.measure == "ecp5" and 20 < len(configs) < space.size
    assert all(32 <= ops_per_cycle(config, 1) <= 256 for config in configs)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[fixed]", "[fixed", "not valid TOML"),
        ("[fixed]", "[fxed]", "unknown 'fxed' in section; known: constraints, fixed"),
        ("[fixed]", "[fixed]\nsize = 3", r"unknown 'size' in \[fixed\]; known: activation,"),
        ("[fixed]", "[fixed]\nk = 3", r"k is in \[fixed\] and in \[space\]"),
        ("[1, 2, 4, 8]", "[]", r"\[space\] lookups is an empty list"),
        ("[1, 2, 4, 8]", "[1, 1]", r"\[space\] lookups has a value twice"),
        ("[1, 2, 4, 8]", "4", r"\[space\] lookups must be a list of values or \{ low, high"),
        ("low = 2, high = 5", "low = 5, high = 2", r"k.high must be .* at least 5, not 2"),
        ("low = 2, high = 5", "high = 2", r"\[space\] k.low must be an integer .* not None"),
        ("low = 2, high = 5", "low = 2, high = 5, setp = 2", r"unknown 'setp' in \[space\] k"),
        ("low = 2, high = 5", "low = 0, high = 5, log2 = true", "log2 doubles from low >= 1"),
        ('core_ge = "min"', 'core_ge = "less"', r"\[objectives\] core_ge must be one of 'min'"),
        ('core_ge = "min"', 'luts = "min"', r"unknown 'luts' in \[objectives\]; known: .*core_ge"),
        ("[objectives]", "[search]", r"unknown 'core_ge' in \[search\]"),
        ("period = 1.0", 'target = "tsmc"', r"\[measure\] target must be one of 'asic', 'ecp5'"),
        ("period = 1.0", "period = '1'", r"\[measure\] period must be a positive number of ns"),
        ("period = 1.0", "weight_bits = -1", "weight_bits must be an integer of at least 0"),
        ("[objectives]", "[constraints]\nk = 4\n[objectives]", r"k must be \{ min = A, max = B \}"),
        (
            "[objectives]",
            '[constraints]\nk = {max = "4"}\n[objectives]',
            r"\[constraints\] k.max must be a number, not '4'",
        ),
        ("[objectives]", "[search]\nmethod = 'luck'\n[objectives]", "one of 'exhaustive', 'opt"),
        ("[objectives]", "[search]\nbatch = 0\n[objectives]", "batch must be an integer"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_one_line_that_names_the_place(old, new, message, load, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        load(SPACE, (old, new))
    assert str(error.value).startswith(f"{tmp_path / 'space.toml'}: ")
    assert "\n" not in str(error.value)


def test_a_missing_space_is_named():
    with pytest.raises(InputError, match=r"cannot read space none\.toml: No such file"):
        load_space(Path("none.toml"))


def test_impossible_and_excluded_configurations_are_counted(load):
    space = load(
        SPACE,
        ("high = 5}", "high = 7}"),
        ("[objectives]", "[constraints]\nops_per_cycle = {max = 40}\nn = {min = 3}\n[objectives]"),
    )
    configs = list(space.configs())
    assert configs and all(ops_per_cycle(config, 1) <= 40 and config.n >= 3 for config in configs)
    reasons = dict(space.rejected)
    assert reasons["invalid: k must be in 1..6, not 7"] == 6 * 4 * 2
    assert sum(reasons.values()) + len(configs) == space.size


def test_a_space_too_large_to_enumerate_is_refused(load):
    space = load(
        SPACE,
        ("low = 2, high = 64, log2 = true", "low = 2, high = 4000"),
        ("low = 2, high = 5}", "low = 1, high = 6}\nmax_k = {low = 100, high = 300}"),
    )
    with pytest.raises(
        InputError, match=r'more than 1,000,000: narrow it, or set method = "optuna"'
    ):
        next(space.configs())


# Model -------------------------------------------------------------------------------------------


def test_the_model_recovers_prices_and_tells_its_error(load):
    configs = list(load().configs())[::3]
    prices = np.array(list(PRIOR.values())) * (1 + 0.3 * np.cos(np.arange(len(PRIOR))))
    costs = [float(features(config) @ prices) for config in configs]
    model = fit(configs, costs)
    assert model is not None and model.margin < 0.02
    unseen = CoreConfig(m=1, n=24, k=3, max_weight_bits=1, group_size=32, zero_points="external")
    assert model.predict(unseen) == pytest.approx(features(unseen) @ prices, rel=0.03)
    assert (model.prices >= 0).all()
    noise = np.random.default_rng(0).normal(0, 0.1, len(costs))
    noisy = fit(configs, [c * (1 + e) for c, e in zip(costs, noise, strict=True)])
    assert noisy is not None and 0.05 < noisy.rms_error < 0.2 < noisy.margin < 0.5


def test_too_few_points_make_no_model():
    assert fit([CoreConfig()] * 5, [1.0] * 5) is None


def test_every_part_of_the_model_is_something_that_a_preset_has():
    used = np.sum([features(config) for config in PRESETS.values()], axis=0)
    unused = {name for name, bits in zip(PRIOR, used, strict=True) if not bits > 0}
    assert np.isfinite(used).all() and unused <= {"plane shifts"}


def test_the_model_knows_real_tiles():
    """Unfitted it is within a factor of two of synthesis, fitted within a tenth on unseen tiles."""
    base = CoreConfig(m=1, n=2, max_weight_bits=1, group_size=16, zero_points="external")
    configs = [
        base.replace(k=k, lookups=lookups, table_form=form)
        for k in (2, 3)
        for lookups in (1, 2)
        for form in ("symmetric", "subset")
    ]
    costs = [measure(Point(config=config))["core_ge"] for config in configs]
    for config, cost in zip(configs, costs, strict=True):
        assert 0.5 < estimate(config) / cost < 2
    model = fit(configs, costs)
    assert model is not None and model.rms_error < 0.1


# Search ------------------------------------------------------------------------------------------


def test_an_exhaustive_search_finds_the_front_and_prunes(load, tmp_path):
    space, measure = load(), Counting()
    with Runner(tmp_path / "points", measure=measure) as runner:
        outcome = explore(space, runner)
    assert set(outcome.front(space)) == true_front(space)
    assert len(set(measure.configs)) == len(measure.configs) == len(outcome.measured)
    total = len(list(space.configs()))
    assert len(outcome.pruned) + len(outcome.measured) == total and outcome.left == 0
    assert len(outcome.pruned) > total / 10
    assert not set(outcome.pruned) & true_front(space)
    assert outcome.models["core_ge"].margin > 0
    predicted = outcome.predictions["core_ge"]
    assert len(predicted) == len(outcome.measured) - searching._FIRST_SAMPLE


def test_without_pruning_everything_is_measured(load, tmp_path):
    space = load(SPACE + "[search]\nprune = false\n")
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner)
    assert len(outcome.measured) == len(list(space.configs())) and not outcome.pruned


@pytest.mark.parametrize("method", ["exhaustive", "optuna"])
def test_a_restart_repeats_nothing(method, load, tmp_path):
    space = load(SPACE + f'[search]\nmethod = "{method}"\ntrials = 40\nseed = 3\n')
    interrupted = Counting()

    def interrupt(point: Point) -> dict:
        if len(interrupted.configs) == 30:
            raise KeyboardInterrupt
        return imagined(point)

    interrupted._measure = interrupt
    with pytest.raises(KeyboardInterrupt), Runner(tmp_path / "a", measure=interrupted) as runner:
        explore(space, runner)
    rest = Counting()
    with Runner(tmp_path / "a", measure=rest) as runner:
        outcome = explore(space, runner)
    whole = Counting()
    with Runner(tmp_path / "b", measure=whole) as runner:
        explore(space, runner)
    assert len(outcome.measured) == 40
    assert interrupted.configs[:29] + rest.configs == whole.configs
    assert len(set(whole.configs)) == 40


@pytest.mark.parametrize("search", ["", "prune = false", "trials = 30", 'method = "optuna"'])
def test_progress_tells_the_truth(search, load, tmp_path):
    """It begins at none, ends at all, never goes back, and hopes for no more than the space has."""
    space = load(SPACE + f"[search]\n{search}\n")
    told: list[tuple[int, int]] = []
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner, lambda done, planned: told.append((done, planned)))
    measured = len(outcome.measured)
    assert told[0][0] == 0 < told[0][1] <= space.size and told[-1] == (measured, measured)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(done < planned for done, planned in told[: measured // 2])
    assert {done for done, _ in told} == set(range(measured + 1))


def test_optuna_finds_better_than_chance(load, tmp_path):
    text = SPACE.replace('ops_per_cycle = "max"', "").replace("core_ge =", "ge_per_op =")
    space = load(text + '[search]\nmethod = "optuna"\ntrials = 50\n')
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner)
    costs = sorted(true_cost(c) / ops_per_cycle(c, 1) for c in space.configs())
    (found,) = outcome.front(space)
    assert true_cost(found) / ops_per_cycle(found, 1) <= costs[2]
    assert len(outcome.measured) == 50 < len(costs)


def test_optuna_ends_when_it_has_nothing_new(load, tmp_path):
    space = load(
        SPACE + '[search]\nmethod = "optuna"\n[constraints]\nk = {max = 2}\nn = {max = 8}\n'
    )
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner)
    assert 8 <= len(outcome.measured) <= 3 * 4 * 2


def test_measured_limits_hold_on_the_front(load, tmp_path):
    space = load(SPACE + "[constraints]\ncore_ge = {max = 5000}\n")
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner)
    found = outcome.front(space)
    assert found and all(true_cost(config) <= 5000 for config in found)
    within = [config for config in space.configs() if true_cost(config) <= 5000]
    fastest = max(within, key=lambda config: ops_per_cycle(config, 1))
    assert any(ops_per_cycle(c, 1) == ops_per_cycle(fastest, 1) for c in found)
    assert any(true_cost(config) > 2 * 5000 for config in outcome.pruned)


def test_failed_timing_and_failed_points_are_not_on_the_front(load, tmp_path):
    def partly(point: Point) -> dict:
        if point.config.k == 2:
            return imagined(point) | {"closed": False, "slack_ns": -0.5}
        return failed(point, "no") if point.config.k == 3 else imagined(point)

    space = load()
    with Runner(tmp_path / "points", measure=partly) as runner:
        outcome = explore(space, runner)
    assert {config.k for config in outcome.front(space)} <= {4, 5}
    found = exploration(space, outcome, Path("space.toml"))
    assert found["counts"]["failed"] > 0 < found["counts"]["not_closed"]
    assert all(row["compared"] for row in found["rows"] if row["series"] == "front")


def test_a_result_tells_counts_and_errors(load, tmp_path):
    space = load()
    with Runner(tmp_path / "points", measure=imagined) as runner:
        outcome = explore(space, runner)
    found = exploration(space, outcome, Path("space.toml"))
    facts = found["exploration"]
    assert facts["combinations"] == 6 * 4 * 4 * 2
    assert facts["measured"] == len(found["rows"])
    assert facts["front"] == sum(row["series"] == "front" for row in found["rows"])
    assert f"{facts['pruned']} ruled out by the model" in found["method"]
    model = facts["models"]["core_ge"]
    assert f"{model['rms_error']:.1%} RMS" in found["method"] and model["samples"] > 24
    assert facts["prediction_errors"]["core_ge"]["largest"] > 0


def leave_marks(point: Point) -> dict:
    """A worker's measure: every call leaves a file; the third one takes its worker along."""
    marks = Path(os.environ["LUTCORE_MARKS"])
    calls = len(list(marks.iterdir()))
    (marks / f"{point.key}-{os.getpid()}").touch()
    time.sleep(0.2)
    if calls == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return imagined(point)


def test_a_killed_worker_loses_and_repeats_nothing(load, tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_MARKS", str(tmp_path / "marks"))
    (tmp_path / "marks").mkdir()
    space = load(SPACE, ("high = 64", "high = 4"), ("high = 5}", "high = 2}"))
    with Runner(tmp_path / "points", jobs=2, measure=leave_marks) as runner:
        outcome = explore(space, runner)
    keys = {space.point(config).key for config in space.configs()}
    assert {path.stem for path in (tmp_path / "points").iterdir()} == keys
    assert {record["key"] for record in outcome.measured.values()} == keys
    calls = [path.name.partition("-")[0] for path in (tmp_path / "marks").iterdir()]
    assert len(calls) == len(keys) + 1 and set(calls) == keys
    assert set(outcome.front(space)) == true_front(space)
