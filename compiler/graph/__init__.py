"""Networks as graphs: built from a checkpoint's facts, lowered by passes, drawn.

Between checkpoint and programs: it says which products a network is made of.
"""
