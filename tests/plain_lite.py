"""A slave of AXI4-Lite with words below :data:`END`, and transfers at random for its adapters."""

import random

from amaranth.hdl import Cat

from lutcore.verif.bench.streams import Promise

#: First address that the slave refuses; it refuses writes of some of a word's bytes too.
END = 64


def transfers(count, seed):
    """Reads and writes, ``(write, address, data, strobes)``."""
    chance = random.Random(seed)
    return [
        (
            chance.random() < 0.5,
            4 * chance.randrange(END // 4 + 4),
            chance.getrandbits(32),
            chance.choice([15, 15, 15, chance.randrange(15)]),
        )
        for _ in range(count)
    ]


def access(words, write, address, data, strobes):
    """What a transfer must bring: data that is read or None, and whether it is refused."""
    refused = address >= END or (write and strobes != 15)
    if write and not refused:
        words[address] = data
    return (None if write or refused else words.get(address, 0)), refused


def slave(lite, log, ended, stall=0.5, seed=0):
    """A bench: the slave, which notes its accesses, until ``ended`` holds something.

    Channels stall each by itself; what is offered must stay.
    """
    chance, words = random.Random(f"slave {seed}"), {}
    channels = {
        "aw": lite.awaddr,
        "w": Cat(lite.wdata, lite.wstrb),
        "ar": lite.araddr,
    }
    promises = {name: Promise(name) for name in channels}

    async def bench(ctx):
        taken, answering = {}, ""
        while not ended:
            ready = {name: name not in taken and chance.random() >= stall for name in channels}
            for name in channels:
                ctx.set(getattr(lite, f"{name}ready"), ready[name])
            handles = [handle for name in channels for handle in (getattr(lite, f"{name}valid"),)]
            *_, b, r, v0, v1, v2, p0, p1, p2 = await ctx.tick().sample(
                lite.bready, lite.rready, *handles, *channels.values()
            )
            if answering and (b if answering == "b" else r):
                ctx.set(getattr(lite, f"{answering}valid"), 0)
                taken, answering = {}, ""
            for name, valid, payload in zip(channels, (v0, v1, v2), (p0, p1, p2), strict=True):
                if promises[name].see(valid, payload, ready[name]):
                    assert not answering, "an access before the one before it was answered"
                    taken[name] = payload
            if taken and not answering and chance.random() >= stall:
                answering = _answer(ctx, lite, taken, words, log)

    return bench


def _answer(ctx, lite, taken, words, log):
    """Answer an access whose channels have all been taken; returns the channel of the answer."""
    assert not ("ar" in taken and len(taken) > 1), "a read together with a write"
    if "ar" in taken:
        log.append((False, taken["ar"], 0, 0))
        data, refused = access(words, *log[-1])
        ctx.set(lite.rdata, data or 0)
    elif len(taken) == 2:
        log.append((True, taken["aw"], taken["w"] % (1 << 32), taken["w"] >> 32))
        _, refused = access(words, *log[-1])
    else:
        return ""
    channel = "r" if "ar" in taken else "b"
    ctx.set(getattr(lite, f"{channel}resp"), 2 * refused)
    ctx.set(getattr(lite, f"{channel}valid"), 1)
    return channel


def noted(done):
    """Transfers as the slave's log has them: of a read, the address."""
    return [t if t[0] else (False, t[1], 0, 0) for t in done]
