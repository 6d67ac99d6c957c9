"""The serial protocol between host and board: one set of facts for gateware and driver.

Frames are delimited as in HDLC (RFC 1662): a flag before and after, flags and escapes inside
escaped. A frame ends with the CRC-32 of Ethernet over all before it, little-endian as all numbers.

- Request: kind (2 bits) and attempt (6 bits), sequence number, words, address (4 bytes); a write's
  words follow.
- Reply: the request's first byte, sequence number, a read's words, status.

The board executes requests in the order of their sequence numbers, each write once. What it has
executed already it answers again, reads with what is there now. A request that is ahead of its turn
is answered ``GAP`` with the number that is due. ``HELLO`` begins a session: the number after its
own is due next. An access that fails is answered ``ERROR``, and so is all after it until the next
``HELLO``. A ``PROBE`` does nothing; the host sends it ahead of its turn.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

from lutcore.hdl.config.core import CoreConfig

#: Changes with any change of what is said here.
PROTOCOL = 1

FLAG, ESCAPE, ESCAPED = 0x7E, 0x7D, 0x20
HEADER_BYTES, CRC_BYTES, WORD_BYTES = 7, 4, 4
#: Bytes of a request and its reply, both with two flags, besides their words.
FRAME_BYTES = (2 + HEADER_BYTES + CRC_BYTES) + (2 + 3 + CRC_BYTES)
#: Most words of a frame.
FRAME_WORDS = 64
#: Most requests under way. As many reads fit the board's queue, and writes leave it as they come.
WINDOW = 16
#: Attempts and sequence numbers wrap.
ATTEMPTS, SEQUENCE = 64, 256

#: Addresses, in bytes: memory from 0, the core's registers, facts about the board.
REGISTERS_BASE, FACTS_BASE = 2 << 30, 3 << 30
#: Of a board with a tile alone.
RESULTS_BASE, ACTIVATIONS_BASE, WEIGHTS_BASE = 0, 1 << 30, 2 << 30
#: Words of activations that wait on such a board for their weights.
STEP_WORDS = 256
#: Words at :data:`FACTS_BASE`.
FACTS = ("protocol", "digest", "memory")


class Kind(IntEnum):
    """Of a request."""

    HELLO = 0
    READ = 1
    WRITE = 2
    PROBE = 3


class Status(IntEnum):
    """Of a reply."""

    OK = 0
    GAP = 1
    ERROR = 2


@dataclass(frozen=True)
class Request:
    """A request without its numbers; ``words`` to read, or also ``data`` to write.

    One of more words than a frame has must be cut before it is sent.
    """

    kind: Kind
    address: int = 0
    words: int = 0
    data: bytes | memoryview = b""

    @property
    def answer_bytes(self) -> int:
        """Bytes that its reply carries."""
        return WORD_BYTES * self.words if self.kind == Kind.READ else 0

    def cut(self, words: int) -> "tuple[Request, Request | None]":
        """The first ``words`` words, and the rest if there is one."""
        if self.words <= words:
            return self, None
        size = WORD_BYTES * words
        first = replace(self, words=words, data=self.data[:size])
        left = self.words - words
        return first, replace(self, address=self.address + size, words=left, data=self.data[size:])

    def frame(self, sequence: int, attempt: int) -> bytes:
        """Bytes on the line."""
        head = bytes([self.kind | attempt << 2, sequence, self.words])
        return wrap(head + self.address.to_bytes(4, "little") + self.data)


@dataclass(frozen=True)
class Reply:
    """What the board answered."""

    kind: Kind
    attempt: int
    sequence: int
    data: bytes
    status: Status

    @classmethod
    def parse(cls, body: bytes) -> "Reply | None":
        """From a frame's content, or None where it is no reply."""
        if len(body) < 3 or len(body) % WORD_BYTES != 3 or body[-1] not in list(Status):
            return None
        return cls(Kind(body[0] & 3), body[0] >> 2, body[1], body[2:-1], Status(body[-1]))


def wrap(body: bytes) -> bytes:
    """A frame of ``body``."""
    checked = body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    inside = bytearray()
    for byte in checked:
        inside += bytes([ESCAPE, byte ^ ESCAPED]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes([FLAG]) + bytes(inside) + bytes([FLAG])


class Unwrapper:
    """Finds the frames in what arrives; what has no right CRC is passed over."""

    def __init__(self) -> None:
        self._raw = bytearray()

    def feed(self, arrived: bytes) -> Iterator[bytes]:
        """Contents of the frames that end in ``arrived``."""
        *ended, self._raw = (self._raw + arrived).split(bytes([FLAG]))
        for raw in ended:
            body = _unescape(raw)
            if len(body) > CRC_BYTES:
                content, crc = body[:-CRC_BYTES], body[-CRC_BYTES:]
                if zlib.crc32(content).to_bytes(CRC_BYTES, "little") == crc:
                    yield content


def _unescape(raw: bytearray) -> bytes:
    first, *rest = raw.split(bytes([ESCAPE]))
    return bytes(first) + b"".join(bytes([p[0] ^ ESCAPED]) + p[1:] for p in rest if p)


def digest(config: CoreConfig) -> int:
    """A number by which host and board see that they mean the same core, whatever its name."""
    fields = {name: value for name, value in config.to_dict().items() if name != "name"}
    return zlib.crc32(json.dumps(fields, sort_keys=True).encode())


def facts(config: CoreConfig, memory: int) -> dict[str, int]:
    """Values of :data:`FACTS` for a board with so many bytes of memory."""
    return dict(zip(FACTS, (PROTOCOL, digest(config), memory), strict=True))
