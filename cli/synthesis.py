"""The command ``synth``: area and timing of a tile."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lutcore.cli.options import AsJson, Config, Corners, Force, Liberties, Overrides
from lutcore.cli.shared import ERR, OUT, Column, print_facts, print_json, print_table, print_written
from lutcore.errors import InputError
from lutcore.files import write_files
from lutcore.gen.luts.families import FAMILIES
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.gen.asic.corners import Corner
    from lutcore.gen.asic.synth import AreaReport


def synth(
    config: Config,
    target: Annotated[str, typer.Option(help=f"asic, {', '.join(FAMILIES)}.")] = "asic",
    liberty: Liberties = None,
    period: Annotated[
        float | None, typer.Option(help="Clock period in ns to meet; needs OpenSTA (sta).")
    ] = None,
    corner: Corners = None,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="LOW:HIGH[:STEP]",
            help="Clock periods in ns to try, in steps of 0.1 and finer around the best, or in "
            "steps of STEP; then other places of the pipeline cut at the best.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Folder for the netlist, models of its cells, and a bench for both; of a sweep, "
            "for its JSON and plot.",
        ),
    ] = None,
    overrides: Overrides = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Synthesise a tile and report its area and timing, block by block.

    Exit status 1 where the period is not met; then the report names the period that would be, and
    a field to change. A sweep lists gate equivalents times period of each product for every
    period, and names the best; a period that is missed counts as the one that is met.

    Example: lutcore synth dense-w1a8 --set n=4
    """
    core = load_config(config, overrides or ())
    if target != "asic":
        if liberty or period is not None or sweep or output or corner:
            options = "--liberty, --period, --corner, --sweep and -o"
            raise InputError(f"{options} are for target asic, not {target}")
        _synth_fpga(core, target, as_json)
    elif sweep:
        if period is not None:
            raise InputError("--sweep tries many periods: leave --period out")
        if corner:
            raise InputError("--corner is for one netlist, not for --sweep: leave one of them out")
        _sweep(core, liberty, sweep, output, force, as_json)
    else:
        _synth(core, liberty, period, corner, output, force, as_json)


def _synth(
    core: CoreConfig,
    liberty: list[Path] | None,
    period: float | None,
    corner: list[Path] | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    from lutcore.gen.asic.synth import synthesise

    if corner and period is None:
        raise InputError("--corner times a netlist: give its clock with --period")
    with ERR.status(f"synthesising {core.name}"):
        report = synthesise(core, liberty or None, period=period)
        timed = _at_corners(core, liberty, corner, period) if corner and period else {}
        written = _write_netlist(core, liberty, period, output, force) if output else []
    if as_json:
        slacks = {name: at._asdict() for name, at in timed.items()}
        print_json(report.to_dict() | {"corners": slacks, "files": list(map(str, written))})
    else:
        _print_area(core.name, report)
        _print_timing(report, period)
        _print_corners(timed, period)
        print_written(*written)
    worst = min([report.slack_ns or 0.0, *(at.setup_ns for at in timed.values())])
    raise typer.Exit(int(worst < 0))


def _at_corners(
    core: CoreConfig, liberty: list[Path] | None, others: list[Path], period: float
) -> dict[str, "Corner"]:
    from lutcore.gen.asic.corners import corners

    return corners(core, liberty or None, others, period)


def _print_corners(timed: dict[str, "Corner"], period: float | None) -> None:
    from lutcore.gen.asic.advice import reached

    for name, at in timed.items():
        late = at.setup_ns < 0 and f", {reached(period or 0.0, at.setup_ns)} ns would be"
        met = f"{period} ns {'NOT ' if late else ''}met{late or ''}"
        slacks = f"slack {at.setup_ns:.4f} ns, of hold {at.hold_ns:.4f} ns"
        OUT.print(f"at {name}: {met}, {slacks}", highlight=False)


def _write_netlist(
    core: CoreConfig, liberty: list[Path] | None, period: float | None, output: Path, force: bool
) -> list[Path]:
    from lutcore.gen.emit.rtl import command
    from lutcore.gen.verify.handoff import netlist_files

    files = netlist_files(core, liberty or None, period=period)
    by = command(core, "tile")
    return write_files(output, files, f"{by}, configuration {core.digest}", force)


def _sweep(
    core: CoreConfig,
    liberty: list[Path] | None,
    text: str,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    from lutcore.cli.studies import need_extra
    from lutcore.gen.asic.sweep import HALVINGS, periods, sweep

    at = periods(text)
    if output:
        need_extra()
    with ERR.status("") as status:

        def told(what: str) -> None:
            status.update(f"synthesising {core.name} {what}")

        halvings = HALVINGS if text.count(":") == 1 else 0
        found = sweep(core, liberty or None, at, halvings=halvings, told=told)
    if output:
        from lutcore.gen.experiments.sweep_plot import sweep_plot

        images = sweep_plot(found, core.name)
        files = {f"{core.name}-sweep.json": json.dumps(found.to_dict(), indent=1) + "\n", **images}
        write_files(output, files, f"synth --sweep {core.name}", force)
    if as_json:
        print_json(found.to_dict())
        return
    rows: list[tuple[str, ...] | None] = [_sweep_row(report) for report in found.periods]
    if found.cuts:
        rows += [None, *map(_sweep_row, found.cuts)]
    names = ("asked ns", "met ns", "core GE", "all GE", "core GE ns", "all GE ns")
    columns = (Column("pipeline cut"), *map(Column.number, names))
    title = f"{core.name} on {found.best.liberty}: GE times ns of one product"
    print_table(title, columns, rows)
    best = _sweep_row(found.best)
    cut = f", pipeline_cut={best[0]}" if best[0] else ""
    OUT.print(f"best: {best[2]} ns{cut}, {best[5]} GE ns a product", highlight=False)


def _sweep_row(report: "AreaReport") -> tuple[str, ...]:
    config = CoreConfig.from_dict(report.config)
    cut = str(config.pipeline_cut) if config.can_keep_carries else ""
    areas = (report.core_gate_equivalents, report.gate_equivalents)
    rates = (report.core_ge_ns or 0.0, report.ge_ns or 0.0)
    periods = (f"{report.period_ns:g}", f"{report.reached_ns:g}")
    return (cut, *periods, *(f"{a:,.0f}" for a in areas), *(f"{r:.1f}" for r in rates))


def _print_area(name: str, report: "AreaReport") -> None:
    rows: list[tuple[str, ...] | None] = []
    for block, area in report.blocks.items():
        slack = report.block_slack_ns.get(block)
        late = "" if slack is None else f"{slack:.3f}"
        rows.append((block, f"{area:,.0f}", _share(area, report), late))
    rows.append(None)
    core = report.core_gate_equivalents
    rows.append(("core: without the results' way out", f"{core:,.0f}", _share(core, report)))
    rows.append(("total", f"{report.gate_equivalents:,.0f}"))
    rows.append(("of it flip-flops", f"{report.sequential_gate_equivalents:,.0f}"))
    columns = (Column("block"), *map(Column.number, ("gate equivalents", "share", "slack ns")))
    print_table(f"{name}: area on {report.liberty}", columns, rows)
    if report.area_um2 is not None:
        OUT.print(f"area {report.area_um2:,.1f} um2, {report.cells:,} cells", highlight=False)


def _share(area: float, report: "AreaReport") -> str:
    return f"{area / report.gate_equivalents:.1%}"


def _print_timing(report: "AreaReport", period: float | None) -> None:
    if report.slack_ns is None:
        why = "OpenSTA is not installed" if period else "no --period"
        OUT.print(f"timing: not analysed ({why})", highlight=False)
        return
    met = "NOT met" if report.slack_ns < 0 else "met"
    OUT.print(f"timing: {period} ns {met}, slack {report.slack_ns:.4f} ns", highlight=False)
    for stage in report.path:
        OUT.print(f"  {stage}", highlight=False)
    if report.slack_ns < 0:
        OUT.print(f"{report.reached_ns} ns would be met.", highlight=False)
        if advice := report.advice:
            text = f"Block {advice.block} is the latest: try --set {advice.change} ({advice.why})."
            OUT.print(text, highlight=False, soft_wrap=True)


def _synth_fpga(core: CoreConfig, family: str, as_json: bool) -> None:
    from lutcore.gen.luts.synth import synthesise_fpga

    with ERR.status(f"synthesising {core.name} for {family}"):
        report = synthesise_fpga(core, family)
    if as_json:
        print_json(report.to_dict())
        return
    rows = [(block, f"{luts:,}") for block, luts in report.blocks.items()]
    title = f"{core.name}: LUTs on {family}, hierarchy kept"
    print_table(title, (Column("block"), Column.number("LUTs")), rows)
    resources = {
        f"LUTs, hierarchy {report.hierarchy}": report.luts,
        "of it memory": report.lutram,
        "carry cells": report.carry,
        "flip-flops": report.ff,
        "block memories": report.bram,
        "multipliers": report.dsp,
        "LUTs per product a cycle": f"{report.luts / core.products_per_cycle:.2f}",
    }
    print_facts("before place and route", resources)
