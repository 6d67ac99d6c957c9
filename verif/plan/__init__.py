"""Test plans as data, one file for each kind of design: features, and what shows each of them.

Read by regressions and their reports; beside coverage, which has the bins that a plan names.
"""
