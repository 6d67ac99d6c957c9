"""The command ``performance``: a model's time, bytes and energy from its shapes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lutcore.cli.options import AsJson, Core, Force, Overrides
from lutcore.cli.shared import ERR, OUT, Column, print_json, print_table
from lutcore.hdl.config.presets import load_config


def performance(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A built-in shape (llama2-7b, ...), a config.json, a checkpoint."
        ),
    ],
    core: Core = "default",
    cores: Annotated[int, typer.Option(help="Cores that share the memory.", min=1)] = 1,
    clock: Annotated[float, typer.Option(metavar="GHZ", help="Clock of cores and bus.")] = 1.0,
    bandwidth: Annotated[float, typer.Option(metavar="GB/S", help="Of the memory.")] = 25.6,
    latency: Annotated[int, typer.Option(help="Of the memory, in cycles.", min=1)] = 40,
    bits: Annotated[int, typer.Option(help="Of the weights.", min=1, max=8)] = 2,
    group: Annotated[int, typer.Option(help="Elements of a scale; 0: a row.", min=0)] = 128,
    host: Annotated[float, typer.Option(metavar="TOPS", help="Of all but linear layers.")] = 1.0,
    batch: Annotated[int, typer.Option(help="Sequences.", min=1)] = 1,
    tokens: Annotated[int, typer.Option(help="New tokens of each.", min=1)] = 1,
    context: Annotated[
        int, typer.Option(help="Tokens that each sees, its own included; 0: its own.", min=0)
    ] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for JSON, CSV and roofline.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Model how long a network takes, operator by operator: cycles, bytes, energy.

    Linear layers by the cycle model, all else at its roofline. Decoding is --tokens 1 with a
    --context; prefill is --tokens of the prompt.

    Example: lutcore performance llama2-7b --batch 1 --tokens 1 --context 1024
    """
    from lutcore.gen.performance.report import model_shape, write_performance
    from lutcore.gen.performance.report import performance as model_it
    from lutcore.gen.performance.shapes import Phase
    from lutcore.gen.performance.system import ENERGIES, System

    config = load_config(core, overrides or ())
    system = System(
        name=f"{cores} x {core}", clock=clock, bandwidth=bandwidth, latency=latency, cores=cores,
        weight_bits=bits, activation_bits=config.activation_bits, group_size=group, config=config,
        host=host, energy=ENERGIES.get(("lut", bits)) if config.activation == "int8" else None,
    )  # fmt: skip
    context = max(context, tokens)
    name = f"batch {batch}, {tokens} of {context} tokens"
    phase = Phase(name=name, batch=batch, tokens=tokens, context=context)
    with ERR.status(f"scheduling {model}"):
        found = model_it(model_shape(model), phase, system)
    if output is not None:
        write_performance(found, system, output, force)
    if as_json:
        print_json(found)
        return
    _print(found, f"{found['model']}, {name}, {system.name}", batch * tokens)


def _print(found: dict[str, Any], title: str, tokens: int) -> None:
    rows = []
    for row in found["layers"]:
        seconds = row["seconds"]
        rows.append(
            (
                row["operator"],
                str(row["count"]),
                f"{row['n']} x {row['k']}" if row["m"] else "",
                f"{row['cycles']:,}" if row["m"] else "",
                f"{row['bytes'] / 1e6:,.1f}",
                f"{1000 * seconds:,.3f}",
                f"{seconds / found['seconds']:.1%}",
                row["bound"],
            )
        )
    numbers = ("times", "N x K", "cycles", "MB", "ms", "share")
    print_table(title, (Column("operator"), *map(Column.number, numbers), Column("bound")), rows)
    energy = found["linear_energy_j"]
    words = [f"{1000 * found['seconds']:,.3f} ms", f"{found['bytes'] / 1e9:.3f} GB"]
    words += [f"{tokens / found['seconds']:,.1f} tokens/s"]
    words += [f"{energy:.4f} J of products in linear layers"] if energy else []
    OUT.print("; ".join(words), highlight=False)
