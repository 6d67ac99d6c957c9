"""From a board's logic to a bitstream: netlist, fit, place and route, report.

After emitted RTLIL: what is loaded into an FPGA.
"""
