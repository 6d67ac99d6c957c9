"""The tile: activations -> tables -> lookup -> accumulators -> results.

The middle of the data's way: the core feeds it and takes what it drains.
"""
