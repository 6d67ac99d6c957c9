"""Reliable requests over a line that loses, repeats and changes bytes."""

import secrets
import time
from collections import deque
from collections.abc import Sequence

import serial

from lutcore.errors import ToolError
from lutcore.fpga.link.frame_length import FrameLength
from lutcore.fpga.link.pending import Pending
from lutcore.fpga.link.protocol import (
    ATTEMPTS,
    FRAME_WORDS,
    SEQUENCE,
    WINDOW,
    Kind,
    Reply,
    Request,
    Status,
    Unwrapper,
)

#: Requests under way on a line that loses much: those behind a lost one show that it was lost, and
#: where they are lost too the host waits for nothing.
_FEWEST = 6


class Channel:
    """Sends requests and repeats what was lost: go-back-N, with fewer under way after a loss.

    Requests are cut into frames when they are sent, shorter ones on a bad line
    (:class:`~lutcore.fpga.link.frame_length.FrameLength`). A frame that was sent is cut again only
    when the board has said, behind it on the line, which number is due: nothing sent before can be
    executed any longer, and no answer to it is still to come.

    Parameters
    ----------
    line : serial.Serial
        Open.
    timeout : float
        Seconds without progress after which the board counts as gone.
    retry : float
        Seconds without any answer after which requests are repeated.
    most : int
        Words of the longest frame.

    Attributes
    ----------
    sent, repeated : int
        Frames, and those of them that were sent again.
    """

    def __init__(self, line: serial.Serial, timeout: float, retry: float, most: int = FRAME_WORDS):
        self._line, self._timeout, self._retry = line, timeout, retry
        self._line.write_timeout = timeout
        self._unwrapper = Unwrapper()
        self._replies: deque[Reply] = deque()
        self._length = FrameLength(most)
        self._due = secrets.randbelow(SEQUENCE)
        self._attempt = self._answered = secrets.randbelow(ATTEMPTS)  # they wrap on the line only
        self._progress = time.monotonic()
        self._greeted = False
        self.sent = self.repeated = 0

    @property
    def frame_words(self) -> int:
        """Words of the frames that are cut next."""
        return self._length.words

    def exchange(self, requests: Sequence[Request]) -> bytes:
        """Have requests executed in order, writes exactly once; what reads return, one by one.

        Requests of one call should all read or all write: a read that is repeated sees what
        requests behind it have written. The first exchange, and the first after a failure, begin a
        session.

        Raises
        ------
        ToolError
            The board does not answer, or an access failed.
        """
        if not self._greeted:
            self._exchange([Request(Kind.HELLO)])
        self._greeted = False
        result = self._exchange(requests)
        self._greeted = True
        return result

    def _exchange(self, requests: Sequence[Request]) -> bytes:
        pending = Pending(requests)
        number = self._due  # of the first frame that is not done
        self._due = (number + SEQUENCE // 2) % SEQUENCE  # where this one fails
        following, window = 0, WINDOW
        self._progress = time.monotonic()
        self._next_attempt()
        while pending:
            following = self._send_ahead(pending, number, following, window)
            reply = self._receive(self._retry)
            left, lost = 0, reply is None
            if reply is not None:
                left, lost = self._take(pending, reply, (reply.sequence - number) % SEQUENCE)
            if left:
                number = (number + left) % SEQUENCE
                following = max(0, following - left)
                window = min(WINDOW, window + 1)
            else:
                self._see_progress()
            if lost:
                first = pending.frames[0].request
                self._length.count(first, lost=True)
                self._next_attempt()
                following, window = 0, max(_FEWEST, window // 2) if reply else _FEWEST
                if first.words >= 2 * self._length.words:
                    number = self._cut_again(pending, number)
        self._due = number
        return bytes(pending.result)

    def _send_ahead(self, pending: Pending, number: int, following: int, window: int) -> int:
        """Send what the window has room for, from frame ``following`` on; the next to be sent."""
        while following < window:
            again = following < len(pending.frames)
            if not again and not pending.cut(self._length.words):
                break
            frame = pending.frames[following]
            if not frame.done:
                self.repeated += again
                self._send(frame.request, number + following)
            following += 1
        return following

    def _take(self, pending: Pending, reply: Reply, index: int) -> tuple[int, bool]:
        """Note an answer to frame ``index``: how many are done now, and whether one was lost."""
        gap, sent = reply.status == Status.GAP, len(pending.frames)
        if index > sent or (index == sent and not gap) or reply.kind == Kind.PROBE:
            return 0, False  # of a session before this one, or a probe that was repeated
        self._refuse_errors(reply)
        pending.executed(index)
        if not gap:
            pending.answer(index, reply.data)
        left = 0
        for request in pending.leave():
            self._length.count(request, lost=False)
            left += 1
        if left:
            self._progress = time.monotonic()
        # What was sent in this attempt before what is answered now, and is not, was lost.
        missing = (index > left or gap) and bool(pending.frames)
        return left, missing and self._attempt_of(reply) == self._attempt

    def _cut_again(self, pending: Pending, number: int) -> int:
        """Cut what was sent and not executed into frames again; the number of the first.

        The probe is ahead of its turn whatever the board has executed, so that it is answered with
        the number that is due. The line keeps the order: all frames before the probe were executed
        or lost, and all their answers came before its own.
        """
        ahead = number + len(pending.frames) + 1
        due, oldest = None, self._attempt + 1
        while due is None:
            self._next_attempt()
            self._send(Request(Kind.PROBE), ahead)
            due = self._probed(oldest)
        executed = (due - number) % SEQUENCE
        if executed > len(pending.frames):
            raise ToolError(
                f"the board on {self._line.port} has lost count: it was restarted; open it again"
            )
        self._progress = time.monotonic()
        pending.executed(executed)
        for request in pending.leave():
            self._length.count(request, lost=False)
        pending.cut_again()
        return due

    def _probed(self, oldest: int) -> int | None:
        """Number that a probe of attempt ``oldest`` or later is answered with, or None in time."""
        while (reply := self._receive(self._retry)) is not None:
            self._refuse_errors(reply)
            if reply.kind == Kind.PROBE and self._attempt_of(reply) >= oldest:
                return reply.sequence
            self._see_progress()
        self._see_progress()
        return None

    def _refuse_errors(self, reply: Reply) -> None:
        if reply.status == Status.ERROR:
            raise ToolError(
                f"the board on {self._line.port} refused an access: address outside of its memory "
                f"or registers"
            )

    def _see_progress(self) -> None:
        """Raise where nothing has got on for the timeout."""
        if time.monotonic() - self._progress >= self._timeout:
            raise self._silent()

    def _next_attempt(self) -> None:
        """Answers tell attempts apart, as all that may still be answered have other numbers."""
        if self._attempt - self._answered < ATTEMPTS - 1:
            self._attempt += 1

    def _attempt_of(self, reply: Reply) -> int:
        return self._attempt - (self._attempt - reply.attempt) % ATTEMPTS

    def _silent(self) -> ToolError:
        return ToolError(
            f"the board on {self._line.port} has not answered for {self._timeout:g} s: check "
            f"cable, power and bit rate ({self._line.baudrate}), then open it again"
        )

    def _lost(self, error: Exception) -> ToolError:
        return ToolError(
            f"the board on {self._line.port} is gone ({error}): check cable and power, then "
            f"open it again"
        )

    def _send(self, request: Request, sequence: int) -> None:
        self.sent += 1
        try:
            self._line.write(request.frame(sequence % SEQUENCE, self._attempt % ATTEMPTS))
        except serial.SerialTimeoutException:
            raise self._silent() from None
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from error

    def _receive(self, wait: float) -> Reply | None:
        """The next reply, or None after ``wait`` seconds without one."""
        deadline = time.monotonic() + wait
        while not self._replies:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                self._line.timeout = left
                arrived = self._line.read(max(1, self._line.in_waiting))
            except (serial.SerialException, OSError) as error:
                raise self._lost(error) from error
            found = map(Reply.parse, self._unwrapper.feed(arrived))
            self._replies.extend(reply for reply in found if reply is not None)
        reply = self._replies.popleft()
        # The line keeps the order: what was sent in earlier attempts is answered or lost.
        self._answered = max(self._answered, self._attempt_of(reply))
        return reply
