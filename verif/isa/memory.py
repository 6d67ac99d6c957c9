"""Memory as a core's bus sees it: where its bytes are, what may be touched, and what was."""

import numpy as np

from lutcore.hdl.isa.lmma import ADDRESS_BITS, Cause

_PAGE, _SPACE = 4096, 1 << ADDRESS_BITS


class Fault(Exception):
    """The program ends."""

    def __init__(self, cause: Cause, address: int):
        super().__init__(cause.name)
        self.cause, self.address = cause, address


def folded_page(page: int, pages: int) -> int:
    """Which of ``pages``, a power of two, a page of the address space is in folded memory.

    Every bit of its number counts: groups of as many bits as ``pages`` takes are combined by
    exclusive or. The first pages are themselves.
    """
    bits, found = pages.bit_length() - 1, 0
    while bits and page:
        found ^= page % pages
        page >>= bits
    return found


class Memory:
    """Bytes from address ``base`` on, which may wrap at the end of the address space.

    Parameters
    ----------
    content : uint8
        Changed in place.
    window : (int, int)
        Addresses that transfers may touch, from and up to; multiples of 4096.
    base : int
        A multiple of 4096.
    folded : bool
        Outside of it there is no error of the bus, but again one of its pages, of which there are
        2^n (:func:`folded_page`): transfers go anywhere, and a wrong address shows.

    Attributes
    ----------
    journal : list of (Cause, int, uint8), or None
        If a list is put here, each access: cause of its failure, address, content.
    """

    def __init__(
        self, content: np.ndarray, window: tuple[int, int], base: int = 0, folded: bool = False
    ):
        self.content, self.window, self.base, self.folded = content, window, base, folded
        self.journal: list[tuple[Cause, int, np.ndarray]] | None = None

    def places(self, address: int, size: int) -> slice | np.ndarray:
        """Where the bytes from an address on are in ``content``, if they are all there."""
        start = (address - self.base) % _SPACE
        if not self.folded or start + size <= len(self.content):
            return slice(start, start + size)
        pages = len(self.content) // _PAGE
        numbers = range(start // _PAGE, (start + size - 1) // _PAGE + 1)
        firsts = [folded_page(number % (_SPACE // _PAGE), pages) * _PAGE for number in numbers]
        within = start % _PAGE + np.arange(size)
        return np.array(firsts)[within // _PAGE] + within % _PAGE

    def _there(self, address: int, size: int, cause: Cause) -> slice | np.ndarray:
        """Where bytes are; the bus answers words that are not there with an error."""
        start, whole = (address - self.base) % _SPACE, len(self.content)
        if start + size > whole and not self.folded:
            raise Fault(cause, address if start >= whole else (self.base + whole) % _SPACE)
        return self.places(address, size)

    def found(self, address: int, size: int, cause: Cause) -> np.ndarray:
        """Bytes."""
        return self.content[self._there(address, size, cause)]

    def row(self, address: int, size: int, cause: Cause) -> np.ndarray:
        """One row of a transfer; checked by bursts, which end at 4 KiB boundaries."""
        low, high = self.window
        end = address + size
        if not (low <= address and end <= high):
            starts = [address, *range(address // _PAGE * _PAGE + _PAGE, end, _PAGE)]
            for start, stop in zip(starts, [*starts[1:], end], strict=True):
                place = start % _SPACE
                if not (low <= place and place + stop - start <= high):
                    raise Fault(Cause.RANGE, place)
        return self.found(address, size, cause)

    def write(self, address: int, content: np.ndarray) -> None:
        """Change bytes."""
        if content.size:
            self.content[self._there(address, content.size, Cause.WRITE)] = content
            self.note(Cause.WRITE, address, content)

    def note(self, cause: Cause, address: int, content: np.ndarray) -> None:
        """Put an access into the journal."""
        if self.journal is not None:
            self.journal.append((cause, address, content.copy()))
