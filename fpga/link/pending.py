"""What is left of the requests of an exchange."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lutcore.fpga.link.protocol import Kind, Request


@dataclass
class Frame:
    """A request as it was sent, and where its answer goes in the result."""

    request: Request
    place: int
    done: bool = False


class Pending:
    """Frames that were sent, in the order of their numbers, and what was not cut into frames yet.

    A frame that was sent keeps its content, because the board may have executed it, until
    :meth:`cut_again`.

    Attributes
    ----------
    frames : deque of Frame
        From the first one that is not done.
    result : bytearray
        What reads have returned.
    """

    def __init__(self, requests: Sequence[Request]):
        self.frames: deque[Frame] = deque()
        self._uncut: deque[tuple[Request, int]] = deque()
        size = 0
        for request in requests:
            self._uncut.append((request, size))
            size += request.answer_bytes
        self.result = bytearray(size)

    def __bool__(self) -> bool:
        return bool(self.frames or self._uncut)

    def cut(self, words: int) -> bool:
        """Append a frame of at most so many words; False if nothing is left to be cut."""
        if not self._uncut:
            return False
        whole, place = self._uncut.popleft()
        request, rest = whole.cut(words)
        self.frames.append(Frame(request, place))
        if rest is not None:
            self._uncut.appendleft((rest, place + request.answer_bytes))
        return True

    def answer(self, index: int, data: bytes) -> None:
        """Note the answer to a frame."""
        frame = self.frames[index]
        if len(data) == frame.request.answer_bytes:
            self.result[frame.place : frame.place + len(data)] = data
            frame.done = True

    def executed(self, count: int) -> None:
        """The first ``count`` frames were executed; their answers are of no interest to writes."""
        for index in range(count):
            if self.frames[index].request.kind == Kind.WRITE:
                self.frames[index].done = True

    def leave(self) -> Iterator[Request]:
        """Remove frames that are done and have none before them that is not."""
        while self.frames and self.frames[0].done:
            yield self.frames.popleft().request

    def cut_again(self) -> None:
        """Make frames that are not done into what is not cut yet.

        Sound only where the board has none of them on its way: reads that were executed are read
        again, and writes would be written twice.
        """
        while self.frames:
            frame = self.frames.pop()
            if not frame.done:
                self._uncut.appendleft((frame.request, frame.place))
