"""Golden and ISA models, simulations, benches, proofs.

Beside the whole way: each of its results is held against a model that shares nothing with it.
"""
