"""Small pieces of hardware that tables, columns and floats are made of.

They come right after the configuration; the lookup itself is one of them.
"""
