"""Every command of ``lutcore`` in its smallest form, and what each needs, for tests of faults."""

from pathlib import Path

import typer
from opensta import needs_opensta

from lutcore.cli.main import app

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MODEL, LANGUAGE = str(EXAMPLES / "minilm.gguf"), str(EXAMPLES / "kjv-ternary.gguf")
SMALL = ("--set", "n=4", "--set", "max_k=256")
#: Files that commands read, made by :func:`files`: a program, a network, a text, configurations.
PROGRAM, NETWORK, TEXT, SPACE = "in/p.lut", "in/n.lut", "in/text.txt", "in/space.toml"
A, B = "in/a.toml", "in/b.toml"

#: Command -> its words; what it writes is ``out``.
WORDS = {
    "presets": (),
    "show": ("w2a8",),
    "generate": ("w2a8", *SMALL, "-o", "out"),
    "lint": ("w2a8", *SMALL),
    "simulate": ("w2a8", *SMALL, "--shape", "1,4,16"),
    "verify": (A, "--seeds", "1", "-o", "out"),
    "synth": ("w2a8", *SMALL),
    "energy": (
        *("dense-w1a8", "--set", "n=2", "--set", "lookups=2"),
        *("--liberty", "demo", "--period", "3"),
    ),
    "compare": (A, B, "--json"),
    "bitstream": ("board-tile", "--set", "n=2", "--board", "icebreaker", "-o", "out"),
    "inspect": (MODEL,),
    "compile": (LANGUAGE, "-o", "out"),
    "run": (NETWORK, "--tokens", "72,105", "-o", "out"),
    "disasm": (PROGRAM,),
    "matrix compile": (
        *(MODEL, "--tensor", "blk.0.ffn_down.weight"),
        *("--rows", "1", "--core", "edge", "-o", "out"),
    ),
    "matrix run": (PROGRAM, "--on", "rtl", "-o", "out"),
    "generate-text": (LANGUAGE, "--tokens", "2"),
    "chat": (LANGUAGE, "--tokens", "2"),
    "perplexity": (LANGUAGE, TEXT),
    "performance": ("llama2-7b", "-o", "out"),
    "study": ("end-to-end", "--reduced", "--json", "-o", "out"),
    "explore": (SPACE, "-o", "out"),
    "demo": (),
    "cache list": (),
    "cache prune": (),
    "doctor": (),
    "env": (),
}
#: Commands whose tool does not come with pip.
MARKS = {"energy": [needs_opensta]}
#: What is said to a command.
SAID = {"chat": "And\n\n"}
_SPACE = """[measure]
target = "ecp5"
[fixed]
m = 1
max_weight_bits = 1
group_size = 16
zero_points = "external"
k = 2
[space]
n = [1, 2]
[objectives]
core_luts = "min"
ops_per_cycle = "max"
"""


def all_commands() -> set[str]:
    """Names of the commands that there are."""
    found = set()

    def visit(group, words):
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                visit(command, [*words, name])
            else:
                found.add(" ".join([*words, name]))

    visit(typer.main.get_command(app), [])
    return found


def words(command: str) -> list[str]:
    """The command line of a command, without ``lutcore``; it says nothing but what goes wrong."""
    return ["-q", *command.split(), *WORDS[command]]


def write_inputs(folder: Path, run) -> None:
    """Make the files that commands read, below ``folder``; ``run`` runs a command line there."""
    (folder / "in").mkdir()
    for name, columns in ((A, 2), (B, 4)):
        text = f'name = "n{columns}"\nmax_weight_bits = 2\nn = {columns}\nmax_k = 256\n'
        (folder / name).write_text(text)
    (folder / SPACE).write_text(_SPACE)
    (folder / TEXT).write_text("In the beginning God created the heaven and the earth.\n")
    for command, name in (("matrix compile", PROGRAM), ("compile", NETWORK)):
        assert run([*words(command)[:-1], name]) == 0
