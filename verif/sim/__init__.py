"""Simulations of RTL: builds, jobs that are played into them, and their verdicts.

Where emitted Verilog meets the golden model.
"""
