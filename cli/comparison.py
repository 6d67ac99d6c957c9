"""The command ``compare``: configurations side by side."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from lutcore.cli.options import AsJson, Liberty, Overrides, Period, configurations
from lutcore.cli.shared import OUT, Column, print_json, print_table, progress_bar, say
from lutcore.errors import InputError
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config


def compare(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]",
            help="Preset names or .toml files.",
            autocompletion=configurations,
        ),
    ],
    liberty: Liberty = None,
    period: Period = None,
    bits: Annotated[
        int,
        typer.Option(
            help="Bits of the weights whose products count; 0: the widest that all take.",
            min=0,
            max=8,
        ),
    ] = 0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compare configurations: area, rate, time and energy of the same products, A being 100 %.

    Products are of whole weights, equally wide on all sides. A side that misses the period counts
    with the one that it reaches. Energy needs a library with power data. Exit status 1 where a
    side could not be measured, which its cells say.

    Example: lutcore compare dense-w1a8 mac-int8 --set n=2 --set lookups=2
    """
    from lutcore.gen.experiments.campaign import timing
    from lutcore.gen.experiments.side_by_side import side_by_side

    chosen = _chosen(configs, overrides or ())
    period, warning = timing(liberty, period)
    if warning:
        say(warning.replace(", and not compared", ", which flatters the slow"), "yellow")
    with progress_bar("configurations") as progress:
        task = progress.add_task("comparing", total=len(chosen))
        found = side_by_side(chosen, liberty, period, bits, lambda: progress.advance(task))
    if as_json:
        print_json(found)
    else:
        _print(found)
    raise typer.Exit(int(any(side["errors"] for side in found["sides"])))


def _chosen(sources: Sequence[str], overrides: Sequence[str]) -> dict[str, CoreConfig]:
    if len(sources) < 2:
        raise InputError("compare takes two configurations or more")
    if len(set(sources)) < len(sources):
        raise InputError("compare takes different configurations: one of them stands twice")
    return {source: load_config(source, overrides) for source in sources}


def _print(found: dict[str, Any]) -> None:
    from lutcore.gen.experiments.side_by_side import FIGURES

    sides = found["sides"]
    rows: list[Sequence[str] | None] = [
        ("engine, activation", *(_what(side["config"]) for side in sides)),
        ("shape", *(side["shape"] for side in sides)),
        ("weights", *(side["weights"] for side in sides)),
        None,
    ]
    for name, words in FIGURES.items():
        if any(side["figures"][name] is not None for side in sides):
            rows.append((words, *(_cell(side, name) for side in sides)))
    if any(side["slack_ns"] is not None for side in sides):
        slacks = ("" if side["slack_ns"] is None else f"{side['slack_ns']:.3f}" for side in sides)
        rows.insert(-2, (f"slack at {found['period_ns']:g} ns", *slacks))
    if any(side["errors"] for side in sides):
        rows += [None, ("failed", *(_failed(side) for side in sides))]
    library = f" on {found['liberty']}" if found["liberty"] else ""
    title = f"Products of {found['weight_bits']}-bit weights{library}"
    columns = (Column(""), *(Column.number(side["name"]) for side in sides))
    print_table(title, columns, rows)
    if found["period_ns"] is None:
        OUT.print("timing and energy: not measured", highlight=False)


def _what(config: dict[str, Any]) -> str:
    return f"{config['engine']}, {config['activation']}"


def _cell(side: dict[str, Any], name: str) -> str:
    value, ratio = side["figures"][name], side["ratios"][name]
    if value is None:
        return "failed" if side["errors"] else ""
    number = f"{value:,.0f}" if float(value).is_integer() or value >= 1000 else f"{value:,.4g}"
    return number if ratio is None else f"{number} ({ratio:.0%})"


def _failed(side: dict[str, Any]) -> str:
    return "; ".join(f"{part}: {why}" for part, why in side["errors"].items())
