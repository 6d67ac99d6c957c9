"""What runs inside the simulator: stream drivers and monitors, scoreboard, cocotb tests.

Where jobs meet the ports of emitted Verilog.
"""
