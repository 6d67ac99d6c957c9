"""AXI: signatures, and transfers cut into bursts.

Where programs, weights and results meet the memory.
"""
