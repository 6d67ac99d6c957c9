"""The tile as FPGAs like it: tables in LUT RAM, sums in carry chains.

Stands where the tile stands, with the same streams.
"""
