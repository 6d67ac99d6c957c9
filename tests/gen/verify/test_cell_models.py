"""Models of library cells do what Yosys makes of the same Liberty text, on Icarus Verilog."""

import random
import re
import subprocess

import pytest

from lutcore import tools
from lutcore.errors import InputError
from lutcore.gen.asic.liberty import DEMO
from lutcore.gen.asic.library import parse
from lutcore.gen.asic.synth import read_library
from lutcore.gen.tools.yosys import run_yosys
from lutcore.gen.verify.cell_models import cell_modules


def pins(inputs, outputs):
    return "".join(
        [
            *(f"pin ({pin}) {{ direction : input; }}\n" for pin in inputs.split()),
            *(f'pin ({pin}) {{ direction : output; function : "{f}"; }}\n' for pin, f in outputs),
        ]
    )


def stored(inputs, rules, names="IQ, IQN", q="IQ", qn="IQN"):
    said = "".join(f'{name} : "{text}"; ' for name, text in rules.items())
    return f"ff ({names}) {{ {said} }}\n" + pins(inputs, [("Q", q), ("QN", qn)])


CELLS = {
    "NAND2": pins("A B", [("Y", "!(A & B)")]),
    "INV": pins("A", [("Y", "A'")]),
    "BUF": pins("A", [("Y", "A")]),
    "OAI222": pins("A B C D E F", [("Y", "!((A | B) & (C | D) & (E | F))")]),
    "MUX4": pins("A B C D S T", [("Y", "(A S' T') | (B S T') | (C S' T) | (D S T)")]),
    "HALF": pins("A B", [("CO", "A*B"), ("S", "A^B")]),
    "DFF": stored("D CK", {"clocked_on": "CK", "next_state": "D"}),
    "LATE": stored("next clock", {"clocked_on": "!clock", "next_state": "!next"}),
    "ENABLED": stored("D E CK", {"clocked_on": "CK", "next_state": "(D & E) | (IQ & !E)"}),
    "CLEARED": stored("D RN CK", {"clocked_on": "CK", "next_state": "D", "clear": "!RN"}),
    "PRESET": stored("D S CK", {"clocked_on": "CK", "next_state": "D", "preset": "S"}),
    "BOTH": stored(
        "D RN SN CK",
        {"clocked_on": "CK", "next_state": "D", "clear": "!RN", "preset": "!SN"},
        names="state, opposite", q="opposite", qn="state",
    ),
}  # fmt: skip
TEXT = "library (own) {{\n{}}}\n".format(
    "".join(f"cell ({name}) {{ area : 1;\n{body}}}\n" for name, body in CELLS.items())
)


def netlist(names):
    """Instances, as Yosys writes them."""
    return "".join(f"  {name} of_{name} (\n    .A(a)\n  );\n" for name in names)


def bench(cell, steps=300):
    """Both models at the same inputs, one changing at a time; clear and preset never both."""
    chance = random.Random(cell.name)
    now = dict.fromkeys(cell.inputs, 0) | {pin: 1 for pin in ("RN", "SN") if pin in cell.inputs}
    lines = []
    for _ in range(steps):
        pin = chance.choice(cell.inputs)
        changed = now | {pin: 1 - now[pin]}
        if changed.get("RN") == changed.get("SN") == 0:
            continue
        now = changed
        lines.append(f"    {pin} = {now[pin]}; #5; check;")
    ports = [*cell.inputs, *cell.outputs]
    given = {"RN": 1, "SN": 1}
    set_up = " ".join(f"{pin} = {given.get(pin, 0)};" for pin in cell.inputs)
    ours, theirs = (
        ", ".join(f".{p}({p if p in cell.inputs else kind + p})" for p in ports) for kind in "ot"
    )
    differs = " || ".join(f"(o{pin} !== 1'bx && o{pin} !== t{pin})" for pin in cell.outputs)
    known = " && ".join(f"o{pin} !== 1'bx" for pin in cell.outputs)
    return f"""module bench_{cell.name};
  reg {", ".join(cell.inputs)};
  wire {", ".join(kind + pin for kind in "ot" for pin in cell.outputs)};
  integer known = 0;
  {cell.name} ours ({ours});
  reference_{cell.name} theirs ({theirs});
  task check; begin
    if ({differs}) $display("WRONG {cell.name} at %0d", $time);
    if ({known}) known = known + 1;
  end endtask
  initial begin
    {set_up} #5; check;
{chr(10).join(lines)}
    $display("{cell.name} known %0d", known);
  end
endmodule
"""


def compare(files, texts, folder):
    """Play all cells that can be modelled; lines that Icarus prints."""
    names = [n for n, c in files.cells.items() if c.usable and (c.flip_flop or not c.storage)]
    names = [name for name in names if any(files.cells[name].outputs.values())]
    ignore = "-ignore_miss_func -ignore_miss_dir"
    script = [f"read_liberty {ignore} {i}.lib" for i in range(len(texts))]
    script += [*(f"rename {name} reference_{name}" for name in names), "write_verilog -noattr c.v"]
    given = {f"{i}.lib": text for i, text in enumerate(texts)}
    theirs = run_yosys("\n".join(script), given, ["c.v"])["c.v"]
    benches = "".join(bench(files.cells[name]) for name in names)
    path = folder / "all.v"
    path.write_text(cell_modules(netlist(names), files) + theirs + benches)
    tops = [word for name in names for word in ("-s", f"bench_{name}")]
    subprocess.run(["iverilog", "-g2005", "-o", folder / "all", *tops, path], check=True)
    done = subprocess.run(["vvp", "-n", folder / "all"], capture_output=True, text=True)
    return names, done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog")
@pytest.mark.parametrize("source", ["own", "demo"])
def test_models_do_what_yosys_reads(source, tmp_path):
    if source == "own":
        files, texts = parse(TEXT.encode(), "own.lib"), [TEXT.encode()]
    else:
        files, texts = (found := read_library(DEMO)).library, list(found.contents.values())
    names, said = compare(files, texts, tmp_path)
    assert len(names) >= 10 and [line for line in said if line.startswith("WRONG")] == []
    known = {line.split()[0]: int(line.split()[2]) for line in said if " known " in line}
    assert known.keys() == set(names)
    assert {name for name, count in known.items() if count < 150} == set()


@pytest.mark.skipif(tools.find("iverilog") is None, reason="apt-get install iverilog")
def test_a_wrong_function_is_seen(tmp_path):
    text = TEXT.replace("(E | F))", "(E & F))").replace('clear : "!RN"', 'clear : "RN"')
    wrong = parse(text.encode(), "own.lib")
    _, said = compare(wrong, [TEXT.encode()], tmp_path)
    found = {line.split()[1] for line in said if line.startswith("WRONG")}
    assert found == {"OAI222", "CLEARED", "BOTH"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("(D & E)", "(D & Z)"), "cell ENABLED cannot be simulated: unexpected 'Z'"),
        (('"opposite"', '"D"'), "cell BOTH cannot be simulated: unexpected 'D'"),
        (('ff (IQ, IQN) { clocked_on : "CK"; next_state : "D";  }', "ff (IQ, IQN) { }"), "stores"),
    ],
)
def test_what_is_not_known_is_refused(change, said):
    assert change[0] in TEXT
    found = parse(TEXT.replace(*change).encode(), "own.lib")
    with pytest.raises(InputError, match=re.escape(said)):
        cell_modules(netlist(CELLS), found)
