"""Networks as typed dataflow graphs: builders, passes, printing."""
