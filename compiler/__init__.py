"""From a quantised checkpoint to what the core reads: import, reinterpretation, packing."""
