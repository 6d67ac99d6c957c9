"""What becomes hardware: configuration, tables, lookup, accumulation, tile (Amaranth)."""
