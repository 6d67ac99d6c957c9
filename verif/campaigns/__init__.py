"""Long runs against references: damaged checkpoints.

Each is a target of the Makefile; the tests run slices of them.
"""
