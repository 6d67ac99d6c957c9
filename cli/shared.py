"""What the commands share: consoles, tables, JSON."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

OUT = Console()
ERR = Console(stderr=True)

Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field.")
]
GptqVersion = Annotated[
    int | None,
    typer.Option(
        help="How GPTQ's zero points are stored, 1 or 2: overrides the file.", min=1, max=2
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def library(text: str) -> "Path":
    """A Liberty file as a user wrote it; its reader is loaded where there is one."""
    from lutcore.gen.asic.liberty import library_path

    return library_path(text)


def say(text: str, style: str) -> None:
    """One line of the program's own on standard error."""
    ERR.print(f"lutcore: {text}", style=style, highlight=False, soft_wrap=True, markup=False)


def print_json(values: Any) -> None:
    """Print values for machines."""
    sys.stdout.write(json.dumps(values, indent=2) + "\n")


def print_facts(title: str, facts: dict[str, Any]) -> None:
    """Print names and values as a table."""
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in facts.items():
        table.add_row(name, str(value))
    OUT.print(table)
