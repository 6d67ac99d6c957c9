"""Long simulations: every preset at full size, random programs on every small core, float units.

Each is a target of the Makefile.
"""
