"""Floating-point arithmetic as components: add, multiply, convert.

Tables of exact floats and the epilogue are built of it.
"""
