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
from lutcore.cli.logs import set_up
from lutcore.cli.shared import OUT, fail
from lutcore.errors import InputError, ToolError
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS
from lutcore.machine import check_platform

app = typer.Typer(
    no_args_is_help=True,
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
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Say which tools run, and what the cache has."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")
    ] = False,
) -> None:
    if verbose and quiet:
        raise typer.BadParameter("-v and -q exclude each other: give one of them")
    set_up(verbose, quiet)
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
    """Entry point: errors of the user become one line, or JSON, and exit status 2."""
    as_json = "--json" in sys.argv[1:]
    try:
        status = app(standalone_mode=not as_json)
    except InputError as error:
        fail(str(error), "input", as_json)
        status = 2
    except ToolError as error:
        fail(str(error), "tool", as_json)
        status = 1
    except KeyboardInterrupt:
        status = 130
    except Exception as error:
        usage = getattr(error, "format_message", None)  # an error of the command line itself
        if usage is None:
            raise
        fail(" ".join(usage().split()), "input", as_json)
        status = 2
    sys.exit(status)


if __name__ == "__main__":
    main()
