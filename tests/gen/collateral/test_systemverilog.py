"""The package and the wrapper, as slang reads them: bits of fields are those of the payloads."""

import math
import re

import pytest
from pyslang.ast import Compilation  # pyright: ignore[reportMissingModuleSource]
from pyslang.syntax import SyntaxTree  # pyright: ignore[reportMissingModuleSource]
from sweeps import swept

from lutcore.gen.collateral.systemverilog import package, systemverilog, wrapper
from lutcore.gen.emit.interfaces import FIELDS, TOPS, payloads, ports
from lutcore.gen.emit.lint import lint
from lutcore.gen.emit.names import plain
from lutcore.gen.emit.rtl import design_name, verilog
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, preset
from lutcore.hdl.isa.lmma import Cause
from lutcore.hdl.isa.registers import REGISTERS
from lutcore.verif.samples.cores import SMALL_CORES

DESIGNS = [
    ("w2a8", "axi-stream"),
    *((name, "tile") for name in PRESETS),
    *((name, top) for name in CORE_PRESETS for top in ("core", "axi-stream")),
    *(("edge", top) for top in TOPS if top not in ("core", "axi-stream")),
]


def evaluated(text, questions):
    """Values of expressions of type logic or int behind a text, asked as local parameters."""
    asked = "\n".join(f"  localparam {kind} p_{i} = {q};" for i, (kind, q) in enumerate(questions))
    compilation = Compilation()
    compilation.addSyntaxTree(SyntaxTree.fromText(f"{text}\nmodule asks;\n{asked}\nendmodule\n"))
    wrong = [str(found.code) for found in compilation.getAllDiagnostics()]
    assert wrong == []
    (instance,) = compilation.getRoot().topInstances
    return [int(instance.body.find(f"p_{i}").value.value) for i in range(len(questions))]


@pytest.mark.parametrize(("name", "top"), DESIGNS)
def test_fields_are_the_payloads_bits(name, top):
    config = preset(name)
    kind = f"{design_name(config, top)}_pkg::"
    layouts, questions, expected = payloads(config, top), [], []
    for port in ports(config, top):
        fields = port.get("fields", ())
        stream, _ = layouts.get(port["name"], ("", None))
        if fields:
            questions.append(("int", f"$bits({kind}{stream}_t)"))
            expected.append(port["width"])
        for field in fields:
            bits = field["width"] * math.prod(field["dims"])
            value = (1 << bits) - 1 << field["offset"]
            literal = f"{kind}{stream}_t'({port['width']}'h{value:x})"
            # As a structure, with this field alone all ones.
            questions += [(f"{kind}{stream}_t", literal)]
            expected.append(value)
            at = len(questions) - 1
            path = re.sub(r"\w+$", lambda it: plain(it[0]), field["name"])  # release is a word
            questions.append(("int", f"$countones(p_{at}.{path})"))
            expected.append(bits)
            questions.append(("int", f"$bits(p_{at}.{path})"))
            expected.append(bits)
    assert questions or not layouts
    assert evaluated(package(config, top), questions) == expected


def test_signed_elements_are_signed():
    config = PRESETS["w2a8"]
    kind = f"{design_name(config)}_pkg::"
    questions = [
        (f"{kind}activations_t", f"{kind}activations_t'(64'hff)"),
        ("int", "32'(p_0.values[0][0])"),
        (f"{kind}results_t", f"{kind}results_t'({(1 << 26) - 1})"),
        ("int", "32'(p_2.dot[0][0])"),
        ("int", f"{kind}M * 100 + {kind}K"),
    ]
    found = evaluated(package(config, "tile"), questions)
    assert found[1] == found[3] == -1 and found[4] == 204


def test_registers_and_causes_are_those_of_the_table():
    config = SMALL_CORES["w4a8"]
    kind = f"{design_name(config, 'axi')}_pkg::"
    questions, expected = [], []
    for name, (offset, register) in REGISTERS.items():
        questions.append(("int", f"32'({kind}REG_{name.upper()})"))
        expected.append(offset)
        for field, low, bits, _ in register.fields:
            questions.append(("longint", f"64'({kind}REG_{name.upper()}_{field.upper()})"))
            expected.append((1 << bits) - 1 << low)
    for cause in Cause:
        questions.append(("int", f"32'({kind}CAUSE_{cause.name})"))
        expected.append(cause.value)
    assert evaluated(package(config, "axi"), questions) == expected


#: Those of a preset with every top are in ``test_lint.py``.
_KEPT = [("w4a8", "axi"), ("int8-tables", "core")]
_ALL = [pytest.param(name, top) for name in ("w4a8", "int8-tables") for top in TOPS]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "top"), swept(_ALL, lambda case: case.values in _KEPT))
def test_linters_are_content_with_all_files(name, top):
    config = SMALL_CORES[name].replace(name=name.replace("-", "_"))
    found = lint(verilog(config, top), design_name(config, top), systemverilog(config, top))
    assert [message for opinion in found for message in opinion.messages] == []


def test_a_wrong_wrapper_is_told():
    config = PRESETS["w2a8"].replace(n=2)
    name = design_name(config)
    files = systemverilog(config, "tile")
    files[f"{name}_wrapper.sv"] = wrapper(config, "tile").replace("results_t", "weights_t")
    found = lint(verilog(config), name, files)
    assert {opinion.tool for opinion in found if opinion.messages} >= {"Verilator -Wall", "slang"}


def test_every_field_of_a_payload_is_told():
    names = set()
    for name, top in DESIGNS:
        for port in ports(preset(name), top):
            stream, _ = payloads(preset(name), top).get(port["name"], ("", None))
            for field in port.get("fields", ()):
                leaf = field["name"].rpartition(".")[2]
                names.add(f"{stream}.{leaf}" if f"{stream}.{leaf}" in FIELDS else leaf)
    assert names <= set(FIELDS)
    assert set(FIELDS) - names <= {"tables.last"}  # external tables of runs that are buffered
