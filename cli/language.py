"""The commands of the language model: ``perplexity``."""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from cli.shared import ERR, AsJson, Overrides, print_facts, print_json
from hdl.errors import InputError
from hdl.presets import load_config


def perplexity(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="GGUF of architecture bitnet.")],
    text: Annotated[Path, typer.Argument(metavar="TEXT", help="Text that it was not trained on.")],
    tables: Annotated[
        str, typer.Option(help="Core with eight-bit tables: a preset's name or a .toml file.")
    ] = "w2a8-int8-tables",
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Perplexity of a byte of TEXT, with exact and with eight-bit tables.

    Windows of the model's context, one after the other; the first byte of each is given.
    """
    from compiler.checkpoint import open_checkpoint
    from verif.int8_tables import Int8TableLinear
    from verif.language_model import ExactLinear, LanguageModel, perplexity, windows

    if not text.is_file():
        raise InputError(f"{text}: no such file: give a text")
    checkpoint, written = open_checkpoint(model), text.read_bytes()
    network, config = LanguageModel(checkpoint), load_config(tables, overrides or ())
    kinds = {
        "exact tables": ExactLinear(checkpoint),
        f"INT8 tables, one shift per {config.group_size}": Int8TableLinear(checkpoint, config),
    }
    count = len(windows(network, written))
    found = {}
    with Progress(console=ERR, transient=True) as progress:
        for kind, linear in kinds.items():
            task = progress.add_task(kind, total=count)
            found[kind] = perplexity(network, written, linear, lambda: progress.advance(task))  # noqa: B023
    if as_json:
        print_json({"model": str(model), "text": str(text), "windows": count, "perplexity": found})
        return
    facts = {
        kind: f"{value:.4f} ({math.log2(value):.4f} bits a byte)" for kind, value in found.items()
    }
    print_facts(f"{model.name}: perplexity of {text.name}, {count} windows", facts)
