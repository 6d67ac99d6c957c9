"""Reliable requests over a line that loses, repeats and changes bytes."""

import secrets
import time
from collections import deque
from collections.abc import Sequence

import serial

from fpga.protocol import (
    ATTEMPTS,
    SEQUENCE,
    WINDOW,
    Kind,
    Reply,
    Request,
    Status,
    Unwrapper,
)
from hdl.errors import ToolError

#: Requests under way on a line that loses much: the second shows that the first was lost.
_FEWEST = 2


class Channel:
    """Sends requests and repeats what was lost: go-back-N, with fewer under way after a loss.

    Parameters
    ----------
    line : serial.Serial
        Open.
    timeout : float
        Seconds without progress after which the board counts as gone.
    retry : float
        Seconds without any answer after which requests are repeated.

    Attributes
    ----------
    repeated : int
        Requests that were sent again.
    """

    def __init__(self, line: serial.Serial, timeout: float, retry: float):
        self._line, self._timeout, self._retry = line, timeout, retry
        self._line.write_timeout = timeout
        self._unwrapper = Unwrapper()
        self._replies: deque[Reply] = deque()
        self._due = secrets.randbelow(SEQUENCE)
        self._attempt = secrets.randbelow(ATTEMPTS)
        self._greeted = False
        self.repeated = 0

    def exchange(self, requests: Sequence[Request]) -> list[bytes]:
        """Have requests executed in order, writes exactly once; what each read returns.

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
        answers = self._exchange(requests)
        self._greeted = True
        return answers

    def _exchange(self, requests: Sequence[Request]) -> list[bytes]:
        answers: list[bytes | None] = [None] * len(requests)
        first = self._due
        self._due = (first + SEQUENCE // 2) % SEQUENCE  # where this one fails
        base = following = highest = 0
        window = WINDOW
        progress = time.monotonic()
        self._next_attempt()
        while base < len(requests):
            ahead = max(following, min(base + window, len(requests)))
            for place in range(following, ahead):
                if answers[place] is None:
                    self.repeated += place < highest
                    self._send(requests[place], first + place)
            following = ahead
            highest = max(highest, following)
            reply = self._receive()
            if reply is None:
                if time.monotonic() - progress > self._timeout:
                    raise self._silent()
                self._next_attempt()
                following, window = base, _FEWEST
                continue
            place = base + (reply.sequence - first - base) % SEQUENCE
            if place > highest or (place == highest and reply.status != Status.GAP):
                continue  # of a session before this one
            if reply.status == Status.ERROR:
                raise ToolError(
                    f"the board on {self._line.port} refused an access: address outside of its "
                    f"memory or registers"
                )
            self._accept(requests, answers, range(base, place), reply)
            before = base
            while base < len(requests) and answers[base] is not None:
                base += 1
            if base > before:
                progress = time.monotonic()
                window = min(WINDOW, window + 1)
            elif time.monotonic() - progress > self._timeout:
                raise self._silent()
            # What was sent in this attempt before what is answered now, and is not, was lost.
            missing = place > base or reply.status == Status.GAP
            if missing and reply.attempt == self._attempt:
                self._next_attempt()
                following, window = base, max(_FEWEST, window // 2)
        self._due = (first + len(requests)) % SEQUENCE
        return [answer or b"" for answer in answers]

    def _accept(
        self,
        requests: Sequence[Request],
        answers: list[bytes | None],
        pending: range,
        reply: Reply,
    ) -> None:
        """Note an answer; writes still pending before the one that it names were executed too."""
        if reply.status == Status.OK and len(reply.data) == requests[pending.stop].answer_bytes:
            answers[pending.stop] = reply.data
        for earlier in pending:
            if requests[earlier].kind == Kind.WRITE:
                answers[earlier] = b""

    def _next_attempt(self) -> None:
        self._attempt = (self._attempt + 1) % ATTEMPTS

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
        try:
            self._line.write(request.frame(sequence % SEQUENCE, self._attempt))
        except serial.SerialTimeoutException:
            raise self._silent() from None
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from error

    def _receive(self) -> Reply | None:
        """The next reply, or None after ``retry`` seconds without one."""
        deadline = time.monotonic() + self._retry
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
        return self._replies.popleft()
