"""Driver and monitor of valid/ready streams, with seeded random stalls.

One loop steps all of them: inputs change after the falling edge, and what the rising edge will see
is sampled once they have settled. That is race-free on every simulator.
"""

import random
from collections import deque
from typing import Any


class ProtocolError(AssertionError):
    """A stream broke the valid/ready rules, or carried X."""


class _Stream:
    def __init__(self, dut: Any, name: str, stall: float, seed: str):
        self.name = name
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._stall = stall
        self._rng = random.Random(f"{name}:{seed}")

    def _pauses(self) -> bool:
        return self._stall > 0 and self._rng.random() < self._stall

    def _bit(self, handle: Any, what: str) -> bool:
        value = handle.value
        if not value.is_resolvable:
            raise ProtocolError(f"{self.name}.{what} is {value}")
        return bool(value)


class StreamDriver(_Stream):
    """Sends words in order; once valid, a word holds until it is taken."""

    def __init__(self, dut: Any, name: str, words: list[int], stall: float, seed: str):
        super().__init__(dut, name, stall, seed)
        self._words = deque(words)
        self._offered = False
        self._valid.value = 0
        #: Words taken.
        self.sent = 0

    @property
    def left(self) -> int:
        """Words not taken yet."""
        return len(self._words)

    def put(self, word: int) -> None:
        """Send one more word."""
        self._words.append(word)

    def drive(self) -> None:
        """Choose the next cycle's ``valid``."""
        if not self._offered:
            offer = bool(self._words) and not self._pauses()
            if offer:
                self._payload.value = self._words[0]
            self._valid.value = int(offer)
            self._offered = offer

    def sample(self) -> bool:
        """See whether the word is taken in this cycle."""
        taken = self._offered and self._bit(self._ready, "ready")
        if taken:
            self._words.popleft()
            self._offered = False
            self.sent += 1
        return taken


class StreamMonitor(_Stream):
    """Receives words; checks that valid is never withdrawn, payload held and nothing is X."""

    def __init__(self, dut: Any, name: str, stall: float, seed: str):
        super().__init__(dut, name, stall, seed)
        self._accepts = False
        self._held: int | None = None
        self._ready.value = 0
        #: Words received.
        self.words: list[int] = []

    def take(self) -> list[int]:
        """Words received since the last call."""
        taken, self.words = self.words, []
        return taken

    def drive(self) -> None:
        """Choose the next cycle's ``ready``."""
        self._accepts = not self._pauses()
        self._ready.value = int(self._accepts)

    def sample(self) -> bool:
        """See whether a word is received in this cycle."""
        if not self._bit(self._valid, "valid"):
            if self._held is not None:
                raise ProtocolError(f"{self.name}: valid withdrawn before the word was taken")
            return False
        value = self._payload.value
        if not value.is_resolvable:
            raise ProtocolError(f"{self.name}.payload is {value}")
        word = value.to_unsigned()
        if self._held is not None and word != self._held:
            raise ProtocolError(f"{self.name}: payload changed before it was taken")
        self._held = None if self._accepts else word
        if self._accepts:
            self.words.append(word)
        return self._accepts
