"""From a configuration to files and figures: Verilog, metadata, FuseSoC core, synthesis."""
