"""Generate, verify and measure lookup-table tensor cores for low-bit LLM inference."""
