"""What writes the manual's tables and drawings, and measures the figures in them.

No figure in the documents is typed by hand.
"""
