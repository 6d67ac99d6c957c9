"""What becomes hardware, in Amaranth: configuration, tables, lookup, accumulation, tile, core.

The lowest floor of the data's way: everything above is made for it.
"""
