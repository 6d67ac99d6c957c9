"""Valid/ready streams with seeded random stalls: ``put``, ``get``, ``expect``; driver and monitor.

The three words make benches for Amaranth's simulator and for cocotb alike
(:mod:`lutcore.verif.bench.contexts`): ``bench(ctx)`` is awaited with the simulator's context, in
which time goes by ``ctx.tick().sample(...)``. ``StreamDriver`` and ``StreamMonitor`` are for
benches that count cycles: one loop steps all of them. Inputs change after the falling edge, and
what the rising edge will see is sampled once they have settled: race-free on every simulator.
"""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

#: What a simulator runs, given its context.
Bench = Callable[[Any], Awaitable[Any]]

#: Chance of a pause before each payload; cycles without a transfer after which a bench fails;
#: cycles that must pass without a payload after the last one.
STALL, LIMIT, SILENCE = 0.3, 1000, 8


class ProtocolError(AssertionError):
    """A stream broke the valid/ready rules, carried X, or brought what it should not."""


class Promise:
    """The rule that what is offered stays, valid and the same, until it is taken."""

    def __init__(self, name: str):
        self._name = name
        self._offered: list[Any] = []

    def see(self, valid: Any, payload: Any, ready: Any) -> bool:
        """Check one cycle of a stream; whether it has a transfer."""
        if self._offered and not valid:
            raise ProtocolError(f"{self._name}: valid withdrawn before the word was taken")
        if self._offered and payload != self._offered[0]:
            raise ProtocolError(f"{self._name}: payload changed before it was taken")
        self._offered = [payload] if valid and not ready else []
        return bool(valid and ready)


def put(
    stream: Any, payloads: Iterable[Any], stall: float = STALL, seed: int = 0, limit: int = LIMIT
) -> Bench:
    """A bench that sends payloads into an input of the design, in order, and sees all taken."""
    payloads, chance = list(payloads), random.Random(f"put {seed}")

    async def bench(ctx: Any) -> None:
        for place, payload in enumerate(payloads):
            while chance.random() < stall:
                await ctx.tick()
            ctx.set(stream.payload, payload)
            ctx.set(stream.valid, 1)
            for _ in range(limit):
                *_, ready = await ctx.tick().sample(stream.ready)
                if ready:
                    break
            else:
                raise ProtocolError(f"payload {place} of {len(payloads)} was never taken")
            ctx.set(stream.valid, 0)

    return bench


async def _take(ctx: Any, stream: Any, pauses: int, limit: int, what: str) -> Any:
    promise = Promise("output")
    for _ in range(limit):
        ctx.set(stream.ready, int(not pauses))
        *_, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        if promise.see(valid, payload, not pauses):
            ctx.set(stream.ready, 0)
            return payload
        pauses -= bool(valid)
    raise ProtocolError(f"{what} never came{' while ready waits' if pauses else ''}")


def get(stream: Any, count: int, stall: float = STALL, seed: int = 0, limit: int = LIMIT) -> Bench:
    """A bench that takes so many payloads from an output of the design, and returns them.

    A pause lasts until something is offered, and some cycles more: ``valid`` must come without
    ``ready``.
    """
    return _receive(stream, count, [], stall, seed, limit)


def _receive(
    stream: Any, count: int, wanted: list[Any], stall: float, seed: int, limit: int
) -> Bench:
    chance = random.Random(f"get {seed}")

    async def bench(ctx: Any) -> list[Any]:
        found = []
        for place in range(count):
            pauses = 0
            while chance.random() < stall:
                pauses += 1
            payload = await _take(ctx, stream, pauses, limit, f"payload {place} of {count}")
            if wanted and payload != wanted[place]:
                raise ProtocolError(f"payload {place} is {payload!r}, expected {wanted[place]!r}")
            found.append(payload)
        return found

    return bench


def expect(
    stream: Any, payloads: Iterable[Any], stall: float = STALL, seed: int = 0, limit: int = LIMIT
) -> Bench:
    """A bench that takes exactly these payloads, some at least, and then nothing more."""
    payloads = list(payloads)
    if not payloads:
        raise ValueError("a bench that expects nothing would pass for a design that does nothing")
    receive = _receive(stream, len(payloads), payloads, stall, seed, limit)

    async def bench(ctx: Any) -> None:
        await receive(ctx)
        ctx.set(stream.ready, 1)
        for _ in range(SILENCE):
            *_, valid = await ctx.tick().sample(stream.valid)
            if valid:
                raise ProtocolError(f"left over after {len(payloads)} payloads")
        ctx.set(stream.ready, 0)

    return bench


class _Stream:
    def __init__(self, dut: Any, name: str, stall: float, seed: str):
        self.name = name
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._stall = stall
        self._rng = random.Random(f"{name}:{seed}")
        self._moved = self._waited = False
        #: What has happened: ``paused`` by the bench, ``held`` while the other side was not ready,
        #: ``awaited`` while nothing was valid, moved ``at once``, ``back to back``.
        self.seen: set[str] = set()

    def _pauses(self) -> bool:
        return self._stall > 0 and self._rng.random() < self._stall

    def _note(self, offered: bool, moved: bool) -> None:
        """Keep what a cycle was."""
        if moved:
            self.seen |= {"at once"} if not self._waited else set()
            self.seen |= {"back to back"} if self._moved else set()
        elif offered:
            self.seen.add("held")
        self._moved, self._waited = moved, offered and not moved

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
            if self._words and not offer:
                self.seen.add("paused")
            if offer:
                self._payload.value = self._words[0]
            self._valid.value = int(offer)
            self._offered = offer

    def sample(self) -> bool:
        """See whether the word is taken in this cycle."""
        taken = self._offered and self._bit(self._ready, "ready")
        self._note(self._offered, taken)
        if taken:
            self._words.popleft()
            self._offered = False
            self.sent += 1
        return taken


class StreamMonitor(_Stream):
    """Receives words; checks that valid is never withdrawn, payload held and nothing is X."""

    def __init__(self, dut: Any, name: str, stall: float, seed: str):
        super().__init__(dut, name, stall, seed)
        self._accepts = self._shy = False
        self._promise = Promise(name)
        self._ready.value = 0
        #: Words received.
        self.words: list[int] = []

    def take(self) -> list[int]:
        """Words received since the last call."""
        taken, self.words = self.words, []
        return taken

    def drive(self) -> None:
        """Choose the next cycle's ``ready``.

        A pause ends by itself, or not before something is offered, which must not wait for it.
        """
        self._shy = self._shy and not self._waited
        self._accepts = not self._shy and not self._pauses()
        if not (self._accepts or self._shy or self._waited):
            self._shy = self._rng.random() < 0.5
        self._ready.value = int(self._accepts)

    def sample(self) -> bool:
        """See whether a word is received in this cycle."""
        valid, word = self._bit(self._valid, "valid"), 0
        if valid:
            bits = str(self._payload.value)  # a wide LogicArray is slow to ask bit by bit
            if bits.strip("01"):
                raise ProtocolError(f"{self.name}.payload is {bits}")
            word = int(bits, 2)
        taken = self._promise.see(valid, word, self._accepts)
        self._note(valid, taken)
        if self._accepts and not valid:
            self.seen.add("awaited")
        if taken:
            self.words.append(word)
        return taken
