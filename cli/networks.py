"""Whole networks: what ``compile``, ``run`` and ``disasm`` do with them."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import Progress

from lutcore.cli.shared import ERR, OUT, print_facts, print_json
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.compiler.importers.checkpoint import Checkpoint


def numbers(text: str, option: str) -> list[int]:
    """Whole numbers between commas."""
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"{option} takes whole numbers between commas, not {text!r}") from None


def compile_model(
    checkpoint: "Checkpoint",
    output: Path,
    core: str,
    overrides: list[str] | None,
    batch: str,
    bits: int,
    group: int,
    dump: Path | None,
    as_json: bool,
) -> None:
    """Compile a checkpoint's network; write its graphs to ``dump`` if given."""
    from lutcore.compiler.graph.draw import summary, svg, text
    from lutcore.compiler.lowering.network import compile_network
    from lutcore.compiler.weights.quantise import Rounding
    from lutcore.files import write_files

    config = load_config(core, overrides or ())
    rows, rounding = numbers(batch, "--batch"), Rounding(bits, group) if bits else None
    began = time.perf_counter()
    with Progress(console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(f"compiling {checkpoint.path.name}")

        def progress(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        container, stages = compile_network(checkpoint, config, rows, rounding, progress)
    container.save(output)
    if dump is not None:
        files = {}
        for index, (name, graph) in enumerate(stages.items()):
            files[f"{index}-{name}.txt"] = text(graph)
            files[f"{index}-{name}.svg"] = svg(graph)
        write_files(dump, files)
    first = next(iter(container.layers.values()))
    facts: dict[str, Any] = {
        "architecture": container.facts["architecture"],
        "matrices on the core": len(container.layers),
        "their weights": sum(n * k for n, k in (x.shape for x in container.layers.values())),
        "matrices on the host": container.host,
        "operators on the host": container.host_operators(),
        "rows of programs": [entry.rows for entry in first.programs],
        "memory bytes": container.memory,
        "file bytes": output.stat().st_size,
        "seconds": round(time.perf_counter() - began, 2),
        "graphs": {name: summary(graph) for name, graph in stages.items()},
    }
    if as_json:
        print_json(facts)
        return
    graphs = facts.pop("graphs")
    facts["operators on the host"] = ", ".join(
        f"{count} {name}" for name, count in facts["operators on the host"].items()
    )
    facts["matrices on the host"] = len(container.host)
    print_facts(f"{checkpoint.path.name} for {config.name}", facts)
    for name, why in container.host.items():
        OUT.print(f"on the host: {name}: {why}", highlight=False, soft_wrap=True, markup=False)
    if dump is not None:
        for name, line in graphs.items():
            OUT.print(f"{name}: {line}", highlight=False, soft_wrap=True)
    OUT.print(f"wrote {output}", highlight=False, soft_wrap=True)


def _tokens(text: str | None, most: int, length: int, seed: int):
    """Tokens of a file, of numbers, or random ones."""
    import numpy as np

    if text is None:
        return np.random.default_rng(seed).integers(0, most, length)
    if not text.endswith(".npy"):
        return np.array(numbers(text, "--tokens"))
    try:
        return np.load(text, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read tokens {text}: {error}") from error


def run_model(
    file: Path,
    on: str,
    port: str | None,
    baud: int,
    tokens: str | None,
    seed: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Run a compiled network; each product of a core is held against the golden model."""
    import numpy as np

    from lutcore.compiler.lowering.container import Container
    from lutcore.fpga.host.run import board_backend
    from lutcore.gen.run.backends import BACKENDS, CheckedBackend, open_backend
    from lutcore.gen.run.network import Executor

    if on not in (*BACKENDS, "board"):
        raise InputError(f"--on must be one of {', '.join(BACKENDS)}, board, not {on!r}")
    container = Container.load(file)
    with ERR.status(f"preparing {on}"):
        if port is not None:
            backend = board_backend(container, port, baud)
        else:
            backend = open_backend(container, on)
    checked = backend if on == "golden" else CheckedBackend(container, backend)
    try:
        executor = Executor(container, checked)
        values = _tokens(tokens, executor.tokens, min(8, executor.context), seed)
        began = time.perf_counter()
        with ERR.status(f"running {file.name} on {on}"):
            result = executor.run(values)
        seconds = time.perf_counter() - began
        facts = {
            "architecture": container.facts["architecture"],
            "tokens": len(values),
            "result": list(result.shape),
            "seconds": round(seconds, 3),
        } | checked.facts()
    finally:
        backend.close()
    if output is not None:
        try:
            with output.open("wb") as target:
                np.save(target, result)
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
    if as_json:
        print_json(facts)
    else:
        print_facts(f"{file.name} on {on}", facts)
    raise typer.Exit(int(facts.get("mismatches", 0) > 0))


def disassemble_model(file: Path, layer: str | None) -> None:
    """Print the programs of a compiled network's matrices."""
    from lutcore.compiler.lowering.container import Container
    from lutcore.compiler.program.assembler import disassemble

    container = Container.load(file)
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
