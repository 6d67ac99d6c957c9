"""The boards: pins, clocks, memories.

What a bitstream is made for.
"""
