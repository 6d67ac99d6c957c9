"""What a test plan wants to have seen of a design, and what runs have shown: functional bins,
lines, toggles. Between the benches, which observe, and the reports.
"""
