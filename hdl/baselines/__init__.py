"""What tables replace: units of multipliers and adders, discrete and fused.

Beside the data's way, to compare with.
"""
