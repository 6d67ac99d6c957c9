"""What a board has around a core or a tile: link, memories, clock.

Between the serial line and the core's buses.
"""
