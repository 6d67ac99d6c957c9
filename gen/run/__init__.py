"""Products, programs and networks on the models and on RTL.

Checkpoint and core together: what a user runs.
"""
