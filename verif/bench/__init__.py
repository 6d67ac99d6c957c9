"""What runs inside the simulator: stream drivers and monitors, scoreboard, cocotb tests."""
