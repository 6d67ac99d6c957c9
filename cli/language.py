"""The commands of the language model: ``perplexity``, ``generate-text`` and ``chat``."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from lutcore.cli.options import AsJson, Core, Overrides, Seed
from lutcore.cli.shared import ERR, print_facts, print_json, progress_bar, say
from lutcore.errors import InputError
from lutcore.hdl.config.presets import load_config

Network = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="Byte-level checkpoint, or what compile made of one."),
]
On = Annotated[
    str, typer.Option("--on", help="golden: exact products; isa: the model; rtl: Verilator.")
]
Temperature = Annotated[
    float, typer.Option(help="0 takes the likeliest byte, 1 the model's own chances.")
]


@contextmanager
def _opened(model: Path, on: str, core: str, overrides: list[str] | None) -> Iterator[Any]:
    from lutcore.gen.run.language import load_network, opened

    with ERR.status(f"preparing {model.name} for {on}"), ExitStack() as stack:
        container = load_network(model, load_config(core, overrides or ()))
        network = stack.enter_context(opened(container, on))
        kept = stack.pop_all()
    with kept:
        yield network


def generate_text(
    model: Network,
    prompt: Annotated[str, typer.Option(help="Text that the model goes on from.")] = "\n",
    tokens: Annotated[int, typer.Option(help="Bytes to write.", min=1)] = 200,
    on: On = "golden",
    core: Core = "default",
    temperature: Temperature = 0.0,
    seed: Seed = 0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Stream text from a byte-level language model, every matrix on the backend.

    The same model, core, prompt, temperature and seed give the same text on every backend.

    Example: lutcore generate-text examples/kjv-ternary.gguf --tokens 20
    """
    from lutcore.gen.run.language import Sampler, Writer, printable

    sampler = Sampler(temperature, seed)
    with _opened(model, on, core, overrides) as network:
        writer = Writer(network, sampler)
        writer.read(prompt.encode())
        begun, times, written = time.monotonic(), [], []

        def timed() -> Iterator[int]:
            for token in writer.write(tokens):
                times.append(time.monotonic())
                written.append(token)
                yield token

        for part in printable(timed()):
            if not as_json:
                sys.stdout.write(part)
                sys.stdout.flush()
        facts = network.backend.facts()
    after = times[-1] - times[0]
    if as_json:
        print_json(
            {
                "model": str(model),
                "on": on,
                "prompt": prompt,
                "tokens": written,
                "text": bytes(written).decode(errors="replace"),
                "seconds to the first token": round(times[0] - begun, 3),
                "tokens a second": round((len(times) - 1) / after, 2) if after else None,
                "counters": facts,
            }
        )
        return
    sys.stdout.write("\n")
    if after:
        say(f"{(len(times) - 1) / after:.1f} tokens a second on {on}", "dim")


def chat(
    model: Network,
    tokens: Annotated[int, typer.Option(help="Most bytes of an answer.", min=1)] = 300,
    on: On = "golden",
    core: Core = "default",
    temperature: Temperature = 0.7,
    seed: Seed = 0,
    overrides: Overrides = None,
) -> None:
    """Take turns with a byte-level language model: it goes on from your line, up to a line's end.

    The model remembers what was said, as far as its context reaches. End: Ctrl-D, or an empty line.

    Example: lutcore chat examples/kjv-ternary.gguf --tokens 40
    """
    from lutcore.gen.run.language import Sampler, Writer, printable

    with _opened(model, on, core, overrides) as network:
        writer = Writer(network, Sampler(temperature, seed))
        prompt = "> " if sys.stdin.isatty() else ""
        while line := _line(prompt):
            writer.read(line.encode())
            answer = ""
            for part in printable(writer.write(tokens, until=b"\n")):
                answer += part
                sys.stdout.write(part)
                sys.stdout.flush()
            if not answer.endswith("\n"):
                writer.read(b"\n")
                sys.stdout.write("\n")


def _line(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:
        return ""


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

    Example: lutcore perplexity examples/kjv-ternary.gguf examples/kjv-held-out.txt
    """
    from lutcore.compiler.importers.checkpoint import open_checkpoint
    from lutcore.verif.golden.int8_tables import Int8TableLinear
    from lutcore.verif.golden.language_model import ExactLinear, LanguageModel, perplexity, windows

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
    with progress_bar("windows") as progress:
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
