"""Bitstreams: the smallest is built, unpacked and compared; what does not fit is refused."""

import json
import re
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import lutcore.fpga.flow.bitstream as flow
from lutcore import tools
from lutcore.cli.main import app
from lutcore.errors import InputError, ToolError
from lutcore.fpga.boards.boards import BOARDS, Pin, baud_rate, board_config, oscillator, pins
from lutcore.fpga.boards.pll import ecp5_pll, mmcm
from lutcore.fpga.flow import place
from lutcore.fpga.flow.bitstream import build, clocking
from lutcore.fpga.flow.emit import TOP
from lutcore.fpga.flow.fit import check_model, check_synthesis, estimate
from lutcore.fpga.flow.netlist import synthesise
from lutcore.fpga.flow.tools import ICEUNPACK, command
from lutcore.fpga.gateware.block_memory import block_memory
from lutcore.fpga.host.driver import read_metadata
from lutcore.fpga.link.protocol import facts
from lutcore.gen.emit.rtl import component_rtlil
from lutcore.hdl.config.core import CoreConfig
from lutcore.hdl.config.presets import preset

pytestmark = [pytest.mark.slow, pytest.mark.board]

BOARD = BOARDS["icebreaker"]
#: Three units, so that it is built in seconds; tests that build it share the cache.
SMALLEST = preset("board-tile").replace(n=3, lookups=1, max_weight_bits=1, plane_order="any")


@pytest.fixture(scope="module")
def smallest():
    lines: list[str] = []
    built = build(SMALLEST, BOARD, progress=lambda seed, line: lines.append(f"{seed} {line}"))
    return built, lines


_SECTIONS = r"(logic|io|ramb|ramt|dsp\d|ipcon|ram_data)"


def tiles(text: str) -> dict[str, list[str]]:
    """Set bits of a configuration in icebox's form, section by section."""
    found = {}
    for section in re.split(r"^\.", text, flags=re.MULTILINE):
        name, _, body = section.partition("\n")
        bits = body.split()
        if re.match(r"(logic|io|ramb|ramt|dsp\d|ipcon|ram_data)", name) and set("".join(bits)) > {
            "0"
        }:
            found[name] = bits
    return found


def unpack(data: bytes) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "packed").write_bytes(data)
        start, _ = command(ICEUNPACK, native=False)
        tools.run("iceunpack", [*start, "packed", "unpacked"], folder=scratch)
        return (Path(scratch) / "unpacked").read_text()


def test_the_packed_file_unpacks_to_the_placed_design(smallest, monkeypatch):
    built, _ = smallest
    placed = {}

    def keep(board, text, **options):
        placed["text"] = text
        return built.data

    monkeypatch.setattr(flow, "pack", keep)
    build(SMALLEST, BOARD)  # from the cache
    design = tiles(placed["text"])
    assert len(design) > 50
    assert tiles(unpack(built.data)) == design
    broken = bytearray(built.data)
    broken[len(broken) // 2] ^= 1
    try:
        assert tiles(unpack(bytes(broken))) != design
    except ToolError:
        pass  # its checksum is wrong


def test_the_report_says_what_it_takes_and_that_timing_is_met(smallest):
    built, _ = smallest
    report = built.report
    assert report.met and report.fmax_mhz >= report.clock_mhz == 12
    used, available = report.placed["ICESTORM_LC"]
    assert available == BOARD.capacity["lut"]
    assert used == pytest.approx(report.synthesis["lut"] + report.synthesis["lone"], rel=0.05)
    assert report.placed["ICESTORM_SPRAM"] == (2, 4)
    kinds = {name: memory["kind"] for name, memory in report.memories.items()}
    assert kinds.pop("results") == "2 single-port RAM"
    assert kinds and all("block RAM" in kind for kind in kinds.values())
    # Block by block, nothing is known of words that are never read.
    assert sum(block["bram"] for block in report.blocks.values()) >= report.synthesis["bram"] > 0
    assert report.paths[0]["ns"] == pytest.approx(1000 / report.fmax_mhz, rel=0.01)
    assert json.loads(report.to_json())["config"]["n"] == 3


def test_a_second_build_is_the_first_without_a_tool(smallest, monkeypatch):
    monkeypatch.setattr(flow, "place_and_route", None)
    monkeypatch.setattr(flow, "pack", lambda *args, **options: smallest[0].data)
    assert build(SMALLEST, BOARD).report == smallest[0].report


def test_the_fastest_seed_is_packed_and_missed_timing_is_status_1(smallest, monkeypatch, tmp_path):
    def run(router, seed, use_cache, say):
        say(seed, "Info: Routing")
        report = {"fmax": {"clk": {"achieved": 10.0 + seed % 3}}, "critical_paths": []}
        placed = place.Placed(f"placed {seed}", {**report, "utilization": {}})
        return flow._Route(seed, placed, 1.0)

    monkeypatch.setattr(flow._Router, "run", run)
    monkeypatch.setattr(flow, "pack", lambda board, text, **options: text.encode())
    built = build(SMALLEST, BOARD, seeds=(1, 2, 3), jobs=2)
    assert built.data == b"placed 2" and built.report.seed == 2 and built.report.met
    assert built.report.seeds == {1: 11, 2: 12, 3: 10}
    changes = {"n": 3, "lookups": 1, "max_weight_bits": 1, "plane_order": "any"}
    arguments = [f"--set={field}={value}" for field, value in changes.items()]
    arguments = ["bitstream", "--board", BOARD.name, "-o", str(tmp_path), *arguments]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "NOT met: 11 MHz for 12 MHz" in result.output
    assert (tmp_path / "board_tile-icebreaker.bin").read_bytes() == b"placed 1"
    assert CliRunner().invoke(app, [*arguments, "--seeds", "2", "--json"]).exit_code == 0


def test_files_appear_whole_and_the_driver_reads_them(smallest, tmp_path):
    written = smallest[0].write(tmp_path)
    assert [path.suffix for path in written] == [".bin", ".json", ".json"]
    assert written[0].read_bytes() == smallest[0].data
    assert read_metadata(written[1]) == (SMALLEST, 3_000_000)
    stated = json.loads(written[1].read_text())
    assert stated["facts"] == facts(SMALLEST, BOARD.memory)
    written[1].write_text(json.dumps(stated | {"facts": {"protocol": 0}}))
    with pytest.raises(InputError, match="not of this version"):
        read_metadata(written[1])
    with pytest.raises(InputError, match=r"give the \.json"):
        read_metadata(written[0])


def test_a_tool_that_fails_says_why(tmp_path):
    start, _ = command(ICEUNPACK, native=False)
    with pytest.raises(ToolError, match="iceunpack failed: "):
        tools.run("iceunpack", [*start, "missing", "out"], folder=tmp_path)


def test_what_is_far_too_large_is_refused_before_synthesis(monkeypatch):
    monkeypatch.setattr(flow, "synthesise", None)
    with pytest.raises(InputError, match=r"of 5,280; .* own configuration, board-tile"):
        build(preset("edge"), BOARD)
    for name, luts in (("ulx3s-85f", "83,640"), ("lifcl-evn", "32,256")):
        with pytest.raises(InputError, match=rf"of {luts}; the nearest .* --set .*n=\d+"):
            build(preset("large"), BOARDS[name])


def test_what_synthesis_finds_too_large_is_refused_with_what_fits(smallest):
    config = preset("board-tile").replace(n=30)
    total = {"lut": 4000, "lone": 1500, "ff": 4000, "bram": 31, "dsp": 0, "spram": 2}
    with pytest.raises(
        InputError, match=r"5,500 LUTs of 5,280, 31 block RAMs of 30; .*--set n="
    ) as said:
        check_synthesis(config, BOARD, total)
    changes = dict(re.findall(r"--set (\w+)=(\d+)", str(said.value)))
    smaller = config.replace(**{field: int(value) for field, value in changes.items()})
    assert estimate(smaller) * 5500 / estimate(config) < 0.86 * 5280
    check_synthesis(SMALLEST, BOARD, smallest[0].report.synthesis)


@pytest.mark.parametrize("name", BOARDS)
def test_every_board_has_pins_a_clock_and_a_configuration_that_fits(name):
    board = BOARDS[name]
    assert set(pins(board.on_block_ram())) == {"oscillator", "rx", "tx"}
    mhz, pll = clocking(board, None)
    assert (pll is None) == (mhz == oscillator(board))
    assert baud_rate(mhz)[0] == 3_000_000
    config = board_config(board, None)
    check_model(config, board)
    assert isinstance(config, CoreConfig)


def test_chains_of_nexus_begin_as_place_and_route_takes_them():
    """Yosys ties the carry into their first cells, which nextpnr refuses."""
    found = synthesise(BOARDS["lifcl-evn"], component_rtlil(block_memory(32, 1 << 14), TOP))
    cells = json.loads(found.json)["modules"][TOP]["cells"].values()
    chains = [cell["connections"] for cell in cells if cell["type"] == "CCU2"]
    heads = [pins for pins in chains if "CIN" not in pins]
    carries = [pins["COUT"] for pins in chains if "COUT" in pins]
    assert 0 < len(heads) < len(chains) == found.total["carry"]
    assert all(pins["CIN"] in carries for pins in chains if "CIN" in pins)
    assert found.total["bram"] == 8
    assert [memory["kind"] for memory in found.memories.values()] == ["8 block RAM"]


def test_pins_are_those_of_the_board():
    assert {port: pin.site for port, pin in pins(BOARD).items()} == {
        "oscillator": "35",
        "rx": "6",
        "tx": "9",
    }
    assert pins(BOARDS["orangecrab"])["rx"] == Pin("N17", {"IO_TYPE": "LVCMOS33"})
    nexus = BOARDS["lifcl-evn"]
    assert place.FLOWS[nexus.family].constraints(pins(nexus)).splitlines()[2:4] == [
        "ldc_set_location -site {D10} [get_ports rx]",
        "ldc_set_port -iobuf {IO_TYPE=LVCMOS33} [get_ports rx]",
    ]


def test_loops_make_the_clock_that_is_asked_for():
    for source, target in ((25, 15), (48, 24), (25, 30)):
        pll = ecp5_pll(source, target)
        assert pll.frequency == target
        assert 400 <= target * pll.output <= 800 and source / pll.reference >= 3.125
    loop = mmcm(100, 48)
    assert 100 * loop.feedback / loop.output == 48 and 600 <= 100 * loop.feedback <= 1200
    with pytest.raises(InputError, match=r"no clock of 24 MHz .* of 25 MHz: choose one of"):
        ecp5_pll(25, 24)
    with pytest.raises(InputError, match="runs at 12 MHz, not 24"):
        clocking(BOARD, 24)
    with pytest.raises(InputError, match="no usual bit rate"):
        baud_rate(1.7)
