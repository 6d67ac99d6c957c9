"""Emitted files: deterministic, lint-clean, self-describing, whole or absent."""

import hashlib
import json
import os
import re
import subprocess
import sys

import pytest

from lutcore import files
from lutcore.errors import InputError
from lutcore.files import LEDGER
from lutcore.gen.collateral.generate import generate
from lutcore.gen.emit.interfaces import TOPS
from lutcore.gen.emit.rtl import component_rtlil, design_name, design_rtlil, verilog
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import CORE_PRESETS, PRESETS, preset
from lutcore.hdl.config.rules import check_core
from lutcore.hdl.isa.registers import REGISTERS


@pytest.mark.slow
def test_same_bytes_in_another_process(tmp_path):
    generate(PRESETS["ternary-a8"], tmp_path / "a")
    script = (
        "import sys; from pathlib import Path\n"
        "from lutcore.gen.collateral.generate import generate\n"
        "from lutcore.hdl.config.presets import PRESETS\n"
        "generate(PRESETS['ternary-a8'], Path(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "b")], check=True, env=environment)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) > 15 and names == sorted(path.name for path in (tmp_path / "b").iterdir())
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(("name", "top"), [("w1a8", "tile"), ("board-core", "core")])
def test_what_is_synthesised_knows_no_places(name, top):
    """Else results in the cache would depend on where the package is, and on its comments."""
    config = preset(name)
    assert design_rtlil(config, top) == component_rtlil(
        TOPS[top].component(config), design_name(config, top)
    )


def test_no_paths_and_readable_names():
    text = verilog(PRESETS["w2a8"])
    assert not re.search(r"/(home|root|usr|work|tmp|var)/", text)
    assert "$" not in re.sub(r"\$(un)?signed", "", text)
    for instance in (
        "table_builder",
        "table_stage",
        "drain_lane_3",
        "row_sums",
        "drain",
        "column_15",
    ):
        assert re.search(rf"^  \w+ {instance} \($", text, re.MULTILINE), instance


@pytest.mark.slow
def test_identical_columns_are_one_module():
    """Verilog grows with the number of instances, not with their contents."""
    modules = [
        re.findall(r"^module (\w+)", verilog(CoreConfig(n=n, name="t")), re.MULTILINE)
        for n in (16, 64)
    ]
    assert modules[0] == modules[1]
    assert modules[0].count("t_tile__column") == 1
    sizes = [len(verilog(CoreConfig(n=n, zero_points="external"))) for n in (64, 128, 256)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.1)


def test_metadata_describes_the_verilog(tmp_path):
    config = PRESETS["w4a8"]
    generate(config, tmp_path)
    text = (tmp_path / "w4a8_tile.v").read_text()
    facts = json.loads((tmp_path / "w4a8_tile.json").read_text())
    assert CoreConfig.from_dict(facts["config"]) == config
    assert facts["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    top = text[: text.index("endmodule")]
    declared = {
        name: (direction, int(high or 0) + 1)
        for direction, high, name in re.findall(
            r"^  (input|output) +(?:wire|reg) +(?:\[(\d+):0\] +)?(\w+)", top, re.MULTILINE
        )
    }
    described = {p["name"]: (p["direction"], p["width"]) for p in facts["ports"]}
    assert described == declared
    for port in facts["ports"]:
        end = 0
        for leaf in port.get("fields", []):
            assert leaf["offset"] == end
            count = 1
            for size in leaf["dims"]:
                count *= size
            end += leaf["width"] * count
        assert end in (0, port["width"])


def test_fusesoc_core_names_existing_files(tmp_path):
    import yaml

    generate(PRESETS["w1a8"], tmp_path)
    text = (tmp_path / "w1a8_tile.core").read_text()
    assert text.startswith("CAPI=2:\n")
    core = yaml.safe_load(text.split("\n", 1)[1])
    for fileset in core["filesets"].values():
        for entry in fileset["files"]:
            assert (tmp_path / next(iter(entry))).exists()
    assert core["targets"]["default"]["toplevel"] == "w1a8_tile"


def test_unwritable_folder_is_one_line_and_leaves_nothing(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match=r"cannot write to .*choose another place with -o"):
        generate(CoreConfig(n=4), blocked / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_half_written(tmp_path, monkeypatch):
    """A failure in the middle of writing leaves the folder as it was."""
    opened, sound = [], files._Unfinished.__init__

    def fail_on_third(self, folder):
        opened.append(folder)
        if len(opened) == 3:
            raise OSError(28, "No space left on device")
        sound(self, folder)

    monkeypatch.setattr(files._Unfinished, "__init__", fail_on_third)
    with pytest.raises(InputError, match="No space left on device"):
        generate(CoreConfig(n=4), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_core_comes_with_its_registers(tmp_path):
    """Header, module and SystemRDL give the same offsets, the metadata the Verilog's ports."""
    generate(preset("edge"), tmp_path, "axi")
    text = (tmp_path / "lutcore_edge_axi.v").read_text()
    facts = json.loads((tmp_path / "lutcore_edge_axi.json").read_text())
    top = text[: text.index("endmodule")]
    declared = re.findall(
        r"^  (input|output) +(?:wire|reg) +(?:\[(\d+):0\] +)?(\w+)", top, re.MULTILINE
    )
    described = {(p["direction"], p["width"], p["name"]) for p in facts["ports"]}
    assert described == {(d, int(high or 0) + 1, name) for d, high, name in declared}
    header = (tmp_path / "lutcore_edge_axi_registers.h").read_text()
    rdl = (tmp_path / "lutcore_edge_axi_registers.rdl").read_text()
    module: dict[str, int] = {}
    exec((tmp_path / "lutcore_edge_axi_registers.py").read_text(), module)
    for name, (offset, _) in REGISTERS.items():
        assert f"#define LUTCORE_{name.upper()} 0x{offset:02X} " in header
        assert f"}} {name} @ 0x{offset:02X};" in rdl
        assert module[name.upper()] == offset


@pytest.mark.slow
def test_a_core_between_streams_says_what_its_payloads_hold(tmp_path):
    generate(preset("edge"), tmp_path, "core")
    assert not list(tmp_path.glob("*_registers*"))
    text = (tmp_path / "lutcore_edge_core.v").read_text()
    facts = json.loads((tmp_path / "lutcore_edge_core.json").read_text())
    top = text[: text.index("endmodule")]
    declared = re.findall(
        r"^  (input|output) +(?:wire|reg) +(?:\[(\d+):0\] +)?(\w+)", top, re.MULTILINE
    )
    described = {p["name"]: p for p in facts["ports"]}
    assert len(described) == len(declared) == 27
    for direction, high, name in declared:
        port = described[name]
        assert (port["direction"], port["width"]) == (direction, int(high or 0) + 1)
        if name.endswith("__payload"):
            assert sum(field["width"] for field in port["fields"]) == port["width"]
    fields = [field["name"] for field in described["written__payload"]["fields"]]
    assert facts["top"] == "core" and fields == ["data", "strb", "last"]


@pytest.mark.parametrize("name", CORE_PRESETS)
def test_core_presets_make_cores(name):
    check_core(CORE_PRESETS[name])


@pytest.mark.parametrize(
    ("config", "top", "message"),
    [
        ("w2a8", "axi", r"a core needs precompute = buffered"),
        ("edge", "pe", r"--top must be one of tile, axi-stream, core, axi, .*, not 'pe'"),
    ],
)
def test_what_is_no_core_is_refused(config, top, message, tmp_path):
    with pytest.raises(InputError, match=message):
        generate(preset(config), tmp_path / "out", top)
    assert not list(tmp_path.iterdir())


def test_no_two_designs_have_one_name():
    """Presets, what is made of them, and what has no name of its own, with all tops."""
    configs = [*PRESETS.values(), *CORE_PRESETS.values()]
    configs += [PRESETS["w2a8"].replace(n=n) for n in (2, 4)] + [CoreConfig(n=n) for n in (2, 32)]
    configs += [PRESETS["w2a8"].replace(name="mine"), PRESETS["w2a8"].replace(name="mine_tile")]
    names = [design_name(config, top) for config in configs for top in TOPS]
    assert len(set(names)) == len(configs) * len(TOPS)


def test_designs_of_one_library_share_no_module():
    """Also where a name is that of another with a part of it behind."""
    configs = [CoreConfig(name=name, n=2, m=1) for name in ("a", "a_tile", "a_tile_column")]
    configs += [PRESETS["w2a8"].replace(n=n) for n in (2, 4)]
    texts = [verilog(config, top) for config in configs for top in ("tile", "axi-stream")]
    modules = [name for text in texts for name in re.findall(r"^module (\w+)", text, re.MULTILINE)]
    assert len(set(modules)) == len(modules) > 60


@pytest.mark.parametrize("name", ["a__b", "a_"])
def test_names_that_could_be_another_designs_are_refused(name):
    with pytest.raises(InputError, match="must have no two underscores together"):
        CoreConfig(name=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["w2a8", "--set", "n=4"],
        ["w2a8", "--set", "n=4", "--set", "name=mine"],
        ["own.toml"],
        ["own.toml", "--set", "n=2"],
        ["unnamed.toml", "--top", "axi-stream"],
        ["board-core", "--top", "axi-apb"],
    ],
)
def test_the_command_in_the_header_makes_the_same_files(words, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    (tmp_path / "own.toml").write_text('name = "own"\nn = 4\nm = 1\n')
    (tmp_path / "unnamed.toml").write_text("n = 4\nm = 1\n")
    lutcore = [sys.executable, "-m", "lutcore.cli.main"]
    subprocess.run([*lutcore, "generate", *words, "-o", "first"], cwd=tmp_path, check=True)
    files = {path.name: path.read_bytes() for path in first.iterdir() if path.name != LEDGER}
    (text,) = [content.decode() for name, content in files.items() if name.endswith("_wrapper.sv")]
    (command,) = re.findall(r"^// Command: lutcore (.*)$", text, re.MULTILINE)
    (source,) = first.glob("*.toml")
    second.mkdir()
    (second / source.name).write_bytes(source.read_bytes())
    subprocess.run([*lutcore, *command.split(), "--force"], cwd=second, check=True)
    again = {path.name: path.read_bytes() for path in second.iterdir() if path.name != LEDGER}
    assert again == files
