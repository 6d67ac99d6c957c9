"""The command ``performance``: a model's time, bytes and energy from its shapes."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lutcore.cli.options import AsJson, Core, Force, Overrides
from lutcore.cli.shared import ERR, OUT, print_json
from lutcore.hdl.config.presets import load_config

Bits = Annotated[
    int | None,
    typer.Option(
        help="Of the weights of a shape that does not say it, 2 by default; of a checkpoint: round "
        "its float matrices to so many.",
        min=1,
        max=8,
    ),
]
Group = Annotated[
    int | None,
    typer.Option(
        help="Elements of a scale of --bits, 0: a row; by default 128, of a checkpoint 32.", min=0
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="Folder for JSON, CSV and roofline.")
]


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
    bits: Bits = None,
    group: Group = None,
    host: Annotated[
        float, typer.Option(metavar="TOPS", help="Of the host: all that no core computes.")
    ] = 1.0,
    batch: Annotated[int, typer.Option(help="Sequences.", min=1)] = 1,
    tokens: Annotated[int, typer.Option(help="New tokens of each.", min=1)] = 1,
    context: Annotated[
        int, typer.Option(help="Tokens that each sees, its own included; 0: its own.", min=0)
    ] = 0,
    output: Output = None,
    force: Force = False,
    as_json: AsJson = False,
    overrides: Overrides = None,
) -> None:
    """Model how long a network takes, operator by operator: cycles, bytes, energy.

    Linear layers by the cycle model, all else at its roofline. A checkpoint's matrices have the
    bits, scale groups and sizes of the file, of which only headers are read; those that the core
    does not take are the host's. Decoding is --tokens 1 with a --context; prefill is --tokens of
    the prompt.

    Example: lutcore performance llama2-7b --batch 1 --tokens 1 --context 1024
    """
    from lutcore.gen.performance.report import model_shape, weight_format, write_performance
    from lutcore.gen.performance.report import performance as model_it
    from lutcore.gen.performance.shapes import Phase
    from lutcore.gen.performance.system import ENERGIES, System

    config = load_config(core, overrides or ())
    shape = model_shape(model, bits, group)
    width, size = weight_format(shape, config, bits, group)
    system = System(
        name=f"{cores} x {core}", clock=clock, bandwidth=bandwidth, latency=latency, cores=cores,
        weight_bits=width, activation_bits=config.activation_bits, group_size=size, config=config,
        host=host, energy=ENERGIES.get(("lut", width)) if config.activation == "int8" else None,
    )  # fmt: skip
    context = max(context, tokens)
    name = f"batch {batch}, {tokens} of {context} tokens"
    phase = Phase(name=name, batch=batch, tokens=tokens, context=context)
    with ERR.status(f"scheduling {model}"):
        found = model_it(shape, phase, system)
    if output is not None:
        write_performance(found, system, output, force)
    if as_json:
        print_json(found)
        return
    _print(found, f"{found['model']}, {name}, {system.name}", batch * tokens)


def _print(found: dict[str, Any], title: str, tokens: int) -> None:
    of_file = any("tensor" in row for row in found["layers"])
    rows = []
    for row in found["layers"]:
        seconds = row["seconds"]
        cells = {
            "operator": escape(row["operator"]),
            "times": f"{row['count']:g}",
            "N x K": f"{row['n']} x {row['k']}" if row["m"] else "",
            "type": escape(row.get("kind", "")),
            "cycles": f"{row['cycles']:,}" if "cycles" in row else "host" if row["m"] else "",
            "MB": f"{row['bytes'] / 1e6:,.1f}",
            "ms": f"{1000 * seconds:,.3f}",
            "share": f"{seconds / found['seconds']:.1%}",
            "bound": row["bound"],
        }
        del cells["MB" if of_file else "type"]  # for lines of 80 columns
        rows.append(cells)
    table = Table(title=escape(title), title_justify="left", box=None)
    for heading in rows[0]:
        words = heading in ("operator", "type", "bound")
        table.add_column(
            heading, justify="left" if words else "right", no_wrap=heading != "operator",
            overflow="fold",
        )  # fmt: skip
    for cells in rows:
        table.add_row(*cells.values())
    OUT.print(table)
    for note in (*_refused(found["layers"]), *found["notes"]):
        OUT.print(note, highlight=False, markup=False, soft_wrap=True)
    energy = found["linear_energy_j"]
    words = [f"{1000 * found['seconds']:,.3f} ms", f"{found['bytes'] / 1e9:.3f} GB"]
    words += [f"{tokens / found['seconds']:,.1f} tokens/s"]
    words += [f"{energy:.4f} J of products in linear layers"] if energy else []
    OUT.print("; ".join(words), highlight=False)


def _refused(layers: list[dict[str, Any]]) -> list[str]:
    """Why matrices are the host's: a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for row in layers:
        if "problem" in row:
            reasons.setdefault(row["problem"], []).append(row["operator"])
    return [f"on the host: {', '.join(roles)}: {why}" for why, roles in reasons.items()]
