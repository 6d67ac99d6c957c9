"""FPGA boards and bitstreams."""
