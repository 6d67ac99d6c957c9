"""The command ``energy``: energy of a product of a tile."""

from typing import TYPE_CHECKING, Annotated

import typer

from lutcore.cli.options import AsJson, Config, Liberties, Overrides, Seed
from lutcore.cli.shared import ERR, Column, print_facts, print_json, print_table
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.gen.energy.energy import EnergyReport


def energy(
    config: Config,
    liberty: Liberties = None,
    period: Annotated[
        float | None,
        typer.Option(
            metavar="NS", help="Clock period to meet; default 1, or a longer one that is met."
        ),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Bits of the weights; default the widest.", min=1, max=8)
    ] = None,
    stimulus: Annotated[
        str, typer.Option(help="random, or example: the weights of the example checkpoint.")
    ] = "random",
    seed: Seed = 0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Measure the energy of a product: the mapped netlist's toggles, weighed by the library.

    The library needs power data, and OpenSTA weighs them. Exit status 1 where the netlist does not
    meet the period: such a figure must not be compared.

    Example: lutcore energy dense-w1a8 --set n=2 --set lookups=2 --liberty demo --period 3
    """
    from lutcore.gen.energy.energy import energy as measure

    core = load_config(config, overrides or ())
    with ERR.status(f"measuring {core.name}"):
        report = measure(
            core,
            liberty or None,
            period=period,
            stimulus=stimulus,
            seed=seed,
            weight_bits=bits,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report)
    raise typer.Exit(int(report.slack_ns is not None and report.slack_ns < 0))


def _print(report: "EnergyReport") -> None:
    rows: list[tuple[str, ...] | None] = [
        (block, f"{power:.4f}", f"{power / report.power_mw:.1%}")
        for block, power in report.blocks.items()
    ]
    rows += [None, ("total", f"{report.power_mw:.4f}")]
    columns = (Column("block"), Column.number("mW"), Column.number("share"))
    print_table(f"{report.design}: power on {report.liberty}", columns, rows)
    facts = {
        "fJ a product": f"{report.energy_fj_per_op:.2f}",
        "of it internal": f"{report.internal_fj:.2f}",
        "of it switching": f"{report.switching_fj:.2f}",
        "of it leakage": f"{report.leakage_fj:.2f}",
        "core, without the results' way out": f"{report.core_energy_fj_per_op:.2f}",
        "a product": f"{report.weight_bits}-bit weights, {report.stimulus}",
        "cycles": f"{report.cycles:,} ({report.slices:,} slices)",
        f"{report.period_ns:g} ns": _met(report.period_ns, report.slack_ns),
    }
    print_facts("energy", facts)


def _met(period: float, slack: float | None) -> str:
    from lutcore.gen.asic.advice import reached

    if slack is None:
        return "not analysed"
    late = f": {reached(period, slack)} ns would be" if slack < 0 else ""
    return f"{'NOT met' if slack < 0 else 'met'}, slack {slack:.4f} ns{late}"
