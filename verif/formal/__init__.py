"""Properties of the bus interfaces, proved for all inputs up to a depth.

Beside the core's buses.
"""
