"""Proofs of a tile's and a core's blocks: harnesses, what is assumed, what holds, what can happen.

Beside the core's buses; run by :mod:`lutcore.gen.verify.proofs`.
"""
