"""Emitted Verilog: five tools of others have nothing to say, and people can read it."""

import os
import random
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from sweeps import swept

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.collateral.systemverilog import systemverilog
from lutcore.gen.emit.interfaces import TOPS
from lutcore.gen.emit.lint import VERIBLE_RULES, lint, verible_rules
from lutcore.gen.emit.rtl import design_name, design_rtlil, verilog
from lutcore.hdl.config.fields import DOMAINS
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, preset

_TILES = [name for name, top in TOPS.items() if not top.is_core]
#: Every preset with every top; those of the slice, unless ``make texts`` asks for all.
ALL_DESIGNS = [
    *((name, top) for name in PRESETS for top in _TILES),
    *((name, top) for name in CORE_PRESETS for top in TOPS),
]
#: Large cores differ from small ones in numbers, not in their buses; a core is in each of its tops.
_SMALL = {"w2a8", "fpga-xilinx-w1a8", "board-core"}
#: Minutes of linters; smaller designs have all that these have.
_LARGE = {"large", "default-fp16", "default-ternary", "mac-int8-csa"}
DESIGNS = [
    pytest.param(name, top)
    for name, top in ALL_DESIGNS
    if os.environ.get("LUTCORE_ALL_TEXTS")
    or name in _SMALL
    or (name not in _LARGE and top in ("tile", "axi"))
]
#: Those of the slice that take longest; smaller ones of their kind are among the others.
_LATER = {("default", "axi"), ("mac-int8", "tile"), ("fpga-gowin-w1a8", "tile")}
#: As large presets, but few columns.
SMALLER = [
    PRESETS["mac-int8"].replace(n=2),
    PRESETS["fpga-gowin-w1a8"].replace(n=2),
    PRESETS["mac-int8-csa"].replace(m=2, n=1),
    PRESETS["dense-w2a8"].replace(n=1, pipeline=1, pipeline_cut=4),
]


def random_configs(count):
    """Presets with a few fields changed at random, as long as they are legal and small."""
    chance = random.Random(20)
    found = []
    while len(found) < count:
        changes = {}
        for name in chance.sample([name for name in sorted(DOMAINS) if name != "name"], 3):
            domain = DOMAINS[name]
            numbers = [2**i for i in range(8) if domain.low <= 2**i <= domain.high]
            changes[name] = chance.choice(domain.choices or [*numbers, domain.low, 3])
        try:
            config = chance.choice(list(PRESETS.values())).replace(**changes)
        except InputError:
            continue
        if config.m * config.columns <= 256:
            found.append(config)
    return found


def said(text, top, beside: Mapping[str, str] = MappingProxyType({})):
    """What the tools say that are here; Icarus may be missing."""
    found = lint(text, top, beside)
    assert len(found) == 5
    assert {opinion.tool for opinion in found if not opinion.version} <= {"Icarus -Wall"}
    return [message for opinion in found for message in opinion.messages] + older_verilator(
        text, top
    )


def older_verilator(text, top):
    """What the system's Verilator says with all its warnings, those that it has by itself too."""
    if tools.find("verilator") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{top}.v"
        path.write_text(text)
        command = ["verilator", "--lint-only", "-Wall", "-Wno-DECLFILENAME", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
    return done.stderr.splitlines() or ["no word"] * (done.returncode != 0)


def is_soon(design):
    return bool(os.environ.get("LUTCORE_ALL_TEXTS")) or design.values not in _LATER


@pytest.mark.slow
@pytest.mark.parametrize(("name", "top"), swept(DESIGNS, is_soon))
def test_presets_are_clean_and_told(name, top):
    config = preset(name)
    text = verilog(config, top)
    assert said(text, design_name(config, top), systemverilog(config, top)) == []
    assert [line for line in text.splitlines() if len(line) > 120] == []
    check_names(text, design_rtlil(config, top))
    check_comments(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [*SMALLER, *random_configs(20 if os.environ.get("LUTCORE_ALL_TEXTS") else 6)],
    ids=lambda config: config.digest,
)
def test_smaller_configurations_and_such_at_random_are_clean(config):
    text = verilog(config)
    assert said(text, design_name(config), systemverilog(config, "tile")) == []
    check_names(text, design_rtlil(config))
    check_comments(text)


def test_a_small_tile_is_clean():
    config = PRESETS["w2a8"].replace(n=2)
    assert said(verilog(config), design_name(config)) == []


@pytest.mark.skipif(tools.find("verilator") is None, reason="apt-get install verilator")
def test_a_verilator_of_the_system_is_asked_too():
    """An older one; where there is none, the tests above do without its opinion."""
    assert older_verilator("module t (input wire a);\nendmodule\n", "t") != []


_WRONG = {
    "a width": (
        "module t (input wire [3:0] a, output wire [1:0] y);\n  assign y = a;\nendmodule\n"
    ),
    "a latch": (
        "module t (input wire a, input wire b, output reg y);\n"
        "  always @(*) if (a) y = b;\nendmodule\n"
    ),
    "a loop": (
        "module t (input wire a, output wire y);\n  wire b;\n  assign b = ~(y & a);\n"
        "  assign y = ~b;\nendmodule\n"
    ),
    "no such net": "module t (input wire a, output wire y);\n  assign y = a & c;\nendmodule\n",
    "a tab": "module t (\n\tinput  wire a,\n  output wire y\n);\n  assign y = a;\nendmodule\n",
}


@pytest.mark.parametrize("fault", _WRONG)
def test_what_is_wrong_is_told(fault):
    assert said(_WRONG[fault], "t") != []


def test_the_manual_shows_the_text():
    page = (Path(__file__).parents[3] / "docs" / "verilog.md").read_text()
    (shown,) = re.findall(r"```verilog\n(.*?)```", page, re.DOTALL)
    assert shown in verilog(PRESETS["w2a8"].replace(k=2, n=4, m=1))


def test_every_rule_that_is_not_asked_for_has_a_reason():
    rules = [line for line in verible_rules().splitlines() if not line.startswith("#")]
    assert rules == list(VERIBLE_RULES)
    assert all(reason.strip() for reason in VERIBLE_RULES.values())


#: Suffixes that names are made with (:mod:`lutcore.gen.emit.names`).
_SUFFIX = re.compile(r"(_(next|when|term|word|q|index|\d+)|_)+$")


def _stems(name):
    """Parts of a name, instance and port, without suffixes."""
    return {_SUFFIX.sub("", part) for part in name.split("__")}


def check_names(text, rtlil):
    """Nets are named after the source; others are few, and one bit wide."""
    pattern = r"^ *(?:wire|memory|cell) .*\\(\S+)$"
    given = {
        re.sub(r"\W", "_", re.sub(r"\$\d+", "", name))
        for name in re.findall(pattern, rtlil, re.MULTILINE)
    }
    stems = {stem for name in given for stem in (_SUFFIX.sub("", name), *_stems(name))}
    pattern = r"^ +(?:(?:input|output) +)?(?:wire|reg) +(?:\[(\d+):0\] +)?(\w+)"
    nets = [(int(high or 0) + 1, name) for high, name in re.findall(pattern, text, re.MULTILINE)]
    others = [
        (bits, name)
        for bits, name in nets
        if not (_stems(name) <= stems or _SUFFIX.sub("", name) in stems | {"unused"})
    ]
    assert len(nets) > 20
    assert [name for bits, name in others if bits > 1] == []
    assert len(others) < 0.02 * len(nets), others
    short = {name for _, name in nets if re.fullmatch(r"[a-z]{1,4}_?\d+", name)}
    assert {name for name in short - given if _SUFFIX.sub("", name) not in stems} == set()


#: Names that stand for no signal of the source, which has no comment then.
_MADE = re.compile(r"\w+_(next|when|term|word|q)(_\d+)?")


def check_comments(text):
    """Ports, registers and memories have a comment beside or above them."""
    lines = text.splitlines()
    without = []
    for at, line in enumerate(lines):
        found = re.match(r" +(input|output|reg) +.*?(\w+)( \[0:\d+\])?[,;]?( //.*)?$", line)
        if not found or found[4] or (found[1] == "reg" and _MADE.fullmatch(found[2])):
            continue
        above = lines[at - 1].strip()
        if not above.startswith("//") and not _in_stream(lines, at, found[2]):
            without.append(line.strip())
    assert without == []


def _in_stream(lines, at, name):
    """Whether a port belongs to an interface, or a row of ports, that a comment stands above."""
    interface, _, port = name.partition("__")
    stem = rf"{interface}__\w+" if port else re.sub(r"_\d+$", r"_\\d+", interface)
    while re.match(rf" +(input|output) .* {stem},?( //|$)", lines[at]):
        at -= 1
    above = lines[at].strip()
    return above.startswith("//") and (bool(port) or f" to {name.rpartition('_')[0]}_" in above)
