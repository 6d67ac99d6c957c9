"""What stands beside the Verilog: packages, constraints, benches, descriptions, datasheet.

Each is made from the configuration and the signature of the top, never from the text.
"""
