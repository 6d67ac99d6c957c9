"""Judges of networks that we did not write: each computes a file's outputs its own way.

They need the extra ``judges``; the project itself never calls them.
"""
