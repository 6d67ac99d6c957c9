"""Programs: how a product is cut, its instructions, their text, and the memory image.

After planes: what a core executes.
"""
