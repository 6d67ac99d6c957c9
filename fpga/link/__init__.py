"""The serial link's protocol: frames, requests, repeats, for gateware and driver alike.

Between the host and a board.
"""
