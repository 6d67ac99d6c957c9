"""From a configuration to files and figures: Verilog, areas, energies, runs, studies.

Where compiler, hardware and models meet.
"""
