"""The commands ``matrix compile`` and ``matrix run``: the program of one mpGEMM."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutcore.cli.options import (
    Activations,
    AsJson,
    Baud,
    Core,
    Force,
    GptqVersion,
    Latency,
    Model,
    Overrides,
    Port,
    Rows,
    Seed,
    Stall,
    ToArray,
)
from lutcore.cli.shared import (
    ERR,
    Column,
    print_facts,
    print_json,
    print_table,
    print_written,
)
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    import numpy as np

    from lutcore.gen.run.matrix import Compiled

commands = typer.Typer(no_args_is_help=True, help="Compile and run one matrix of a checkpoint.")

Result = Annotated[str, typer.Option(help="fp32, int32, fp16 or bf16.")]
MemoryLatency = Annotated[int, typer.Option(help="Memory's latency that blocks are cut for.")]
Explain = Annotated[
    bool, typer.Option("--explain", help="List all ways to cut it, the chosen one first.")
]


@commands.command("compile")
def compile_matrix(
    model: Model,
    tensor: Annotated[str, typer.Option(help="The tensor that holds the matrix.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    core: Core = "default",
    activations: Activations = None,
    rows: Rows = 0,
    seed: Seed = 0,
    result: Result = "fp32",
    latency: MemoryLatency = 20,
    explain: Explain = False,
    force: Force = False,
    gptq_version: GptqVersion = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write the program of one mpGEMM of a checkpoint's tensor, its memory included.

    The program holds activations: --activations, or random ones, --rows of them or one.

    Example: lutcore matrix compile examples/minilm.gguf --tensor blk.0.ffn_up.weight -o ffn.lut
    """
    from lutcore.gen.run.matrix import compile_matrix
    from lutcore.gen.run.tile import load_problem

    config = load_config(core, overrides or ())
    weights, values = load_problem(config, model, tensor, activations, rows, 1, seed, gptq_version)
    made = compile_matrix(config, weights, values, result, latency, explain)
    made.program.save(output, force)
    if as_json:
        print_json(made.facts())
    else:
        _print(made)
        print_written(output, note=made.words())


def _print(made: "Compiled") -> None:
    if not made.schedules:
        return
    rows = [
        (
            way["outermost"],
            f"{way['rows']} x {way['column_tiles']}",
            way["kept"],
            f"{way['runs_buffered']} / {way['blocks_buffered']}",
            f"{way['bytes_read'] / 1024:,.0f}",
            f"{way['cycles']:,}",
        )
        for way in made.schedules
    ]
    headings = ("outermost", "rows x tiles", "kept", "runs / blocks", "KiB read", "cycles")
    print_table("schedules, the chosen one first", tuple(map(Column, headings)), rows)


@commands.command("run")
def run_matrix(
    program: Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program's file.")],
    on: Annotated[
        str, typer.Option("--on", help="isa: the model; rtl: Verilator; board: see --port.")
    ] = "isa",
    port: Port = None,
    baud: Baud = 3_000_000,
    output: ToArray = None,
    force: Force = False,
    stall: Stall = 0.0,
    latency: Latency = 20,
    as_json: AsJson = False,
) -> None:
    """Execute a program of a core; on RTL or a board the result is held against the ISA model.

    Exit status 1 where they differ, or the program ends with a fault.

    Example: lutcore matrix run ffn.lut --on isa
    """
    from lutcore.compiler.program.program import Program
    from lutcore.fpga.host.run import run_on_board
    from lutcore.gen.run.machines import MACHINES
    from lutcore.gen.run.program import compare
    from lutcore.verif.sim.core import Conditions

    check_port(on, port)
    if on not in (*MACHINES, "board"):
        raise InputError(f"--on must be one of {', '.join(MACHINES)}, board, not {on!r}")
    loaded = Program.load(program)
    with ERR.status(f"running {program.name} on {on}"):
        if port is not None:
            result = run_on_board(loaded, port, baud)
        else:
            result = compare(loaded, on, Conditions(stall=stall, latency=latency))
    write_result(program, result.numbers, output, force)
    print_run(f"{program.name} on {on}", result.facts(), as_json)
    raise typer.Exit(int(result.state.cause != 0 or result.mismatches > 0))


def write_result(file: Path, numbers: "np.ndarray", output: Path | None, force: bool) -> None:
    """Write what a run of a file has computed, if that is wanted."""
    if output is not None:
        from lutcore.arrays import write_array

        write_array(output, numbers, f"run {file.name}", force)


def print_run(title: str, facts: dict[str, Any], as_json: bool) -> None:
    """Print what a run has counted."""
    if as_json:
        print_json(facts)
    else:
        print_facts(title, facts)


def check_port(on: str, port: str | None) -> None:
    """Refuse a board without a port, or a port without a board."""
    if (on == "board") != (port is not None):
        raise InputError("--on board and --port go together: give a serial port, or sim")
