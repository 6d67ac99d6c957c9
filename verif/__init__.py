"""Golden model, cocotb benches and the regression runner."""
