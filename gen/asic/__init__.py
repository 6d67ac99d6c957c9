"""Standard cells: mapping, sums of full adders, sizing, timing, area.

From emitted RTLIL to gate equivalents at a closed period.
"""
