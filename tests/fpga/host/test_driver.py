"""The driver on a simulated board: results, faults of the line, a board that dies."""

import os
import pty
import select
import signal
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lutcore.compiler.lowering.gemm import gemm
from lutcore.compiler.lowering.network import compile_network
from lutcore.compiler.weights.quantise import Rounding
from lutcore.errors import InputError, ToolError
from lutcore.fpga.host.driver import Device
from lutcore.fpga.host.link_rates import LEAST, upload_share
from lutcore.fpga.host.run import board_backend, check_memory, run_on_board
from lutcore.fpga.host.virtual import LineFaults, VirtualBoard
from lutcore.fpga.link.protocol import REGISTERS_BASE, RESULTS_BASE
from lutcore.gen.run.backends import CheckedBackend
from lutcore.gen.run.network import Executor
from lutcore.gen.run.program import against_model
from lutcore.gen.run.tile import random_activations, random_tensor
from lutcore.hdl.config.presets import preset
from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.golden.integers import mpgemm
from lutcore.verif.samples.cores import SMALL_CORES
from lutcore.verif.samples.networks import bert

pytestmark = [pytest.mark.slow, pytest.mark.board]

CONFIG = SMALL_CORES["w4a8"]
#: A byte in a hundred is lost, doubled or changed.
FAULTY = LineFaults(drop=0.0033, duplicate=0.0033, flip=0.0034, seed=7)


@pytest.fixture(scope="module")
def board() -> Iterator[VirtualBoard]:
    with VirtualBoard(CONFIG) as virtual:
        yield virtual


@pytest.fixture
def device(board) -> Iterator[Device]:
    with Device.open(board.port, CONFIG, timeout=60, retry=2) as opened:
        yield opened


def problem(rows: int = 3, n: int = 16, k: int = 64, bits: int = 4):
    rng = np.random.default_rng(rows)
    tensor = random_tensor((n, k), bits, 32, rng)
    tensor.zero_points[:] = 1
    return tensor, random_activations(CONFIG, rows, k, rng)


def test_matmul_equals_the_golden_model(device):
    tensor, activations = problem()
    expected = mpgemm(activations, tensor)
    np.testing.assert_allclose(device.matmul(tensor, activations), expected, rtol=1e-5)


def test_a_program_equals_the_isa_model_twice(device):
    for rows in (3, 5):
        program = gemm(CONFIG, *problem(rows))
        run = against_model(program, device.run(program))
        assert run.mismatches == 0 and run.counters["slices"] > 0 and run.output.any()


def test_a_real_tensor_equals_the_golden_model(device, example, example_activations):
    name = "blk.0.ffn_up.weight"
    whole, activations = example.tensor(name), example_activations[name][:1]
    parts = ("codes", "scales", "zero_points")
    tensor = replace(whole, **{part: getattr(whole, part)[:256] for part in parts})
    found = device.matmul(tensor, activations)
    np.testing.assert_allclose(found, mpgemm(activations, tensor), rtol=1e-4, atol=1e-4)


def test_a_fault_of_a_program_is_told(device):
    program = gemm(CONFIG, *problem())
    program.words[0] = 0xFF
    run = device.run(program)
    assert run.state.cause == Cause.ILLEGAL
    assert against_model(program, run).mismatches == 0


def test_nothing_is_repeated_on_a_good_line_and_most_of_its_time_is_data(board, device):
    data = np.random.default_rng(0).bytes(16384)
    share = upload_share(board, device, data)
    assert LEAST <= share["data"] < 1 - share["idle"] <= 1
    assert device.read(0, len(data)) == data
    assert device.repeated == 0


def test_everything_arrives_on_a_faulty_line():
    data = np.random.default_rng(1).bytes(4096)
    with (
        VirtualBoard(CONFIG, FAULTY) as virtual,
        Device.open(virtual.port, CONFIG, timeout=60, retry=0.05) as device,
    ):
        device.write(64, data)
        assert device.read(64, len(data)) == data
        assert device.repeated > device.sent / 10 and device.frame_words < 32


def test_a_program_runs_right_on_a_faulty_line():
    program = gemm(CONFIG, *problem())
    with (
        VirtualBoard(CONFIG, FAULTY) as virtual,
        Device.open(virtual.port, CONFIG, timeout=60, retry=0.05) as device,
    ):
        assert against_model(program, device.run(program)).mismatches == 0
        assert device.repeated > 0


def test_a_board_that_stops_is_noticed_in_time_and_opens_again():
    with VirtualBoard(CONFIG) as virtual:
        with Device.open(virtual.port, CONFIG, timeout=2) as device:
            virtual.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            with pytest.raises(ToolError, match="has not answered for 2 s: check cable, power"):
                device.write(0, bytes(65536))
            assert 1.5 < time.monotonic() - began < 6
            virtual.process.send_signal(signal.SIGCONT)
        with Device.open(virtual.port, CONFIG, timeout=20) as device:
            device.write(0, b"back")
            assert device.read(0, 4) == b"back"


def test_a_board_that_dies_is_noticed():
    with VirtualBoard(CONFIG) as virtual:
        with Device.open(virtual.port, CONFIG, timeout=2) as device:
            virtual.process.kill()
            virtual.process.wait()
            with pytest.raises(ToolError, match=r"is gone|has not answered"):
                device.read(0, 4096)


class Cable:
    """A pseudo-terminal whose bytes go to another one and back, until it is unplugged."""

    def __init__(self, port: str):
        self.plug, there = pty.openpty()
        tty.setraw(there)
        self.port, self._there = os.ttyname(there), there
        self._far = os.open(port, os.O_RDWR | os.O_NOCTTY)
        self.moved = 0
        self._cut = threading.Event()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        ways = {self.plug: self._far, self._far: self.plug}
        while not self._cut.is_set():
            for end in select.select(list(ways), [], [], 0.01)[0]:
                found = os.read(end, 256)
                os.write(ways[end], found)
                self.moved += len(found)

    def unplug(self) -> None:
        self._cut.set()
        self._thread.join()
        for end in (self.plug, self._there, self._far):
            os.close(end)


def test_unplugged_in_mid_transfer(board):
    """The host's end hangs up while the board is in the middle of a frame; the board runs on."""
    cable = Cable(board.port)
    with Device.open(cable.port, CONFIG, timeout=3) as device:
        begun, gone = cable.moved, []

        def unplug() -> None:
            while cable.moved < begun + 5000:
                time.sleep(0.005)
            gone.append(time.monotonic())
            cable.unplug()

        hand = threading.Thread(target=unplug)
        hand.start()
        with pytest.raises(ToolError, match=r"is gone .*: check cable and power"):
            device.write(0, bytes(1 << 20))
        assert time.monotonic() - gone[0] < 3
        hand.join()
        with pytest.raises(ToolError, match="is gone"):
            device.read(0, 4)
    cable = Cable(board.port)
    try:
        with Device.open(cable.port, CONFIG, timeout=20) as device:
            device.write(0, b"back")
            assert device.read(0, 4) == b"back"
    finally:
        cable.unplug()


def test_nobody_at_the_other_end():
    ours, theirs = pty.openpty()
    try:
        with pytest.raises(ToolError, match=r"has not answered for 0\.5 s"):
            Device.open(os.ttyname(theirs), CONFIG, timeout=0.5, retry=0.1)
    finally:
        os.close(ours)
        os.close(theirs)


def test_an_access_beyond_the_board_is_refused_and_the_next_works(device):
    for address in (device.memory, REGISTERS_BASE + 252):
        with pytest.raises(ToolError, match="refused an access"):
            device.read(address, 4)
        with pytest.raises(ToolError, match="refused an access"):
            device.write(address, bytes(4))
    device.write(0, b"good")
    assert device.read(0, 4) == b"good"


@pytest.mark.parametrize(
    ("change", "what"),
    [({"weight_buffer": 1024}, "sizes of its buffers"), ({"n": 16}, "register shape")],
)
def test_another_core_is_refused(board, change, what):
    with pytest.raises(InputError, match=rf"another core than .* \({what}\)"):
        Device.open(board.port, CONFIG.replace(**change))


def test_what_cannot_be_is_refused(device, tmp_path):
    with pytest.raises(InputError, match=r"cannot open .*missing"):
        Device.open(str(tmp_path / "missing"), CONFIG)
    with pytest.raises(InputError, match="1 to 64 words, not 65"):
        Device.open("sim", CONFIG, frame_words=65)
    for address, size in ((2, 4), (0, 3), (1 << 32, 4)):
        with pytest.raises(InputError, match="whole words of 4 bytes"):
            device.read(address, size)
    other = CONFIG.replace(weight_buffer=1024)
    with pytest.raises(InputError, match="another core than the board's"):
        device.run(gemm(other, *problem()))
    with pytest.raises(InputError, match="the board has 1048576"):
        device.run(replace(gemm(CONFIG, *problem()), memory=np.zeros(1 << 21, np.uint8)))


def test_a_program_runs_on_a_board_of_its_own():
    assert run_on_board(gemm(CONFIG, *problem()), "sim").mismatches == 0


def test_a_network_gives_the_golden_bits_on_a_board(board):
    container = compile_network(bert(), CONFIG, rounding=Rounding(4, 16))[0]
    backend = CheckedBackend(container, board_backend(container, board.port, timeout=60, retry=2))
    try:
        Executor(container, backend).run(np.arange(3))
    finally:
        backend.close()
    facts = backend.facts()
    assert facts["mismatches"] == 0 and facts["outputs compared"] > 100 and facts["cycles"] > 0


def test_a_network_that_is_too_big_is_refused_before_anything_is_sent(device):
    container = replace(
        compile_network(bert(), CONFIG, rounding=Rounding(4, 16))[0], memory=1 << 21
    )
    sent = device.sent
    with pytest.raises(InputError, match="takes 2097152 bytes of memory, the board has 1048576"):
        check_memory(container, device)
    assert device.sent == sent


TILE = preset("board-tile").replace(n=3, lookups=2)


def test_a_tile_alone_multiplies_and_runs_no_program():
    rng = np.random.default_rng(5)
    with VirtualBoard(TILE, memory=4096) as virtual, Device.open(virtual.port, TILE) as device:
        assert device.memory == 4096
        for rows, n, k, bits, group in ((3, 8, 70, 4, 32), (1, 3, 200, 1, 128), (2, 5, 32, 2, 32)):
            tensor = random_tensor((n, k), bits, group, rng)
            activations = random_activations(TILE, rows, k, rng)
            expected = mpgemm(activations, tensor)
            found = device.matmul(tensor, activations)
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * abs(expected).max())
        with pytest.raises(ToolError, match="refused an access"):
            device.read(RESULTS_BASE + 4092, 4)  # no result is there yet
        with pytest.raises(InputError, match="runs no programs"):
            device.run(gemm(CONFIG, *problem()))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"zero_points": "shared"}, "zero_points = external, not shared"),
        ({"group_size": 1024}, "keeps 256 words of activations"),
    ],
)
def test_a_tile_that_no_board_can_feed_is_refused(change, says):
    with pytest.raises(InputError, match=says):
        VirtualBoard(TILE.replace(**change))
