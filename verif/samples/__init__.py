"""Small cores, programs, networks and checkpoints that tests and campaigns share.

What goes into simulations where real data would be too large.
"""
