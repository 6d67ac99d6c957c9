"""FPGA boards and bitstreams (to come)."""
