"""The command ``lutcore``: parses, calls, prints.

Exit status 0 done, 1 a check failed, 2 bad input or a missing tool.
"""

import sys
from typing import Annotated

import typer

from lutcore.cli import (
    boards,
    checkpoints,
    comparison,
    configurations,
    demo,
    designs,
    energy,
    language,
    matrix,
    networks,
    performance,
    simulation,
    studies,
    synthesis,
    tools,
)
from lutcore.cli.shared import OUT, say
from lutcore.errors import InputError, ToolError
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS
from lutcore.machine import check_platform

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Generate, verify and measure lookup-table tensor cores.\n\n"
    "CONFIG is a preset's name or a .toml file with the fields of a configuration; "
    "[bold]--set field=value[/bold] changes single fields. "
    "Presets: " + ", ".join([*PRESETS, *CORE_PRESETS]) + ".",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from lutcore.version import __version__

        OUT.print(f"lutcore {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    check_platform()


app.command()(configurations.presets)
app.command()(configurations.show)
app.command()(designs.generate)
app.command()(simulation.simulate)
app.command()(synthesis.synth)
app.command()(energy.energy)
app.command()(comparison.compare)
app.command()(boards.bitstream)
app.command()(checkpoints.inspect)
app.command("compile")(networks.compile_model)
app.command()(networks.run)
app.command()(networks.disasm)
app.add_typer(matrix.commands, name="matrix")
app.command()(language.generate_text)
app.command()(language.chat)
app.command()(language.perplexity)
app.command()(performance.performance)
app.command()(studies.study)
app.command()(studies.explore)
app.command()(demo.demo)
app.add_typer(tools.commands, name="cache")
app.command()(tools.doctor)


def main() -> None:
    """Entry point: errors of the user become one line and exit status 2."""
    try:
        app()
    except InputError as error:
        say(str(error), "red")
        sys.exit(2)
    except ToolError as error:
        say(str(error), "red")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
