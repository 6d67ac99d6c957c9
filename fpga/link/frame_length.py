"""How long the frames of a line should be."""

import math

from lutcore.fpga.link.protocol import FRAME_BYTES, WORD_BYTES, Request

#: Frames that a loss costs: the lost one, and those sent behind it before the host learns of it.
_COST = 4
#: Bytes without a fault that a line is credited with at first.
_CREDIT = 2048
#: Bytes after which what was counted loses half of its weight: lines get better and worse.
_MEMORY = 1 << 15


class FrameLength:
    """The more requests are lost, the shorter frames get, and long again when none is lost.

    With e faults a byte, and h bytes of a request and its reply that carry no data, L bytes of data
    use about ``(1 - h / L) (1 - c e L)`` of the line where a loss costs c frames. That is most at
    ``L = sqrt(h / (c e))``. e is counted: requests lost over bytes of all that were answered or
    lost, recent ones weighing more.

    Parameters
    ----------
    most : int
        Words of the longest frame.
    """

    def __init__(self, most: int):
        self._most = most
        self._bytes, self._lost = float(_CREDIT), 0.0

    @property
    def words(self) -> int:
        """Words that a frame should have, 1 to ``most``."""
        if not self._lost:
            return self._most
        best = math.sqrt(FRAME_BYTES * self._bytes / (_COST * self._lost))
        return max(1, min(self._most, int(best) // WORD_BYTES))

    def count(self, request: Request, lost: bool) -> None:
        """Note that a request was lost, it or its reply, or answered."""
        self._bytes += FRAME_BYTES + WORD_BYTES * request.words
        self._lost += lost
        if self._bytes > _MEMORY:
            self._bytes, self._lost = self._bytes / 2, self._lost / 2
