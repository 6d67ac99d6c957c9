"""How fast the core's parts go: what hardware is built with, and cycles are counted by.

Plain numbers, so that the cycle model (:mod:`lutcore.compiler.schedule.cycles`) loads no hardware.
"""

from lutcore.hdl.config.core import CoreConfig

#: Bursts end at multiples of this many bytes, as AXI asks, and have 256 beats at most.
PAGE_BITS = 12
MOST_BEATS = 256

#: Loads whose data is still to come while the next one's addresses go out.
PENDING = 4
#: ``lmma`` whose tables are built while earlier ones are computed.
AHEAD = 2
#: Bursts of a store under way at a time, and words that wait for the bus.
OUTSTANDING = 8
WORDS = 4
#: Cycles of standstill after which nothing can come any more: all handshakes take fewer.
QUIET = 8

#: Cycles from D and R to P as an FP32 number: integers, and exact floats.
INTEGER_PRODUCT, FLOAT_PRODUCT = 2, 6
#: Cycles from P and its scale to the new sum; the old one must be there for the addition.
SCALED, ADDED = 2, 3


def product_cycles(config: CoreConfig) -> int:
    """Cycles from D and R to P."""
    return FLOAT_PRODUCT if config.exact_floats else INTEGER_PRODUCT


def epilogue_cycles(config: CoreConfig) -> int:
    """Cycles from a result beat being taken to its sums being written."""
    return 1 + product_cycles(config) + SCALED + ADDED
