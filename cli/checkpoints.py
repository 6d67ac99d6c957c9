"""The command ``inspect``: what is in a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lutcore.cli.options import AsJson, GptqVersion, Overrides
from lutcore.cli.shared import ERR, OUT, print_facts, print_json
from lutcore.hdl.config.presets import load_config

if TYPE_CHECKING:
    from lutcore.compiler.inspection import CheckpointReport

#: Names that are printed of many.
_SHOWN = 6


def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="GGUF or safetensors file, or a folder.")
    ],
    core: Annotated[
        str | None, typer.Option(help="Cost on this core: a preset's name or a .toml file.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows of activations of the cost.", min=1)] = 1,
    gptq_version: GptqVersion = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """List the tensors of a checkpoint, what of them is supported, and the cost on a core.

    Only headers are read. Cycles are those of the cycle model, for --rows rows of activations.

    Example: lutcore inspect examples/minilm.gguf --core default
    """
    from lutcore.compiler.inspection import inspect as report_on

    config = load_config(core, overrides or ()) if core else None
    with ERR.status(f"inspecting {file}"):
        report = report_on(file, config, rows, gptq_version)
    if as_json:
        print_json(report.to_dict())
    else:
        _print(str(file), report, rows)


def _print(file: str, report: "CheckpointReport", rows: int) -> None:
    table = Table(
        title=f"{escape(file)}: {escape(report.architecture or 'no architecture named')}",
        title_justify="left",
        box=None,
    )
    table.add_column("tensor", overflow="fold")
    for heading in ("type", "shape"):
        table.add_column(heading, no_wrap=True)
    costs = ("packed", "slices", "cycles") if report.core else ()
    for heading in ("bits", "group", "bytes", *costs):
        table.add_column(heading, justify="right", no_wrap=True)
    problems: dict[str, list[str]] = {}
    for tensor in report.tensors:
        cells = [
            escape(tensor.name),
            tensor.kind,
            " x ".join(map(str, tensor.shape)),
            "" if tensor.bits is None else str(tensor.bits),
            "" if tensor.group_size is None else str(tensor.group_size),
            "?" if tensor.nbytes is None else f"{tensor.nbytes:,}",
        ]
        if cost := tensor.cost:
            cells += [f"{value:,}" for value in (cost.packed_bytes, cost.slices, cost.cycles)]
        table.add_row(*cells, style=None if tensor.supported else "dim")
        notes = (tensor.problem, tensor.host and f"host computes {tensor.host}")
        for note in filter(None, notes):
            problems.setdefault(note, []).append(tensor.name)
    OUT.print(table)
    for note, names in problems.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        OUT.print(f"{names[0]}{more}: {note}", markup=False, highlight=False, soft_wrap=True)
    _print_network(report)
    totals = report.to_dict()["totals"]
    print_facts(
        f"in all, on {report.core} for {rows} rows" if report.core else "in all",
        {key.replace("_", " "): f"{value:,}" for key, value in totals.items()},
    )


def _print_network(report: "CheckpointReport") -> None:
    """What compile would use, what changes nothing, and what it does not understand."""

    def say(line: str) -> None:
        OUT.print(line, markup=False, highlight=False, soft_wrap=True)

    network = report.network
    if network.problem and not network.unknown:
        say(f"as a network it is refused: {network.problem}")
        return
    counted = f"{len(network.used)} keys and tensors used, {len(network.harmless)} change nothing"
    say(f"as a network: {counted}, {len(network.unknown)} not understood")
    reasons: dict[str, list[str]] = {}
    for name, why in network.harmless.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        say(f"changes nothing ({why}): {', '.join(names[:_SHOWN])}{more}")
    for name, what in network.unknown.items():
        say(f"not understood: {name} {what}")
