"""Proofs of the buses' blocks: harnesses, what is assumed, what holds, what can happen.

Beside the core's buses; run by :mod:`lutcore.gen.verify.proofs`.
"""
