"""The command ``lutcore``: parses, calls, prints.

Exit status 0 done, 1 a check failed, 2 bad input or a missing tool.
"""

import os
import sys
from typing import Annotated, Literal

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
    verification,
)
from lutcore.cli.logs import set_up
from lutcore.cli.shared import ERR, OUT, fail, say_interrupted
from lutcore.errors import HostError, InputError, ToolError
from lutcore.machine import check_platform
from lutcore.processes import heard, interrupted, interruptible

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Generate, verify and measure lookup-table tensor cores.\n\n"
    "CONFIG is a preset's name or a .toml file with the fields of a configuration; "
    "[bold]--set field=value[/bold] changes single fields. "
    "[bold]lutcore presets[/bold] lists the presets.",
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
app.command()(designs.lint)
app.command()(tools.env)
app.command()(simulation.simulate)
app.command()(verification.verify)
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
    """Entry point: what goes wrong becomes one line, or JSON, and exit status 2; of tools 1.

    A signal that ends the command ends its tools first, and the status is 128 and its number.
    """
    try:
        with interruptible():
            status = _run("--json" in sys.argv[1:])
    except KeyboardInterrupt:  # in the last moment
        status = 0
    if number := interrupted():
        with heard() as ERR.file:
            say_interrupted()
        status = 128 + number
    sys.exit(status)


def _run(as_json: bool) -> int | str | None:
    """The command line's exit status; errors are told."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    if sys.stdout is None:
        fail("standard output is closed: send it somewhere", "input", as_json)
        return 2
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()  # what cannot be written is an error of this command
        return status
    except SystemExit as ended:
        return ended.code
    except BrokenPipeError:
        # Nobody reads on: what is still buffered must not be an error at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if interrupted():  # whatever that looks like
            return None
        message, kind = _told(error)
        if message:  # a command without arguments has shown its help
            fail(message, kind, as_json)
        return 1 if kind == "tool" else 2


def _told(error: Exception) -> tuple[str, Literal["input", "tool"]]:
    """An error in one line, and whose it is; errors of our own are raised again."""
    usage = getattr(error, "format_message", None)  # an error of the command line itself
    if isinstance(error, ToolError):
        return str(error), "tool"
    if isinstance(error, InputError | HostError):
        return str(error), "input"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror or error}", "input"
    if isinstance(error, MemoryError):
        return "out of memory: take a smaller problem, or a machine with more", "input"
    if usage is None:
        raise error
    return " ".join(usage().split()), "input"


if __name__ == "__main__":
    main()
