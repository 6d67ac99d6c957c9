"""The command ``lutcore``: parses, calls, prints.

Exit status 0 done, 1 a check failed, 2 bad input or a missing tool.
"""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from lutcore.cli import boards, checkpoints, demo, language, performance, programs, studies
from lutcore.cli.shared import (
    ERR,
    OUT,
    AsJson,
    GptqVersion,
    Overrides,
    library,
    print_facts,
    print_json,
    say,
)
from lutcore.errors import InputError, ToolError
from lutcore.gen.luts.families import FAMILIES
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, load_config
from lutcore.machine import check_platform

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Generate, verify and measure lookup-table tensor cores.\n\n"
    "CONFIG is a preset's name or a .toml file with the fields of a configuration; "
    "[bold]--set field=value[/bold] changes single fields. "
    "Presets: " + ", ".join([*PRESETS, *CORE_PRESETS]) + ".",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lutcore.version import __version__

        OUT.print(f"lutcore {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    check_platform()


Config = Annotated[str, typer.Argument(metavar="CONFIG", help="Preset name or .toml file.")]


def _shape(text: str) -> tuple[int, int, int]:
    try:
        m, n, k = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--shape takes M,N,K, for example 2,64,256, not {text!r}") from None
    if min(m, n, k) < 1:
        raise InputError(f"--shape takes positive sizes, not {text!r}")
    return m, n, k


@app.command()
def generate(
    config: Config,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    top: Annotated[
        str, typer.Option(help="tile, core (between streams) or axi (with registers).")
    ] = "tile",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write Verilog, metadata JSON, FuseSoC core and lint waivers of a tile or a core."""
    from lutcore.gen.emit.generate import generate as generate_files

    core = load_config(config, overrides or ())
    written = generate_files(core, output, top)
    if as_json:
        print_json(json.loads((output / f"{core.name}.json").read_text()))
        return
    for path in written:
        OUT.print(f"wrote {path}", highlight=False, soft_wrap=True)


@app.command()
def simulate(
    config: Config,
    model: Annotated[Path | None, typer.Option(help="Checkpoint: GGUF or safetensors.")] = None,
    tensor: Annotated[str | None, typer.Option(help="Tensor of the checkpoint.")] = None,
    activations: Annotated[
        Path | None, typer.Option(help="Activations: .npy [M, K], or .npz by tensor name.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Activation rows (M) to use; 0 for all.", min=0)] = 0,
    shape: Annotated[str, typer.Option(help="M,N,K of a random problem.")] = "2,64,256",
    bits: Annotated[int, typer.Option(help="Weight bits of a random problem; 0: widest.")] = 0,
    group: Annotated[int, typer.Option(help="Scale group of a random problem.", min=1)] = 64,
    seed: Annotated[int, typer.Option(help="Seed of random data and stalls.")] = 0,
    stall: Annotated[
        float, typer.Option(help="Probability that a stream pauses in a cycle.", min=0, max=0.95)
    ] = 0.0,
    order: Annotated[
        str | None,
        typer.Option(help="Order of planes: ascending, descending, shuffled, plane-major."),
    ] = None,
    simulator: Annotated[str, typer.Option("--sim", help="verilator or icarus.")] = "verilator",
    waves: Annotated[
        Path | None, typer.Option(help="Write a waveform (FST, or VCD without lz4's header).")
    ] = None,
    gptq_version: GptqVersion = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Run one mpGEMM on RTL and hold every integer against the golden model.

    The problem is a tensor of a checkpoint (--model, --tensor) or random (--shape, --bits, --seed).
    Without --activations the activations are random too.
    """
    import numpy as np

    from lutcore.gen.run.tile import (
        load_activations,
        load_tensor,
        random_activations,
        random_tensor,
        simulate,
    )
    from lutcore.verif.sim.job import Stalls

    core = load_config(config, overrides or ())
    rng = np.random.default_rng(seed)
    m, n, k = _shape(shape)
    if model is not None:
        weights = load_tensor(model, tensor, gptq_version)
    elif tensor is not None or activations is not None:
        raise InputError("--tensor and --activations need --model")
    else:
        shared = core.zero_points == "shared"
        ternary = core.weight_coding == "ternary"
        bits = bits or core.max_weight_bits
        weights = random_tensor((n, k), bits, group, rng, shared, ternary)
    if activations is not None:
        values = load_activations(activations, weights, core, rows)
    else:
        values = random_activations(core, rows or m, weights.shape[1], rng)
    with ERR.status(f"simulating {core.name} on {simulator}"):
        report = simulate(
            core,
            weights,
            values,
            model=model.name if model else None,
            seed=seed,
            stalls=Stalls(stall, stall, stall, stall),
            order=order,
            simulator=simulator,
            waves=waves,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        m, n, k = report.shape
        rows_shown = {
            "tensor": f"{report.tensor} ({report.kind})",
            "shape": f"M {m}, N {n}, K {k}, {report.weight_bits}-bit weights",
            "activations": str(activations) if activations else f"random, seed {seed}",
            "cycles": f"{report.cycles} ({report.slices} slices)",
            "mismatches": report.mismatches,
            "simulator": f"{report.simulator}, {report.seconds} s",
        }
        if report.waves:
            rows_shown["waveform"] = report.waves
        print_facts(f"{core.name} against the golden model", rows_shown)
        for problem in report.problems[:10]:
            ERR.print(f"mismatch: {problem}", highlight=False)
    if report.mismatches:
        raise typer.Exit(1)


@app.command()
def synth(
    config: Config,
    target: Annotated[str, typer.Option(help=f"asic, {', '.join(FAMILIES)}.")] = "asic",
    liberty: Annotated[
        list[Path] | None,
        typer.Option(
            parser=library,
            metavar="FILE",
            help="Liberty library, plain or .gz, of several files repeatable; "
            "demo: a small synthetic one, for trying; default a neutral one without timing.",
        ),
    ] = None,
    period: Annotated[
        float | None, typer.Option(help="Clock period in ns to meet; needs OpenSTA (sta).")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Synthesise a tile and report its area and timing, block by block.

    Exit status 1 where the period is not met.
    """
    from lutcore.gen.asic.synth import synthesise

    core = load_config(config, overrides or ())
    if target != "asic":
        if liberty or period is not None:
            raise InputError(f"--liberty and --period are for target asic, not {target}")
        _synth_fpga(core, target, as_json)
        return
    with ERR.status(f"synthesising {core.name}"):
        report = synthesise(core, liberty or None, period=period)
    missed = report.slack_ns is not None and report.slack_ns < 0
    if as_json:
        print_json(report.to_dict())
        raise typer.Exit(int(missed))
    table = Table(title=f"{core.name}: area on {report.liberty}", title_justify="left")
    table.add_column("block")
    table.add_column("gate equivalents", justify="right")
    table.add_column("share", justify="right")
    table.add_column("slack ns", justify="right")
    for block, area in report.blocks.items():
        share = f"{area / report.gate_equivalents:.1%}"
        slack = report.block_slack_ns.get(block)
        table.add_row(block, f"{area:,.0f}", share, "" if slack is None else f"{slack:.3f}")
    table.add_section()
    table.add_row("total", f"{report.gate_equivalents:,.0f}", "")
    table.add_row("of it flip-flops", f"{report.sequential_gate_equivalents:,.0f}", "")
    OUT.print(table)
    if report.area_um2 is not None:
        OUT.print(f"area {report.area_um2:,.1f} um2, {report.cells:,} cells", highlight=False)
    if report.slack_ns is None:
        why = "OpenSTA is not installed" if period else "no --period"
        OUT.print(f"timing: not analysed ({why})", highlight=False)
        return
    met = "NOT met" if missed else "met"
    OUT.print(f"timing: {period} ns {met}, slack {report.slack_ns:.4f} ns", highlight=False)
    for stage in report.path:
        OUT.print(f"  {stage}", highlight=False)
    raise typer.Exit(int(missed))


def _synth_fpga(core: CoreConfig, family: str, as_json: bool) -> None:
    from lutcore.gen.luts.synth import synthesise_fpga

    with ERR.status(f"synthesising {core.name} for {family}"):
        report = synthesise_fpga(core, family)
    if as_json:
        print_json(report.to_dict())
        return
    table = Table(title=f"{core.name}: LUTs on {family}, hierarchy kept", title_justify="left")
    table.add_column("block")
    table.add_column("LUTs", justify="right")
    for block, luts in report.blocks.items():
        table.add_row(block, f"{luts:,}")
    OUT.print(table)
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


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say which tools are here, at which version, and how to get the missing ones."""
    from dataclasses import asdict

    from lutcore.gen.tools.doctor import examine

    tools = examine()
    missing = [tool for tool in tools if tool.required and tool.version is None]
    if as_json:
        print_json([asdict(tool) for tool in tools])
    else:
        table = Table(title="Tools", title_justify="left")
        for heading in ("tool", "for", "version"):
            table.add_column(heading)
        table.add_column("how to get it", no_wrap=True)
        for tool in tools:
            absent = "[red]missing[/red]" if tool.required else "absent (optional)"
            remedy = "" if tool.version else tool.remedy
            table.add_row(tool.name, tool.purpose, tool.version or absent, remedy)
        OUT.print(table)
    if missing:
        raise typer.Exit(2)


app.command()(demo.demo)
app.command()(checkpoints.inspect)
app.command()(boards.bitstream)
app.command("compile")(programs.compile_tensor)
app.command()(programs.run)
app.command()(programs.disasm)
app.command()(language.generate_text)
app.command()(language.chat)
app.command()(language.perplexity)
app.command()(performance.performance)
app.command()(studies.study)
app.command()(studies.explore)


def main() -> None:
    """Entry point: errors of the user become one line and exit status 2."""
    try:
        app()
    except InputError as error:
        say(str(error), "red")
        sys.exit(2)
    except ToolError as error:
        say(str(error), "red")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
