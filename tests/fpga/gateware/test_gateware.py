"""The board's link and memory in Amaranth's simulator, and the board's Verilog under lint."""

import os
import subprocess

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from lutcore.errors import InputError
from lutcore.fpga.flow.emit import TOP, board_verilog
from lutcore.fpga.gateware.block_memory import block_memory
from lutcore.fpga.gateware.link import Link
from lutcore.fpga.link.protocol import Kind, Reply, Request, Status, Unwrapper, digest, wrap
from lutcore.hdl.config.presets import CORE_PRESETS
from lutcore.verif.sim.simulator import verilator_root

pytestmark = [pytest.mark.slow, pytest.mark.board]

DIVISOR = 4
SIZE = 4096


class LinkedMemory(wiring.Component):
    def __init__(self):
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.link = link = Link(DIVISOR)
        m.submodules.memory = memory = block_memory(64, SIZE)
        wiring.connect(m, link.words, memory.words)
        m.d.comb += [link.rx.eq(self.rx), self.tx.eq(link.tx)]
        return m


def talk(*frames: bytes, idle: int = 60) -> list[Reply]:
    """Replies to frames that a board with 4 KiB of memory gets one after the other."""
    board, replies, unwrapper = LinkedMemory(), [], Unwrapper()
    done = False

    async def host(ctx):
        nonlocal done
        for byte in b"".join(frames):
            for bit in range(10):
                ctx.set(board.rx, (byte << 1 | 1 << 9) >> bit & 1)
                await ctx.tick().repeat(DIVISOR)
        await ctx.tick().repeat(idle * 10 * DIVISOR)
        done = True

    async def listener(ctx):
        while True:
            await ctx.negedge(board.tx)
            await ctx.tick().repeat(DIVISOR // 2)
            byte = 0
            for bit in range(8):
                await ctx.tick().repeat(DIVISOR)
                byte |= ctx.get(board.tx) << bit
            await ctx.tick().repeat(DIVISOR)
            assert ctx.get(board.tx), "no stop bit"
            for body in unwrapper.feed(bytes([byte])):
                reply = Reply.parse(body)
                assert reply is not None
                replies.append(reply)

    simulator = Simulator(board)
    simulator.add_clock(1e-6)
    simulator.add_testbench(host)
    simulator.add_testbench(listener, background=True)
    simulator.run()
    assert done
    return replies


def hello(sequence: int = 0) -> bytes:
    return Request(Kind.HELLO).frame(sequence, 5)


def write(sequence: int, address: int, data: bytes) -> bytes:
    return Request(Kind.WRITE, address, len(data) // 4, data).frame(sequence, 1)


def read(sequence: int, address: int, words: int = 1) -> bytes:
    return Request(Kind.READ, address, words).frame(sequence, 2)


def test_what_is_written_is_read():
    data = bytes([0x7E, 0x7D, 0x5E, 0x00, 0xFF, 0x7D, 0x7E, 0x7E, 1, 2, 3, 4])
    replies = talk(hello(255), write(0, 20, data), read(1, 16, 5))
    assert replies == [
        Reply(Kind.HELLO, 5, 255, b"", Status.OK),
        Reply(Kind.WRITE, 1, 0, b"", Status.OK),
        Reply(Kind.READ, 2, 1, replies[2].data, Status.OK),
    ]
    assert replies[2].data[4:16] == data


def test_a_repeated_write_is_answered_and_not_executed():
    again = write(1, 0, b"oldX")
    replies = talk(hello(), again, write(2, 0, b"newX"), again, read(3, 0))
    assert [reply.status for reply in replies] == [Status.OK] * 5
    assert replies[3].sequence == 1 and replies[4].data == b"newX"


def test_what_comes_too_early_is_not_executed():
    replies = talk(hello(), write(1, 0, b"good"), write(3, 0, b"evil"), read(4, 0), read(2, 0))
    assert [(reply.sequence, reply.status) for reply in replies[2:4]] == [(2, Status.GAP)] * 2
    assert replies[4].data == b"good" and len(replies) == 5


def test_a_probe_ahead_of_its_turn_tells_the_number_due_and_does_nothing():
    probe = Request(Kind.PROBE).frame(7, 9)
    replies = talk(hello(), write(1, 0, b"good"), probe, probe, read(2, 0))
    assert replies[2:4] == [Reply(Kind.PROBE, 9, 2, b"", Status.GAP)] * 2
    assert replies[4].data == b"good" and len(replies) == 5


@pytest.mark.parametrize(
    "damage",
    [
        lambda frame: frame[:9] + bytes([frame[9] ^ 4]) + frame[10:],
        lambda frame: frame[:9] + frame[10:],
        lambda frame: frame[:9] + frame[9:10] + frame[9:],
        lambda frame: frame[:9] + b"\x7e" + frame[9:],
        lambda frame: frame[:-1] + b"\x7d\x7e",
        lambda frame: wrap(bytes([Kind.WRITE, 1, 2, 0, 0, 0, 0]) + b"evil"),
        lambda frame: wrap(bytes([Kind.READ, 1, 1, 0, 0, 0, 0, 0])),
        lambda frame: wrap(bytes([Kind.WRITE, 1, 1, 0, 0, 0, 0]) + bytes(1100)),
    ],
    ids=["bit", "lost", "twice", "flag", "aborted", "short", "long", "huge"],
)
def test_a_damaged_frame_is_passed_over(damage):
    replies = talk(hello(), damage(write(1, 0, b"evil")), write(1, 4, b"good"), read(2, 4))
    assert [reply.sequence for reply in replies] == [0, 1, 2]
    assert replies[2].data == b"good"


def test_a_failed_access_is_remembered_until_the_next_hello():
    replies = talk(hello(), write(1, SIZE, b"lost"), read(2, 0), hello(9), read(10, 0))
    assert [reply.status for reply in replies] == [
        *(Status.OK, Status.ERROR, Status.ERROR, Status.OK, Status.OK),
    ]


async def _handshake(ctx, valid, ready):
    ctx.set(valid, 1)
    await ctx.tick().until(ready)
    ctx.set(valid, 0)


async def _write_burst(ctx, bus, rng, first, data):
    """Write 64-bit words from the word ``first`` on, with pauses; returns the answer."""
    ctx.set(bus.awaddr, 8 * first)
    ctx.set(bus.awlen, len(data) - 1)
    await _handshake(ctx, bus.awvalid, bus.awready)
    ctx.set(bus.wstrb, 0xFF)
    for place, value in enumerate(data):
        await ctx.tick().repeat(int(rng.integers(1, 3)))
        ctx.set(bus.wdata, value)
        ctx.set(bus.wlast, place == len(data) - 1)
        await _handshake(ctx, bus.wvalid, bus.wready)
    ctx.set(bus.bready, 1)
    (answer,) = await ctx.tick().sample(bus.bresp).until(bus.bvalid)
    ctx.set(bus.bready, 0)
    return answer


async def _read_burst(ctx, bus, rng, first, count):
    """Read words, with pauses; returns each with whether it was marked as the last."""
    ctx.set(bus.araddr, 8 * first)
    ctx.set(bus.arlen, count - 1)
    await _handshake(ctx, bus.arvalid, bus.arready)
    found = []
    for _ in range(count):
        await ctx.tick().repeat(int(rng.integers(1, 3)))
        ctx.set(bus.rready, 1)
        found.append(await ctx.tick().sample(bus.rdata, bus.rlast).until(bus.rvalid))
        ctx.set(bus.rready, 0)
    return found


def test_words_and_bursts_share_the_memory():
    """Bursts read and write the upper half while words use the lower one, with pauses."""
    memory, rng = block_memory(64, SIZE), np.random.default_rng(3)
    image = rng.integers(0, 1 << 62, 256)
    checked = dict.fromkeys(("words", "bursts"), 0)
    ended = []

    async def words(ctx):
        content = {}
        for _ in range(500):
            place = int(rng.integers(0, 512))
            ctx.set(memory.words.address, 4 * place)
            writes = place not in content or rng.random() < 0.5
            value = int(rng.integers(0, 1 << 32))
            ctx.set(memory.words.write_data, value)
            ctx.set(memory.words.write if writes else memory.words.read, 1)
            (found,) = await ctx.tick().sample(memory.words.read_data).until(memory.words.done)
            ctx.set(memory.words.write, 0)
            ctx.set(memory.words.read, 0)
            if writes:
                content[place] = value
            else:
                assert found == content[place]
                checked["words"] += 1
            await ctx.tick().repeat(int(rng.integers(1, 6)))
        ended.append("words")

    async def bursts(ctx):
        for _ in range(60):
            first = int(rng.integers(256, 500))
            count = int(rng.integers(1, min(12, 512 - first) + 1))
            data = [int(value) for value in rng.choice(image, count)]
            assert await _write_burst(ctx, memory.bus, rng, first, data) == 0
            found = await _read_burst(ctx, memory.bus, rng, first, count)
            assert found == [(value, place == count - 1) for place, value in enumerate(data)]
            checked["bursts"] += count
        ended.append("bursts")

    simulator = Simulator(memory)
    simulator.add_clock(1e-6)
    simulator.add_testbench(words)
    simulator.add_testbench(bursts)
    simulator.run()
    assert sorted(ended) == ["bursts", "words"]
    assert checked["words"] > 80 and checked["bursts"] > 300


@pytest.mark.parametrize("name", ["edge", "w2a16", "bus-256"])
def test_boards_lint_clean(name, tmp_path, small_cores):
    config = CORE_PRESETS.get(name) or small_cores[name]
    (tmp_path / "board.v").write_text(board_verilog(config, 1 << 14, DIVISOR))
    root = verilator_root()
    assert root is not None
    command = [str(root / "bin" / "verilator"), "--lint-only", "-Wall", "--top-module", TOP]
    result = subprocess.run(
        [*command, "-Wno-DECLFILENAME", "board.v"],
        cwd=tmp_path,
        env={**os.environ, "VERILATOR_ROOT": str(root)},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_digest_is_that_of_the_core_not_of_its_name():
    config = CORE_PRESETS["edge"]
    assert digest(config) == digest(config.replace(name="mine"))
    assert digest(config) != digest(config.replace(weight_buffer=1 << 13))


@pytest.mark.parametrize(
    ("memory", "divisor", "message"),
    [
        (0, 4, "power of two of 4096 or more, not 0"),
        (5000, 4, "power of two of 4096 or more, not 5000"),
        (4096, 3, "4 clock cycles or more, not 3"),
    ],
)
def test_boards_that_cannot_be_are_refused(memory, divisor, message):
    with pytest.raises(InputError, match=message):
        board_verilog(CORE_PRESETS["edge"], memory, divisor)
