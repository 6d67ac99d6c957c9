"""The host's side: driver, programs and networks on boards, a virtual board.

Where programs go to a board and results come back.
"""
