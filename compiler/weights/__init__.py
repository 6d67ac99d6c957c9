"""Weight tensors: quantised codes, how files keep them, and bit planes for a tile.

The second step of the data's way: from a checkpoint's codes to planes.
"""
