"""How many activations a table should cover (paper, fig. 11)."""

from collections.abc import Sequence

from lutcore.gen.experiments.compare import best, comparable
from lutcore.gen.experiments.paper import BEST_K
from lutcore.gen.experiments.points import Entry, Finding, Plot, Row, Settings, Study, tile
from lutcore.hdl.config.formats import FLOATS

#: A multiple of every K, so that no run is ragged and all accumulators are alike.
_RUN = 60
_SWEPT = range(1, 7)


def _formats(reduced: bool) -> list[tuple[str, str]]:
    """Activation formats and float modes."""
    if reduced:
        return [("int8", "aligned")]
    formats = [("int8", "aligned"), ("int16", "aligned")]
    return formats + [
        (name, mode) for name in ("fp8-e4m3", "fp16") for mode in ("aligned", "exact")
    ]


def _entries(settings: Settings) -> list[Entry]:
    entries = []
    for activation, mode in _formats(settings.reduced):
        exact = activation in FLOATS and mode == "exact"
        for form in ("symmetric",) if exact or settings.reduced else ("symmetric", "subset"):
            kind = f"{activation} {mode}" if activation in FLOATS else activation
            for k in _SWEPT[1:5] if settings.reduced else _SWEPT:
                config = tile(
                    activation=activation,
                    float_mode=mode,
                    m=1,
                    n=1,
                    k=k,
                    group_size=_RUN,
                    precompute="external",
                    table_form=form,
                )
                entries.append(
                    Entry(
                        series=f"{kind}, {form}",
                        point=settings.point(config, deepen=True),
                        labels={"activation": activation, "mode": mode, "form": form, "k": k},
                        counted="columns",
                    )
                )
    return entries


def _findings(rows: Sequence[Row]) -> list[Finding]:
    findings = []
    for series in dict.fromkeys(row["series"] for row in rows):
        found = comparable(rows, series=series)
        published = BEST_K[next(row["activation"] for row in rows if row["series"] == series)]
        missing = sum(row["series"] == series for row in rows) - len(found)
        for metric, what in (
            ("ge_ns_per_op", ""),
            ("unit_ge_ns_per_op", ", its table held for it alone"),
        ):
            top = best(found, metric)
            note = f"{missing} points may not be compared" if missing else ""
            findings.append(
                Finding(
                    what=f"K of the greatest density, {series}{what}",
                    ours=top["k"] if top else None,
                    paper=None if what else published.value,
                    source="" if what else published.source,
                    better="",
                    rows=[top["key"]] if top else [],
                    note=note,
                )
            )
    return findings


STUDY = Study(
    name="k-sweep",
    title="Activations of a table",
    figure="fig. 11",
    method=(
        "One unit (M = N = 1) that reads one table of K activations a cycle, one-bit weights, runs "
        "of 60 elements. Counted are selection and accumulator; the table is held and built "
        "elsewhere, for many columns. The second comparison of each line counts the held table as "
        "this unit's own. Density is products per ns and kGE."
    ),
    entries=_entries,
    findings=_findings,
    plots=[Plot(name="density", kind="lines", x="k", y="density", x_label="K",
                y_label="products per ns and kGE")],
    columns=("k", "ops_per_cycle", "counted_ge", "ge_per_op", "unit_ge_per_op", "reached_ns",
             "density", "slack_ns"),
)  # fmt: skip
