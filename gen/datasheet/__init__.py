"""The datasheet of a design: blocks, ports, waves of a simulation, registers, memories, area.

One document, written as Markdown with pictures beside it and as HTML with them within.
"""
