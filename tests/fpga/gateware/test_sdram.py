"""The SDRAM controller against a model of the chip that checks the data sheet's rules."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import lutcore.fpga.flow.bitstream as flow
from lutcore.cli.main import app
from lutcore.errors import InputError, ToolError
from lutcore.fpga.boards.boards import BOARDS, board_config, pins
from lutcore.fpga.boards.sdram_chip import SDRAM_16M_16, SdramTiming
from lutcore.fpga.flow import place
from lutcore.fpga.flow.netlist import Netlist
from lutcore.fpga.gateware.sdram import sdram_memory
from lutcore.fpga.host.driver import Device
from lutcore.fpga.host.virtual import VirtualBoard, model_headers, model_rules
from lutcore.fpga.link.protocol import facts
from lutcore.gen.emit.rtl import component_rtlil
from lutcore.gen.emit.verilog import verilog_text
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.presets import preset
from lutcore.verif.golden.integers import mpgemm
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.sim.native import build_native

pytestmark = [pytest.mark.slow, pytest.mark.board]

#: Nearly the fastest that the chip takes, where every time is several cycles, with CAS latency 3.
FAST = SdramTiming.at(SDRAM_16M_16, 133)
SLOW = SdramTiming.at(SDRAM_16M_16, 15)
#: Names of the model's rules, in their order.
RULES = (
    *("period", "bank_bits", "row_bits", "column_bits", "data_bits"),
    *("power_up", "activate_to_access", "precharge", "activate_to_activate"),
    *("activate_to_precharge", "write_recovery", "refresh", "refresh_interval"),
    *("mode_cycles", "shortest_2", "shortest_3"),
)


class Memory:
    """A simulation of a memory with 64 bits of bus on SDRAM."""

    def __init__(self, timing: SdramTiming):
        self.rules = dict(zip(RULES, model_rules(timing), strict=True))
        text = verilog_text(component_rtlil(sdram_memory(64, timing), "memory"))
        self.program = build_native(
            text.replace("__", "_"),  # Verilator has names of its own for two
            "memory",
            Path(__file__).parent / "sdram_harness.cpp",
            headers=model_headers(),
        )

    def run(self, traffic: str, bursts: int, fault: str = "none", seed: int = 1, **changed: int):
        """Cycles, words read, written and single, refreshes; or what was wrong."""
        words = [traffic, seed, bursts, fault, *(self.rules | changed).values()]
        result = subprocess.run(
            [str(self.program), *map(str, words)], capture_output=True, text=True
        )
        return result.stderr or tuple(map(int, result.stdout.split()))


@pytest.fixture(scope="module")
def fast() -> Memory:
    return Memory(FAST)


def test_random_bursts_and_words_are_those_of_plain_memory_and_no_rule_is_broken(fast):
    for seed in range(3):
        cycles, read, written, single, refreshes = fast.run("random", 2000, seed=seed)
        assert min(read, written) > 50_000 and single > 1000
        assert refreshes >= cycles * fast.rules["period"] // fast.rules["refresh_interval"]


def test_refreshes_are_on_time_and_most_cycles_move_a_column_under_full_load(fast):
    cycles, read, written, _, refreshes = fast.run("steady", 400)
    assert read == written == 400 * 256
    assert (read + written) * 64 // 16 / cycles > 0.95
    assert refreshes >= cycles * fast.rules["period"] // fast.rules["refresh_interval"]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("refresh", "no refresh in time"),
        ("mask", "wrong data"),
        ("latency", "too fast for the CAS latency"),
        ("precharge", "ACTIVATE of an open bank|REFRESH with an open row"),
        ("mode", "before the mode is set"),
    ],
)
def test_a_command_that_is_lost_or_changed_is_noticed(fast, fault, says):
    assert any(word in fast.run("random", 300, fault) for word in says.split("|"))


@pytest.mark.parametrize(
    ("rule", "cycles", "says"),
    [
        ("power_up", 20, "after power came on"),
        ("activate_to_access", 1, "tRCD is too short by"),
        ("precharge", 1, "tRP is too short by"),
        ("activate_to_activate", 3, "tRC is too short by"),
        ("activate_to_precharge", 1, "tRAS is too short by"),
        ("write_recovery", 1, "tWR is too short by"),
        ("refresh", 1, "tRFC is too short by"),
        ("refresh_interval", -30, "no refresh in time by"),
        ("mode_cycles", 40, "too soon after the mode"),
    ],
)
def test_no_cycle_is_given_away_and_each_rule_is_checked(fast, rule, cycles, says):
    """A chip that asked for a little more would be used wrongly, and the model says so."""
    step = 1 if rule == "mode_cycles" else fast.rules["period"]
    assert says in fast.run("random", 300, **{rule: fast.rules[rule] + cycles * step})


def test_times_become_cycles_rounded_up():
    assert (SLOW.latency, SLOW.activate_to_access, SLOW.refresh) == (2, 1, 1)
    assert (FAST.latency, FAST.activate_to_access, FAST.refresh) == (3, 3, 9)
    assert SdramTiming.at(SDRAM_16M_16, 100).latency == 2
    assert SdramTiming.at(SDRAM_16M_16, 1000 / 21).activate_to_access == 1
    assert SDRAM_16M_16.size == 32 << 20
    with pytest.raises(InputError, match=r"--freq 134: SDRAM of 16M x 16 takes at most 133\.3 MHz"):
        SdramTiming.at(SDRAM_16M_16, 134)
    with pytest.raises(InputError, match=r"--freq 3: too slow to refresh .* every 7\.8125 us"):
        SdramTiming.at(SDRAM_16M_16, 3)


def test_a_core_on_sdram_equals_the_golden_model():
    config, rng = SMALL_CORES["w4a8"], np.random.default_rng(0)
    tensor = random_tensor((16, 64), 4, 32, rng)
    tensor.zero_points[:] = 1
    activations = random_activations(config, 3, 64, rng)
    data = rng.bytes(8192)
    with VirtualBoard(config, memory=SLOW) as board:
        with Device.open(board.port, config, timeout=20) as device:
            assert device.memory == 32 << 20
            found = device.matmul(tensor, activations)
            np.testing.assert_allclose(found, mpgemm(activations, tensor), rtol=1e-5)
            device.write(device.memory - len(data), data)
            assert device.read(device.memory - len(data), len(data)) == data
            with pytest.raises(ToolError, match="refused an access"):
                device.read(device.memory, 4)
        assert board.process.poll() is None


def test_the_board_has_the_pins_of_its_chip():
    board = BOARDS["ulx3s-85f"]
    assert board.sdram == SDRAM_16M_16
    places = pins(board)
    assert len(places) == 3 + 39 and len({pin.site for pin in places.values()}) == len(places)
    assert places["sdram_clk"].site == "F19" and places["sdram_dq[15]"].site == "J17"
    assert set(pins(board.on_block_ram())) == {"oscillator", "rx", "tx"}


@pytest.fixture
def designs(monkeypatch) -> list[str]:
    """RTLIL of what is built, without any tool."""
    seen: list[str] = []

    def synthesise(board, rtlil, use_cache):
        seen.append(rtlil)
        total: dict[str, int] = dict.fromkeys(["lut", "lone", "ff", "bram", "dsp", "spram"], 1)
        return Netlist("", total, "whole", {}, {}, "", 0.0)

    report = {"fmax": {"clk": {"achieved": 40.0}}, "critical_paths": [], "utilization": {}}
    placed = flow._Route(1, place.Placed("", report), 0.0)
    monkeypatch.setattr(flow, "synthesise", synthesise)
    monkeypatch.setattr(flow._Router, "run", lambda *arguments: placed)
    monkeypatch.setattr(flow, "pack", lambda *arguments, **options: b"")
    return seen


def test_a_bitstream_has_the_sdram_and_says_so(designs):
    board = BOARDS["ulx3s-85f"]
    config = board_config(board, None)
    built = flow.build(config, board)
    assert (built.report.memory, built.report.store) == (32 << 20, "SDRAM of 16M x 16")
    assert built.metadata["facts"] == facts(config, 32 << 20)
    assert designs[0].count("cell \\BB ") == 16 and designs[0].count("cell \\ODDRX1F ") == 1
    tile = flow.build(preset("board-tile"), board)
    assert (tile.report.memory, tile.report.store) == (board.memory, "block RAM")
    assert "sdram_dq" not in designs[1]


def test_block_ram_by_option(monkeypatch):
    seen = []

    def build(config, board, **options):
        seen.append(board.sdram)
        raise InputError("enough")

    monkeypatch.setattr(flow, "build", build)
    for options in ([], ["--block-ram"]):
        assert CliRunner().invoke(app, ["bitstream", "--board", "ulx3s-85f", *options]).exit_code
    assert seen == [SDRAM_16M_16, None]
