"""Golden models: results computed from the definitions, sharing nothing with the hardware.

Beside the whole way: what must come out at its end.
"""
