"""Time, bytes and energy of whole models on systems of cores, without running them.

Beside the data's way: the cycle model, applied to shapes.
"""
