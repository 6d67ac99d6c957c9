"""Widths of integers and powers of two."""


def signed_bits(low: int, high: int) -> int:
    """Width of the narrowest two's-complement integer that holds ``low..high``."""
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + 1


def power_of_two(least: int) -> int:
    """The least power of two that is ``least`` or more."""
    return 1 << max(least - 1, 0).bit_length()


def is_power_of_two(value: int) -> bool:
    """Whether ``value`` is one."""
    return value > 0 and not value & (value - 1)
