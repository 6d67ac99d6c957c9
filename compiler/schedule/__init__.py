"""The cycles of a program without its data, and the search of the best cut.

Between planes and program: it decides how a product is cut.
"""
