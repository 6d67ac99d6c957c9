"""Boards: a core or a tile behind a serial link, bitstreams, the host's driver.

The way's end on an FPGA, real or simulated.
"""
