"""Energy of a product: toggles of the mapped netlist, weighed by the library.

After area: the same netlist at work.
"""
