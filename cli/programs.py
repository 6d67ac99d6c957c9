"""The commands ``compile``, ``run`` and ``disasm``: programs of a core, one or a network's."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from lutcore.cli import networks
from lutcore.cli.shared import ERR, OUT, AsJson, GptqVersion, Overrides, print_facts, print_json
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

ProgramFile = Annotated[Path, typer.Argument(metavar="PROGRAM", help="A program's file.")]


def compile_tensor(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Checkpoint: a file or a folder.")],
    program: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    tensor: Annotated[str | None, typer.Option(help="One tensor; else the network.")] = None,
    core: Annotated[str, typer.Option(help="Core: a preset's name or a .toml file.")] = "default",
    activations: Annotated[
        Path | None, typer.Option(help="Activations: .npy [M, K], or .npz by tensor name.")
    ] = None,
    rows: Annotated[
        int, typer.Option(help="Activation rows (M) to use; 0: all of the file.", min=0)
    ] = 0,
    seed: Annotated[int, typer.Option(help="Seed of random activations.")] = 0,
    result: Annotated[str, typer.Option(help="fp32, int32, fp16 or bf16.")] = "fp32",
    latency: Annotated[int, typer.Option(help="Memory's latency that blocks are cut for.")] = 20,
    explain: Annotated[
        bool, typer.Option("--explain", help="List all ways to cut it, the chosen one first.")
    ] = False,
    batch: Annotated[
        str, typer.Option(help="Network: rows of activations that programs are for, e.g. 1,16.")
    ] = "",
    bits: Annotated[
        int, typer.Option(help="Network: round float matrices to so many bits.", min=0, max=8)
    ] = 0,
    group: Annotated[int, typer.Option(help="Network: scale group of --bits.", min=1)] = 32,
    dump: Annotated[
        Path | None, typer.Option(help="Network: folder for its graph before and after each pass.")
    ] = None,
    gptq_version: GptqVersion = None,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Compile a checkpoint's network to one file; with --tensor, write the program of one mpGEMM.

    The program holds activations: --activations, or random ones, --rows of them or one.
    """
    if tensor is None:
        if activations is not None:
            raise InputError("--activations needs --tensor")
        from lutcore.compiler.importers.checkpoint import open_checkpoint

        checkpoint = open_checkpoint(model, gptq_version)
        networks.compile_model(
            checkpoint, program, core, overrides, batch, bits, group, dump, as_json
        )
        return
    import numpy as np

    from lutcore.compiler.lowering.gemm import placed, plan, refuse_minimums
    from lutcore.compiler.schedule.engine_times import Memory
    from lutcore.compiler.schedule.search import search
    from lutcore.gen.run.tile import load_activations, load_tensor, random_activations

    config = load_config(core, overrides or ())
    weights = load_tensor(model, tensor, gptq_version)
    if activations is None:
        rng = np.random.default_rng(seed)
        values = random_activations(config, rows or 1, weights.shape[1], rng)
    else:
        values = load_activations(activations, weights, config, rows)
    refuse_minimums(weights)
    memory = Memory(latency=latency)
    planned = plan(config, weights, len(values), result, memory)
    made = placed(planned, values)
    made.save(program)
    (n, k), size = weights.shape, made.memory.size
    ways: list[dict[str, Any]] = []
    if explain:
        found = search(planned.problem(memory), exhaustive=True)
        ways = [candidate.facts() for candidate in found]
    if as_json:
        shape = {"m": len(values), "n": n, "k": k}
        print_json(shape | {"instructions": len(made.words), "bytes": size, "schedules": ways})
        return
    if ways:
        table = Table(title="schedules, the chosen one first", title_justify="left")
        for name in ("outermost", "rows x tiles", "kept", "runs / blocks", "KiB read", "cycles"):
            table.add_column(name)
        for way in ways:
            block = f"{way['rows']} x {way['column_tiles']}"
            rings = f"{way['runs_buffered']} / {way['blocks_buffered']}"
            counts = (f"{way['bytes_read'] / 1024:,.0f}", f"{way['cycles']:,}")
            table.add_row(way["outermost"], block, way["kept"], rings, *counts)
        OUT.print(table)
    OUT.print(
        f"wrote {program}: M {len(values)}, N {n}, K {k}, {len(made.words)} instructions, "
        f"{size / 1024:.0f} KiB of memory",
        highlight=False,
        soft_wrap=True,
    )


def run(
    program: ProgramFile,
    on: Annotated[
        str,
        typer.Option(
            "--on", help="isa: the model; rtl: Verilator; board: see --port; networks: golden too."
        ),
    ] = "isa",
    port: Annotated[
        str | None, typer.Option(help="Serial port of a board, or sim: a simulated board.")
    ] = None,
    baud: Annotated[
        int, typer.Option(help="Bits a second of the board's link, as its metadata say.", min=1)
    ] = 3_000_000,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the result as .npy.")
    ] = None,
    stall: Annotated[
        float, typer.Option(help="RTL: probability that the bus pauses.", min=0, max=0.95)
    ] = 0.0,
    latency: Annotated[int, typer.Option(help="RTL: cycles of memory latency.", min=1)] = 20,
    tokens: Annotated[
        str | None, typer.Option(help="Network: tokens, e.g. 72,105, or an .npy of them.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Network: seed of random tokens.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Execute a program of a core; on RTL or a board the result is held against the ISA model.

    A network's file: every matrix on the core, each product held against the golden model.
    Exit status 1 where they differ, or the program ends with a fault.
    """
    import numpy as np

    from lutcore.compiler.lowering.container import is_container

    if (on == "board") != (port is not None):
        raise InputError("--on board and --port go together: give a serial port, or sim")
    if is_container(program):
        networks.run_model(program, on, port, baud, tokens, seed, output, as_json)
        return
    if tokens is not None:
        raise InputError("--tokens are for networks: compile one without --tensor")

    from lutcore.compiler.program.program import Program
    from lutcore.fpga.host.run import run_on_board
    from lutcore.gen.run.machines import MACHINES
    from lutcore.gen.run.program import compare
    from lutcore.verif.sim.core import Conditions

    if on not in (*MACHINES, "board"):
        raise InputError(f"--on must be one of {', '.join(MACHINES)}, board, not {on!r}")
    loaded = Program.load(program)
    with ERR.status(f"running {program.name} on {on}"):
        if port is not None:
            result = run_on_board(loaded, port, baud)
        else:
            result = compare(loaded, on, Conditions(stall=stall, latency=latency))
    if output is not None:
        try:
            with output.open("wb") as file:
                np.save(file, result.output)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
    facts = result.facts()
    if as_json:
        print_json(facts)
    else:
        print_facts(f"{program.name} on {on}", facts)
    raise typer.Exit(int(result.state.cause != 0 or result.mismatches > 0))


def disasm(
    program: ProgramFile,
    layer: Annotated[str | None, typer.Option(help="Network: one matrix.")] = None,
) -> None:
    """Print the instructions of a program, or of those of a network."""
    from lutcore.compiler.lowering.container import is_container

    if is_container(program):
        networks.disassemble_model(program, layer)
        return

    from lutcore.compiler.program.assembler import disassemble
    from lutcore.compiler.program.program import Program

    sys.stdout.write(disassemble(Program.load(program).words))
