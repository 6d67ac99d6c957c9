"""Yosys and OpenSTA, the netlists that they write, and which tools are here.

What every measurement of a design goes through.
"""
