"""What verification draws, judges and makes shorter: cases of a design against its model.

Campaigns and commands run as many of them as time allows.
"""
