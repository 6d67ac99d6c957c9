"""The core: load, compute, store, their instructions, and registers around a tile.

Programs and planes come in, the epilogue's results go out.
"""
