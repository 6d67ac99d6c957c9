"""What an exploration found, as a result like a study's."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lutcore.gen.experiments.points import Entry, Finding, Plot, Row, Settings, shape_label
from lutcore.gen.experiments.report import HEADINGS
from lutcore.gen.experiments.results import result
from lutcore.gen.explore.search import Outcome
from lutcore.gen.explore.space import Space
from lutcore.hdl.config.core import CoreConfig

_METHOD = (
    "{size:,} combinations; {valid} can be built and satisfy what is known before synthesis. "
    "{search} {models}The front has the points within all limits that no other dominates."
)


def exploration(space: Space, outcome: Outcome, source: Path) -> dict[str, Any]:
    """A result as of :func:`lutcore.gen.experiments.results.result`; ``exploration`` in it has the
    counts.

    Parameters
    ----------
    source : Path
        The file of the space; the result has its stem's name.
    """
    best = set(outcome.front(space))
    words = ["lutcore", "explore", str(source)]
    words += ["--liberty", str(space.liberty)] if space.liberty else []
    words += ["--period", str(space.period)] if space.period else []
    return result(
        name=source.stem,
        title=f"Exploration of {source.name}",
        method=_method(space, outcome),
        command=shlex.join(words),
        settings=Settings(liberty=space.liberty, period=space.period, most=space.trials),
        rows=list(_rows(space, outcome, best)),
        findings=list(_findings(outcome)),
        plots=[_plot(space)],
        columns=list(dict.fromkeys([*space.axes, "shape", *space.objectives, *_shown(space)])),
        exploration=_facts(space, outcome) | {"front": len(best)},
    )


def _rows(space: Space, outcome: Outcome, best: set[CoreConfig]) -> Iterator[Row]:
    for config, record in outcome.measured.items():
        labels = {name: getattr(config, name) for name in space.axes}
        entry = Entry(
            series="front" if config in best else "other",
            point=space.point(config),
            labels=labels | {"shape": shape_label(config)},
        )
        yield entry.row(record)


def _plot(space: Space) -> Plot:
    first, second = (*space.objectives, "ops_per_cycle")[:2]
    return Plot(
        name="front",
        kind="scatter",
        x=first,
        y=second,
        x_label=HEADINGS.get(first, (first, ""))[0],
        y_label=HEADINGS.get(second, (second, ""))[0],
        log=True,
    )


def _facts(space: Space, outcome: Outcome) -> dict[str, Any]:
    """What was tried, and how good the models were."""
    return {
        "combinations": space.size,
        "measured": len(outcome.measured),
        "pruned": len(outcome.pruned),
        "left": outcome.left,
        "rejected": dict(space.rejected),
        "models": {name: model.to_dict() for name, model in outcome.models.items()},
        "prediction_errors": {
            name: {
                "rms": _rms(errors),
                "largest": float(np.abs(errors).max()),
                "points": len(errors),
            }
            for name, errors in outcome.predictions.items()
        },
    }


def _rms(errors: ArrayLike) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def _shown(space: Space) -> list[str]:
    named = [limit.name for limit in space.limits]
    if space.target == "asic":
        return [*named, "ops_per_cycle", "core_ge", "ge_per_op", "slack_ns"]
    return [*named, "ops_per_cycle", "core_luts", "luts_per_op", "ff"]


def _method(space: Space, outcome: Outcome) -> str:
    measured, pruned = len(outcome.measured), len(outcome.pruned)
    if space.method == "optuna":
        search = f"Optuna (TPE, seed {space.seed}) chose the {measured} that were measured."
        valid = "those"
    else:
        valid = str(measured + pruned + outcome.left)
        search = f"{measured} were measured, {pruned} ruled out by the model, {outcome.left} left."
    models = "".join(
        f"The model of {name} is wrong by {model.rms_error:.1%} RMS and {model.margin:.1%} at most "
        f"on {len(model.errors)} points that it was not fitted to. "
        for name, model in outcome.models.items()
    )
    return _METHOD.format(size=space.size, valid=valid, search=search, models=models)


def _findings(outcome: Outcome) -> Iterator[Finding]:
    for name, errors in outcome.predictions.items():
        yield Finding(
            what=f"RMS relative error of {name}, predicted before it was measured",
            ours=_rms(errors),
            better="",
            note=f"{len(errors)} points",
        )
