"""From a configuration to RTLIL, Verilog, metadata and register headers.

Where hardware leaves Python.
"""
