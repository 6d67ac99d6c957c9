"""Memory as a core's bus sees it."""

import numpy as np
import pytest

from lutcore.hdl.isa.lmma import Cause
from lutcore.verif.isa.memory import Fault, Memory, folded_page

_SPACE, _PAGE = 1 << 48, 4096


def memory(base=0, folded=True, pages=8):
    return Memory(
        np.arange(pages * _PAGE // 4, dtype="<u4").view(np.uint8), (0, _SPACE), base, folded
    )


def test_every_bit_of_an_address_counts_in_folded_memory():
    rng = np.random.default_rng(0)
    found = memory()
    for address in rng.integers(0, _SPACE // 64, 20) * 64:
        here = found.found(int(address), 64, Cause.READ).tobytes()
        for bit in range(6, 48):
            assert found.found(int(address) ^ 1 << bit, 64, Cause.READ).tobytes() != here


def test_the_first_pages_are_themselves():
    assert [folded_page(page, 8) for page in range(10)] == [*range(8), 1, 0]
    assert folded_page(1 << 35, 1) == 0


def test_rows_across_pages_are_put_together_and_written_where_they_are_read():
    found = memory(base=0x7000)
    address = 0x7000 + 9 * _PAGE - 16  # in pages 8 and 9, which are 1 and 0 again
    words = found.found(address, 32, Cause.READ).view("<u4")
    assert words.tolist() == [*range(2 * 1024 - 4, 2 * 1024), *range(4)]
    found.write(address, np.full(32, 0xAB, np.uint8))
    assert (found.found(address, 32, Cause.READ) == 0xAB).all()
    changed = np.flatnonzero(found.content != memory().content)
    assert set(changed // 16) <= {0, 2 * _PAGE // 16 - 1} and len(changed) > 20


def test_the_end_of_the_address_space():
    found = memory(base=_SPACE - 2 * _PAGE)
    assert found.found(0, 4, Cause.READ).view("<u4") == 2 * 1024
    row = found.found(_SPACE - 2 * _PAGE - 16, 32, Cause.READ).view(
        "<u4"
    )  # the last page, the first
    last = folded_page((1 << 36) - 1, 8) * 1024
    assert row.tolist() == [*range(last + 1020, last + 1024), *range(4)]


def test_without_folding_there_is_nothing_outside():
    found = memory(folded=False)
    with pytest.raises(Fault) as fault:
        found.found(8 * _PAGE - 16, 32, Cause.READ)
    assert (fault.value.cause, fault.value.address) == (Cause.READ, 8 * _PAGE)
