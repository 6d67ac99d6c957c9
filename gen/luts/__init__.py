"""LUTs of a tile on FPGA families.

From emitted RTLIL to LUTs, carries and RAM.
"""
