"""Signals taken apart and put together."""

from collections.abc import Iterable

from lutcore.gen.emit.rtlil import Chunk, Signal


def width_of(signal: Signal) -> int:
    """Bits of a signal."""
    return sum(chunk.width for chunk in signal)


def each(signal: Signal) -> list[Signal]:
    """Every bit of a signal, the lowest first."""
    return [
        (
            Chunk(chunk.wire, chunk.low + i, 1)
            if chunk.wire
            else Chunk("", 0, 1, chunk.bits[-1 - i]),
        )
        for chunk in signal
        for i in range(chunk.width)
    ]


def joined(chunks: Iterable[Chunk]) -> Signal:
    """A signal of as few chunks as can be; repeated ones stay apart, to be told as such."""
    given = [chunk for chunk in chunks if chunk.width]
    found: list[Chunk] = []
    for at, chunk in enumerate(given):
        last = found[-1] if found else None
        if last and not chunk.wire and not last.wire:
            found[-1] = Chunk("", 0, last.width + chunk.width, chunk.bits + last.bits)
            continue
        repeated = given[at + 1 : at + 2] == [chunk] or found[-2:-1] == [last]
        if last and chunk.wire and not repeated and _follows(last, chunk):
            found[-1] = last._replace(width=last.width + chunk.width)
        else:
            found.append(chunk)
    return tuple(found)


def part_of(signal: Signal, low: int, width: int) -> Signal:
    """Some bits of a signal."""
    found: list[Chunk] = []
    for chunk in signal:
        first, last = max(low, 0), min(low + width, chunk.width)
        if first < last:
            size = last - first
            bits = chunk.bits[chunk.width - last : chunk.width - first]
            found.append(Chunk(chunk.wire, chunk.low + first if chunk.wire else 0, size, bits))
        low -= chunk.width
    return joined(found)


def _follows(low: Chunk, high: Chunk) -> bool:
    return low.wire == high.wire and low.low + low.width == high.low


def spans(places: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of neighbours among numbers that go up."""
    found: list[tuple[int, int]] = []
    for place in places:
        if found and found[-1][1] == place - 1:
            found[-1] = (found[-1][0], place)
        else:
            found.append((place, place))
    return found
