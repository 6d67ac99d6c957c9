"""The commands ``compile``, ``run`` and ``disasm``: whole networks, each one file."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutcore.cli import matrix
from lutcore.cli.options import (
    AsJson,
    Baud,
    Core,
    Force,
    GptqVersion,
    Model,
    Overrides,
    Port,
    Seed,
    ToArray,
)
from lutcore.cli.shared import (
    ERR,
    OUT,
    old_spelling,
    print_facts,
    print_json,
    print_written,
    progress_bar,
)
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    import numpy as np

    from lutcore.compiler.graph.ir import Graph
    from lutcore.compiler.importers.checkpoint import Checkpoint
    from lutcore.compiler.lowering.container import Container
    from lutcore.gen.run.backends import Backend
    from lutcore.gen.run.network import Network

Ignored = Annotated[
    list[str] | None,
    typer.Option(
        "--ignore",
        metavar="NAME",
        help="A key or tensor that is not understood and, as you say, changes nothing.",
    ),
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="What compile wrote.")]


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers between commas."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"{option} takes whole numbers between commas, not {text!r}") from None


def compile_model(
    model: Model,
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    core: Core = "default",
    batch: Annotated[
        str, typer.Option(help="Rows of activations that programs are for, e.g. 1,16.")
    ] = "",
    bits: Annotated[
        int, typer.Option(help="Round float matrices to so many bits.", min=0, max=8)
    ] = 0,
    group: Annotated[int, typer.Option(help="Scale group of --bits.", min=1)] = 32,
    dump: Annotated[
        Path | None, typer.Option(help="Folder for its graph before and after each pass.")
    ] = None,
    force: Force = False,
    gptq_version: GptqVersion = None,
    ignore: Ignored = None,
    tensor: Annotated[str | None, typer.Option(hidden=True)] = None,
    activations: Annotated[Path | None, typer.Option(hidden=True)] = None,
    rows: Annotated[int, typer.Option(hidden=True, min=0)] = 0,
    seed: Annotated[int, typer.Option(hidden=True, min=0)] = 0,
    result: Annotated[str, typer.Option(hidden=True)] = "fp32",
    latency: Annotated[int, typer.Option(hidden=True)] = 20,
    explain: Annotated[bool, typer.Option("--explain", hidden=True)] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compile a checkpoint's network to one file: its programs, weights and tables of the host.

    Example: lutcore compile examples/kjv-ternary.gguf -o kjv.lut
    """
    if tensor is not None:
        old_spelling("compile --tensor", "matrix compile --tensor")
        matrix.compile_matrix(
            model, tensor, output, core, activations, rows, seed, result, latency, explain,
            force, gptq_version, overrides, as_json,
        )  # fmt: skip
        return
    if activations is not None or explain:
        raise InputError("--activations and --explain are for one matrix: lutcore matrix compile")
    from lutcore.compiler.importers.checkpoint import open_checkpoint
    from lutcore.compiler.weights.quantise import Rounding

    config, counts = load_config(core, overrides or ()), numbers(batch, "--batch")
    rounding, began = Rounding(bits, group) if bits else None, time.perf_counter()
    checkpoint = open_checkpoint(model, gptq_version)
    container, stages = _compile(checkpoint, config, counts, rounding, ignore or ())
    container.save(output, force)
    if dump is not None:
        _dump(dump, stages, force)
    facts = container.summary() | {
        "file bytes": output.stat().st_size,
        "seconds": round(time.perf_counter() - began, 2),
    }
    graphs = _summaries(stages)
    if as_json:
        print_json(facts | {"graphs": graphs})
        return
    _print(f"{model.name} for {config.name}", facts, graphs if dump is not None else {})
    print_written(output)


def _compile(
    checkpoint: "Checkpoint", config: Any, rows: list[int], rounding: Any, ignored: Sequence[str]
) -> Any:
    from lutcore.compiler.lowering.network import compile_network

    with progress_bar() as bar:
        task = bar.add_task(f"compiling {checkpoint.path.name}")

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        return compile_network(checkpoint, config, rows, rounding, progress, ignored)


def _summaries(stages: "dict[str, Graph]") -> dict[str, str]:
    from lutcore.compiler.graph.draw import summary

    return {name: summary(graph) for name, graph in stages.items()}


def _dump(folder: Path, stages: "dict[str, Graph]", force: bool) -> None:
    """Write each stage's graph as text and as a picture."""
    from lutcore.compiler.graph.draw import svg, text
    from lutcore.files import write_files

    files = {}
    for index, (name, graph) in enumerate(stages.items()):
        files[f"{index}-{name}.txt"] = text(graph)
        files[f"{index}-{name}.svg"] = svg(graph)
    write_files(folder, files, "compile --dump", force)


def _print(title: str, facts: dict[str, Any], graphs: dict[str, str]) -> None:
    host, operators = facts["matrices on the host"], facts["operators on the host"]
    print_facts(
        title,
        facts
        | {
            "operators on the host": ", ".join(f"{n} {name}" for name, n in operators.items()),
            "matrices on the host": len(host),
        },
    )
    for name, why in host.items():
        OUT.print(f"on the host: {name}: {why}", highlight=False, soft_wrap=True, markup=False)
    for name, line in graphs.items():
        OUT.print(f"{name}: {line}", highlight=False, soft_wrap=True)


def run(
    file: File,
    on: Annotated[
        str,
        typer.Option(
            "--on",
            help="golden: exact products; isa: the model; rtl: Verilator; board: see --port; "
            "float: a checkpoint in float32, nothing rounded.",
        ),
    ] = "isa",
    port: Port = None,
    baud: Baud = 3_000_000,
    tokens: Annotated[
        str | None, typer.Option(help="Tokens, e.g. 72,105, or an .npy of them.")
    ] = None,
    seed: Seed = 0,
    ignore: Ignored = None,
    output: ToArray = None,
    force: Force = False,
    stall: Annotated[float, typer.Option(hidden=True, min=0, max=0.95)] = 0.0,
    latency: Annotated[int, typer.Option(hidden=True, min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Run a compiled network: every matrix on the core, held against the golden model.

    Exit status 1 where a product differs. With --on float it runs a checkpoint that is not
    compiled, so that a network is judged apart from its rounding.

    Example: lutcore run kjv.lut --on golden --tokens 72,105
    """
    from lutcore.compiler.program.program import Program
    from lutcore.compiler.program.sections import kind_of

    matrix.check_port(on, port)
    if kind_of(file) == "program":
        if tokens is not None:
            raise InputError("--tokens are for networks: this is the program of one matrix")
        Program.load(file)  # what is wrong with it comes before how it is spelt
        old_spelling("run PROGRAM", "matrix run PROGRAM")
        matrix.run_matrix(file, on, port, baud, output, force, stall, latency, as_json)
        return
    result, facts = _run(file, on, port, baud, tokens, seed, ignore or ())
    matrix.write_result(file, result, output, force)
    matrix.print_run(f"{file.name} on {on}", facts, as_json)
    raise typer.Exit(int(facts.get("mismatches", 0) > 0))


def _run(
    file: Path,
    on: str,
    port: str | None,
    baud: int,
    tokens: str | None,
    seed: int,
    ignored: Sequence[str],
) -> "tuple[np.ndarray, dict[str, Any]]":
    """The network's result, and what was counted."""
    from lutcore.gen.run.network import Executor

    with ERR.status(f"preparing {on}"):
        network, backend = _opened(file, on, port, baud, ignored)
    try:
        executor = Executor(network, backend)
        values = _tokens(tokens, executor.tokens, min(8, executor.context), seed)
        began = time.perf_counter()
        with ERR.status(f"running {file.name} on {on}"):
            result = executor.run(values)
        seconds = time.perf_counter() - began
    finally:
        if backend is not None:
            backend.close()
    facts = {
        "architecture": network.facts["architecture"],
        "tokens": len(values),
        "result": list(result.shape),
        "seconds": round(seconds, 3),
    }
    return result, facts | (backend.facts() if backend is not None else {})


def _opened(
    file: Path, on: str, port: str | None, baud: int, ignored: Sequence[str]
) -> "tuple[Network, Backend | None]":
    """What runs, and who multiplies by its matrices: None where they are floats."""
    from lutcore.compiler.lowering.container import Container
    from lutcore.compiler.program.sections import kind_of
    from lutcore.fpga.host.run import board_backend
    from lutcore.gen.run.backends import BACKENDS, CheckedBackend, open_backend

    if on not in (*BACKENDS, "board", "float"):
        raise InputError(f"--on must be one of {', '.join(BACKENDS)}, board, float, not {on!r}")
    if on != "float":
        if ignored:
            raise InputError("--ignore is for --on float: compile has judged what it compiled")
        container = Container.load(file)
        if port is not None:
            backend = board_backend(container, port, baud)
        else:
            backend = open_backend(container, on)
        return container, backend if on == "golden" else CheckedBackend(container, backend)
    if kind_of(file) is not None:
        raise InputError(f"{file}: is compiled, its floats are gone: --on float takes a checkpoint")
    from lutcore.compiler.importers.checkpoint import open_checkpoint
    from lutcore.gen.run.floats import float_network

    return float_network(open_checkpoint(file), ignored), None


def _tokens(text: str | None, most: int, length: int, seed: int) -> "np.ndarray":
    """Tokens of a file, of numbers, or random ones."""
    import numpy as np

    if text is None:
        return np.random.default_rng(seed).integers(0, most, length)
    if not text.endswith(".npy"):
        return np.array(numbers(text, "--tokens"))
    from lutcore.arrays import read_array

    return read_array(Path(text))


def disasm(
    file: File,
    layer: Annotated[str | None, typer.Option(help="Of a network: one matrix.")] = None,
) -> None:
    """Print the instructions of a program, or of those of a network.

    Example: lutcore disasm ffn.lut
    """
    from lutcore.compiler.lowering.container import Container
    from lutcore.compiler.program.assembler import disassemble
    from lutcore.compiler.program.program import Program
    from lutcore.compiler.program.sections import kind_of

    if kind_of(file) == "program":
        sys.stdout.write(disassemble(Program.load(file).words))
    else:
        _disassemble_network(Container.load(file), file, layer)


def _disassemble_network(container: "Container", file: Path, layer: str | None) -> None:
    from lutcore.compiler.program.assembler import disassemble

    if layer is not None and layer not in container.layers:
        raise InputError(f"{file}: no matrix {layer!r}: there are {', '.join(container.layers)}")
    for name, found in container.layers.items():
        if layer not in (None, name):
            continue
        n, k = found.shape
        for entry in found.programs:
            sys.stdout.write(
                f"# {name}: N {n}, K {k}, for {entry.rows} rows, at {entry.address:#x}; weights "
                f"at {found.weights[0]:#x}, scales at {found.scales[0]:#x}\n"
            )
            sys.stdout.write(disassemble(container.words(name, entry.rows)) + "\n")
