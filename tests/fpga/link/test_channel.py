"""The channel on a line in this process, with a clock of its own: the same faults each time."""

import math
import random
from collections import deque
from typing import Any, cast

import pytest

from lutcore.errors import ToolError
from lutcore.fpga.link.channel import Channel
from lutcore.fpga.link.frame_length import FrameLength
from lutcore.fpga.link.pending import Pending
from lutcore.fpga.link.protocol import FRAME_WORDS, SEQUENCE, Kind, Request, Status, Unwrapper, wrap

pytestmark = pytest.mark.board

#: Seconds that a byte takes on the line, and bytes that are on their way for so long each way.
BYTE, LATENCY = 1e-5, 150
MEMORY = 1 << 16
#: Probabilities of a fault a byte, to the board and back.
GOOD, FAULTY, DEAF = (0.0, 0.0), (0.01, 0.01), (0.0, 1.0)
#: Seconds: the second is shorter than the way to the board and back, so that much is sent twice.
RETRIES = (0.02, 0.002)


class Clock:
    """The clock of the line."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Board:
    """What a board must do with each frame, and a log of the words that were written."""

    def __init__(self):
        self.memory, self.log = bytearray(MEMORY), []
        self.due, self.failed = 77, False
        self.frames = Unwrapper()

    def answer(self, body: bytes) -> bytes:
        """Frame of the reply to a request."""
        kind, sequence, words = Kind(body[0] & 3), body[1], body[2]
        address, data = int.from_bytes(body[3:7], "little"), body[7:]
        behind = (self.due - sequence) % SEQUENCE
        turn = kind == Kind.HELLO or behind == 0
        early = not turn and behind > SEQUENCE // 2
        self.failed &= kind != Kind.HELLO
        if turn:
            self.due = (sequence + 1) % SEQUENCE
        if turn and kind == Kind.WRITE:
            self.failed |= address + 4 * words > MEMORY
            for place in range(0, 4 * words, 4):
                self.log.append((address + place, data[place : place + 4]))
            self.memory[address : address + 4 * words] = data
        read = self.memory[address : address + 4 * words]
        status = Status.ERROR if self.failed else Status.GAP if early else Status.OK
        data = bytes(read) if kind == Kind.READ and not early else b""
        return wrap(bytes([body[0], self.due if early else sequence]) + data + bytes([status]))


class Line:
    """A serial port with the board behind it; bytes of both ways are lost, doubled, changed."""

    port, baudrate = "line", 1_000_000

    def __init__(self, clock: Clock, faults: tuple[float, float], seed: int):
        self.board, self.clock, self.faults = Board(), clock, faults
        self.random = random.Random(seed)
        self.timeout = self.write_timeout = 0.0
        self.becomes_good = math.inf
        self._ways: list[deque[int | None]] = [deque([None] * LATENCY) for _ in range(2)]
        self._written, self._replies = bytearray(), bytearray()
        self._arrived = bytearray()

    @property
    def in_waiting(self) -> int:
        return len(self._arrived)

    def write(self, data: bytes) -> None:
        self._written += data

    def read(self, most: int) -> bytes:
        end = self.clock.now + self.timeout
        while not self._arrived and self.clock.now < end:
            self._step()
        found, self._arrived = self._arrived[:most], self._arrived[most:]
        return bytes(found)

    def _step(self) -> None:
        self.clock.now += BYTE
        if self.clock.now > self.becomes_good:
            self.faults = GOOD
        for body in self.board.frames.feed(self._pass(0, self._written)):
            self._replies += self.board.answer(body)
        self._arrived += self._pass(1, self._replies)

    def _pass(self, way: int, queue: bytearray) -> bytes:
        """One byte in at one end, and what comes out at the other."""
        self._ways[way].append(queue.pop(0) if queue else None)
        byte = self._ways[way].popleft()
        if byte is None:
            return b""
        if self.random.random() >= self.faults[way]:
            return bytes([byte])
        changed = byte ^ self.random.randrange(1, 256)
        return self.random.choice([b"", bytes([byte, byte]), bytes([changed])])


@pytest.fixture
def connect(monkeypatch):
    """A channel and its line."""
    clock = Clock()
    monkeypatch.setattr("lutcore.fpga.link.channel.time", clock)
    monkeypatch.setattr("secrets.randbelow", lambda limit: limit - 3)

    def make(
        faults: tuple[float, float], retry: float = RETRIES[0], seed: int = 1
    ) -> tuple[Channel, Line]:
        line = Line(clock, faults, seed)
        return Channel(cast(Any, line), 5.0, retry), line

    return make


def write(address: int, data: bytes) -> Request:
    return Request(Kind.WRITE, address, len(data) // 4, memoryview(data))


def read(address: int, size: int) -> Request:
    return Request(Kind.READ, address, size // 4)


def words(address: int, data: bytes) -> list[tuple[int, bytes]]:
    return [(address + place, data[place : place + 4]) for place in range(0, len(data), 4)]


def transfers(channel: Channel, line: Line, count: int = 6) -> None:
    """Write and read back; every word must have been written once, in order."""
    wanted = []
    for number in range(count):
        parts = [(64 * number, line.random.randbytes(4096)), (8192, line.random.randbytes(1000))]
        channel.exchange([write(*part) for part in parts])
        wanted += [word for part in parts for word in words(*part)]
        found = channel.exchange([read(8192, 1000), read(64 * number, 4096)])
        assert found == parts[1][1] + parts[0][1]
        assert line.board.log == wanted


@pytest.mark.parametrize("retry", RETRIES)
@pytest.mark.parametrize("faults", [FAULTY, (0.002, 0.02)], ids=["both ways", "replies"])
def test_every_word_is_written_once_and_in_order_on_a_faulty_line(connect, faults, retry):
    channel, line = connect(faults, retry)
    transfers(channel, line)
    assert channel.repeated > 100 and 2 <= channel.frame_words <= 16


def deaf_at_first(channel: Channel, line: Line) -> None:
    """Frames are executed, but no reply comes for so long that they are cut again."""
    data = line.random.randbytes(4096)
    channel.exchange([])
    line.faults, line.becomes_good = DEAF, line.clock.now + 0.3
    channel.exchange([write(0, data)])
    assert channel.frame_words < FRAME_WORDS
    assert line.board.log == words(0, data)


@pytest.mark.parametrize("retry", RETRIES)
def test_what_was_executed_without_an_answer_is_not_written_again(connect, retry):
    deaf_at_first(*connect(GOOD, retry))


@pytest.mark.parametrize("retry", RETRIES)
def test_frames_cut_again_without_a_probe_would_be_noticed(connect, monkeypatch, retry):
    def cut(self, pending: Pending, number: int) -> int:
        pending.cut_again()
        return number

    monkeypatch.setattr(Channel, "_cut_again", cut)
    with pytest.raises(AssertionError):
        deaf_at_first(*connect(GOOD, retry))


def test_a_good_line_repeats_nothing_and_keeps_long_frames(connect):
    channel, line = connect(GOOD)
    transfers(channel, line)
    assert channel.repeated == 0 and channel.frame_words == FRAME_WORDS
    # 1024 and 250 words a turn in frames of 64, twice, and the hello.
    assert channel.sent == 1 + 6 * 2 * (16 + 4)


def test_frames_get_long_again_when_a_line_gets_good(connect):
    channel, line = connect(FAULTY)
    transfers(channel, line)
    short, line.faults = channel.frame_words, GOOD
    for _ in range(60):
        channel.exchange([write(0, bytes(4096))])
    assert short <= 16 and channel.frame_words == FRAME_WORDS


def test_a_board_that_was_restarted_is_noticed(connect):
    channel, line = connect(FAULTY)
    channel.exchange([write(0, bytes(64))])
    line.board.due = 200
    with pytest.raises(ToolError, match="has lost count"):
        channel.exchange([write(0, bytes(4096))])
    line.faults = GOOD
    channel.exchange([write(0, b"good")])
    assert channel.exchange([read(0, 4)]) == b"good"


def test_frame_length_follows_the_losses():
    length = FrameLength(64)
    assert length.words == 64
    seen = []
    for _ in range(20):
        length.count(read(0, 4 * length.words), lost=True)
        seen.append(length.words)
    assert seen == sorted(seen, reverse=True) and seen[0] > 16 and seen[-1] < 16
    for _ in range(2000):
        length.count(read(0, 4 * length.words), lost=False)
    assert length.words == 64


def test_a_single_loss_hardly_shortens_frames():
    length = FrameLength(64)
    for _ in range(200):
        length.count(read(0, 256), lost=False)
    length.count(read(0, 256), lost=True)
    assert length.words >= 32
