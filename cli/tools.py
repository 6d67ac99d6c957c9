"""The command ``doctor``: which tools are here."""

import typer

from lutcore.cli.options import AsJson
from lutcore.cli.shared import OUT, print_json


def doctor(as_json: AsJson = False) -> None:
    """Say which tools are here, at which version, and how to get the missing ones."""
    from dataclasses import asdict

    from rich.table import Table

    from lutcore.gen.tools.doctor import examine

    tools = examine()
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
    if any(tool.required and tool.version is None for tool in tools):
        raise typer.Exit(2)
