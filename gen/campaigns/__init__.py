"""Long runs: every preset, random programs on every small core, float units, mutants of Python.

Each is a target of the Makefile.
"""
