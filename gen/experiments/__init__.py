"""Measured points, cached, and what compares, plots and reports them.

What studies and explorations are made of.
"""
