"""Searches a space: exhaustively, with a model that rules points out, or by Optuna."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lutcore.gen.experiments.compare import counts, dominates, front
from lutcore.gen.experiments.runner import Runner
from lutcore.gen.explore.model import AreaModel, fit
from lutcore.gen.explore.space import ASIC, ENERGY, FPGA, KNOWN, Space
from lutcore.hdl.config.core import CoreConfig

#: Points that the first model is fitted to, spread over the space at random.
_FIRST_SAMPLE = 24
#: Points that Optuna may measure unless told.
_TRIALS = 100
#: Batches of Optuna's suggestions in a row without a new point, after which it has no more.
_IDLE = 20

Record = dict[str, Any]
OnBatch = Callable[[int, int], None]


@dataclass
class Outcome:
    """What a search found.

    Attributes
    ----------
    measured : dict
        Configuration -> record, in the order of measuring.
    pruned : list of CoreConfig
        Left out because the model rules them out.
    left : int
        Left out because ``trials`` was reached.
    models : dict
        Metric -> :class:`~lutcore.gen.explore.model.AreaModel`, as last fitted.
    predictions : dict
        Metric -> relative errors of predictions that were made before the point was measured.
    """

    measured: dict[CoreConfig, Record] = field(default_factory=dict)
    pruned: list[CoreConfig] = field(default_factory=list)
    left: int = 0
    models: dict[str, AreaModel] = field(default_factory=dict)
    predictions: dict[str, list[float]] = field(default_factory=dict)

    def front(self, space: Space) -> list[CoreConfig]:
        """Configurations within all limits that no other dominates."""
        within = [record for record in self.measured.values() if space.satisfies(record)]
        keys = {record["key"] for record in front(within, space.objectives)}
        return [config for config, record in self.measured.items() if record["key"] in keys]


class _Search:
    """What both methods share: measuring batches."""

    def __init__(self, space: Space, runner: Runner, on_batch: OnBatch | None):
        self.space = space
        self.outcome = Outcome()
        self._runner = runner
        self._on_batch = on_batch or (lambda measured, planned: None)

    def measure(self, configs: Sequence[CoreConfig], later: int) -> None:
        """Measure some; ``later``: how many more may follow them, as far as can be seen."""
        done = len(self.outcome.measured)
        planned = done + len(configs) + later
        self._on_batch(done, planned)

        def on_done(record: Record) -> None:
            nonlocal done
            done += 1
            self._on_batch(done, planned)

        records = self._runner.run([self.space.point(config) for config in configs], on_done)
        self.outcome.measured.update(zip(configs, records, strict=True))

    def end(self) -> None:
        """No more points are planned."""
        self._on_batch(len(self.outcome.measured), len(self.outcome.measured))


def explore(space: Space, runner: Runner, on_batch: OnBatch | None = None) -> Outcome:
    """Search a space.

    Parameters
    ----------
    space : Space
    runner : Runner
        Measures points, and finds those that an earlier run has measured.
    on_batch : callable, optional
        Called before and after each point with the points measured so far and those planned: what
        the model rules out, or ``trials`` leaves no room for, is not planned any more.

    Raises
    ------
    InputError, ToolError
        See :meth:`lutcore.gen.experiments.runner.Runner.run` and
        :meth:`lutcore.gen.explore.space.Space.configs`.
    """
    search = _Search(space, runner, on_batch)
    (_optuna if space.method == "optuna" else _exhaustive)(search)
    search.end()
    search.outcome.models = _fitted(space, search.outcome.measured)
    return search.outcome


# Exhaustive --------------------------------------------------------------------------------------


def _exhaustive(search: _Search) -> None:
    space, outcome = search.space, search.outcome
    waiting = list(space.configs())
    order = np.random.default_rng(space.seed).permutation(len(waiting))
    most = space.trials or len(waiting)
    if not space.prune or len(waiting) <= _FIRST_SAMPLE:
        first = len(waiting)
    else:
        first = _FIRST_SAMPLE
        waiting = [waiting[i] for i in order]
    batch, waiting = waiting[: min(first, most)], waiting[min(first, most) :]
    predicted: list[dict[str, float]] = [{} for _ in batch]
    later = len(waiting)
    while batch:
        search.measure(batch, min(later, most - len(outcome.measured) - len(batch)))
        _note_errors(outcome, batch, predicted)
        if not waiting or len(outcome.measured) >= most:
            break
        models = _fitted(space, outcome.measured)
        guesses = [_guess(space, models, config) for config in waiting]
        ruled_out = _ruled_out(space, models, outcome.measured.values(), guesses)
        outcome.pruned = [c for c, out in zip(waiting, ruled_out, strict=True) if out]
        open_ = [i for i, out in enumerate(ruled_out) if not out]
        room = min(space.batch, most - len(outcome.measured))
        chosen = _promising(space, [guesses[i] for i in open_])[:room]
        taken = [open_[i] for i in chosen]
        later = len(open_) - len(taken)
        batch = [waiting[i] for i in taken]
        predicted = [guesses[i] for i in taken]
        waiting = [config for i, config in enumerate(waiting) if i not in set(taken)]
    outcome.left = len(waiting) - len(outcome.pruned)


def _modelled(space: Space) -> list[str]:
    """Metrics that matter and need synthesis."""
    known = {**ASIC, **ENERGY, **FPGA}
    names = [*space.objectives, *(limit.name for limit in space.limits)]
    return [name for name in dict.fromkeys(names) if name in known]


def _operations(space: Space, metric: str, config: CoreConfig) -> float:
    """What turns the metric into a cost of the whole tile."""
    per_operation = {**ASIC, **ENERGY, **FPGA}[metric]
    return KNOWN["ops_per_cycle"](config, space.bits(config)) if per_operation else 1.0


def _fitted(space: Space, measured: dict[CoreConfig, Record]) -> dict[str, AreaModel]:
    """A model of each metric that matters, from points whose timing did not fail."""
    models = {}
    for metric in _modelled(space):
        samples = [
            (config, record[metric] * _operations(space, metric, config))
            for config, record in measured.items()
            if record.get(metric) and record.get("closed") is not False
        ]
        if (model := fit(*zip(*samples, strict=True)) if samples else None) is not None:
            models[metric] = model
    return models


def _guess(space: Space, models: dict[str, AreaModel], config: CoreConfig) -> dict[str, float]:
    """Metrics of a configuration: predicted, or known."""
    predicted = {
        metric: model.predict(config) / _operations(space, metric, config)
        for metric, model in models.items()
    }
    return space.known(config) | predicted


def _ruled_out(
    space: Space,
    models: dict[str, AreaModel],
    records: Iterable[Record],
    guesses: Sequence[dict[str, float]],
) -> list[bool]:
    """Whether each guess, put right by its model's margin, still is outside or dominated."""
    margins = {metric: model.margin for metric, model in models.items()}
    if any(name not in margins for name in _modelled(space)):
        return [False] * len(guesses)
    signs = {name: 1 if way == "min" else -1 for name, way in space.objectives.items()}
    reached = [
        tuple(sign * record[name] for name, sign in signs.items())
        for record in records
        if counts(record)
        and space.satisfies(record)
        and all(record.get(name) is not None for name in signs)
    ]

    def outside(guess: dict[str, float]) -> bool:
        return any(
            guess[limit.name] * (1 - margins[limit.name]) > limit.most
            or guess[limit.name] * (1 + margins[limit.name]) < limit.least
            for limit in space.limits
            if limit.name in margins
        )

    def dominated(guess: dict[str, float]) -> bool:
        hoped = tuple(
            sign * guess[name] * (1 - sign * margins.get(name, 0.0)) for name, sign in signs.items()
        )
        return any(dominates(other, hoped) for other in reached)

    return [outside(guess) or dominated(guess) for guess in guesses]


def _promising(space: Space, guesses: Sequence[dict[str, float]]) -> list[int]:
    """Order to try: what is predicted best in each objective, then by all together."""
    if not guesses or any(name not in guesses[0] for name in space.objectives):
        return list(range(len(guesses)))
    costs = np.array(
        [
            [(1 if way == "min" else -1) * guess[name] for name, way in space.objectives.items()]
            for guess in guesses
        ]
    )
    ranks = costs.argsort(0, kind="stable").argsort(0, kind="stable")
    together = np.argsort(ranks.sum(1), kind="stable")
    return list(dict.fromkeys(map(int, [*costs.argmin(0), *together])))


def _note_errors(
    outcome: Outcome, configs: Sequence[CoreConfig], predicted: Sequence[dict[str, float]]
) -> None:
    for config, guess in zip(configs, predicted, strict=True):
        record = outcome.measured[config]
        for metric in guess.keys() - KNOWN.keys():
            if record.get(metric) and record.get("closed") is not False:
                error = guess[metric] / record[metric] - 1
                outcome.predictions.setdefault(metric, []).append(error)


# Optuna ------------------------------------------------------------------------------------------


def _optuna(search: _Search) -> None:
    """Batches of suggestions, told in their order: a restart suggests the same and repeats none."""
    import optuna

    space, outcome = search.space, search.outcome
    optuna.logging.set_verbosity(logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=space.seed, multivariate=True)
    ways: list[Any] = [
        "minimize" if way == "min" else "maximize" for way in space.objectives.values()
    ]
    study = optuna.create_study(directions=ways, sampler=sampler)
    most = min(space.trials or _TRIALS, space.size)
    idle = 0
    while len(outcome.measured) < most and idle < _IDLE:
        trials: list[tuple[Any, CoreConfig | None]] = []
        fresh: dict[CoreConfig, None] = {}
        for _ in range(space.batch):
            trial = study.ask()
            config = space.config(dict(_suggested(space, trial)))
            if config is not None and config not in outcome.measured:
                if len(outcome.measured) + len(fresh) >= most and config not in fresh:
                    config = None
                else:
                    fresh[config] = None
            trials.append((trial, config))
        idle = 0 if fresh else idle + 1
        search.measure(list(fresh), most - len(outcome.measured) - len(fresh))
        for trial, config in trials:
            _tell(study, space, trial, outcome.measured[config] if config else None)


def _suggested(space: Space, trial: Any) -> Iterator[tuple[str, Any]]:
    for name, values in space.axes.items():
        if all(isinstance(value, int) for value in values):
            yield name, sorted(values)[trial.suggest_int(name, 0, len(values) - 1)]
        else:
            yield name, trial.suggest_categorical(name, values)


def _tell(study: Any, space: Space, trial: Any, record: Record | None) -> None:
    """Tell a trial's outcome: values and by how much it is outside, or that it failed."""
    from optuna.trial import TrialState

    if record is None or any(record.get(name) is None for name in space.objectives):
        study.tell(trial, state=TrialState.FAIL)
        return
    if record.get("slack_ns") is not None:
        trial.set_constraint("slack_ns", -record["slack_ns"])
    for limit in space.limits:
        if record.get(limit.name) is not None:
            trial.set_constraint(limit.name, limit.excess(record[limit.name]))
    study.tell(trial, [record[name] for name in space.objectives])
