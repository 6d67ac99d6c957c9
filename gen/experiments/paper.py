"""What the paper published, as data: the figures that ours are set beside.

Mo et al., "LUT Tensor Core: A Software-Hardware Co-Design for LUT-Based Low-Bit LLM Inference",
ISCA 2025 (arXiv 2408.06003, v3): Synopsys DC, TSMC 28 nm, 1 GHz. Its absolute figures belong to
that process, so that only ratios are compared.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A published number: ``value``, and ``source``, where it stands."""

    value: float
    source: str


#: Activation format -> K of the greatest density with M = N = 1.
BEST_K = {
    "int8": Published(4, "fig. 11"),
    "int16": Published(4, "fig. 11"),
    "fp8-e4m3": Published(5, "fig. 11, K = 4 close behind"),
    "fp16": Published(5, "fig. 11, K = 4 close behind"),
}

#: DP4, density of LUT W1 A_FP16 (61.55 TFLOPS/mm2) over MAC W_FP16 A_FP16 (3.39 TFLOPS/mm2).
DP4 = Published(18.2, "fig. 12")

#: Engine -> most weight bits at which it is denser than MAC, DP4, N = 4, A_FP16.
MOST_BITS = {
    "lut": Published(6, "fig. 13"),
    "add": Published(2, "fig. 13"),
    "conventional-lut": Published(2, "fig. 13"),
}

#: Weight bits -> density of LUT A_INT8 over MAC INT8; table 1 has two bits, one bit is twice that.
INT8_DENSITY = {1: Published(6.98, "table 1"), 2: Published(3.49, "table 1")}

#: LUT W2 A_INT8 over MAC INT8: operations per joule.
INT8_EFFICIENCY = Published(1.68, "table 1")

#: The only pair of formats, weight bits and activations, at which LUT is not the smallest.
LUT_LOSES = ((4, "int8"), "fig. 14")

#: Step of the ablation on the W2 A_INT8 tile of 512 products -> density, efficiency over UNPU.
ABLATION = {
    "reinterpretation": (Published(1.317, "table 2"), Published(1.301, "table 2")),
    "remap": (Published(1.351, "table 2"), Published(1.347, "table 2")),
    "external": (Published(1.440, "table 2"), Published(1.442, "table 2")),
}

#: Weight bits -> LUTs per A8 product a cycle of FINN's matrix-vector unit (HLS, PE 16, SIMD 64).
FINN_LUTS = {
    1: Published(50, "FINN MVAU, W1A8"),
    2: Published(56, "FINN MVAU, W2A8"),
    4: Published(66, "FINN MVAU, W4A8"),
}


def bismo_luts(weight_bits: int, activation_bits: int = 8, width: int = 256) -> Published:
    """LUTs per product a cycle of BISMO, which is bit-serial in weights and activations.

    A dot-product unit of ``width`` bits takes 1.17 LUTs a bit and 44.1, and its result 120.1 more.
    """
    per_bit = (1.17 * width + 44.1 + 120.1) / width
    return Published(
        per_bit * weight_bits * activation_bits,
        f"BISMO, W{weight_bits}A{activation_bits}, {width} bits a unit",
    )


#: System -> ms of LLAMA 3B (FP16) or BitNet b1.58 3B at BS1 SEQ2048 and BS1024 SEQ1 (table 1).
LATENCIES = {
    "A100 FP16": (106.71, 41.15),
    "A100 INT8": (67.06, 21.70),
    "A100 LUT 4x": (42.49, 11.41),
    "A100 LUT 8x": (38.02, 7.47),
    "H100 FP8": (38.20, 12.30),
    "H100 LUT 8x": (23.48, 5.97),
}

#: Share of time that precompute adds, not fused and fused, in prefill and decode.
PRECOMPUTE = {
    ("prefill", "not fused"): Published(0.1647, "table 4"),
    ("decode", "not fused"): Published(0.2441, "table 4"),
    ("prefill", "fused"): Published(0.0262, "table 4"),
    ("decode", "fused"): Published(0.0252, "table 4"),
}

#: LUT Tensor Cores over FP16 Tensor Cores, whole models, at most.
MOST_SPEEDUP = Published(8.2, "fig. 17, at most")

#: LUT W1 A_FP16 beside the FP16 Tensor Core on one kernel.
KERNEL = "fig. 15: slightly faster, in 14.3 % of the area"
