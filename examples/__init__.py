"""Real weights and activations, a small language model, and programs that use the packages.

What a first try of the way starts from.
"""
