"""What runs have shown of a design: functional bins, lines, toggles.

Between the benches, which observe, and the reports of regressions.
"""
