"""How FPGA flows map sums: Yosys technology maps for the carry chains of each family."""

import re

#: Every addition becomes a carry chain of its own. Yosys's alumacc would fuse sums of three or more
#: terms into carry-save adders, which cost an FPGA twice as much.
_ADDERS = r"""
`default_nettype none
(* techmap_celltype = "$add $sub" *)
module _adder #(
	parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1,
	parameter _TECHMAP_CELLTYPE_ = ""
) (
	(* force_downto *) input wire [A_WIDTH-1:0] A,
	(* force_downto *) input wire [B_WIDTH-1:0] B,
	(* force_downto *) output wire [Y_WIDTH-1:0] Y
);
	localparam SUBTRACT = _TECHMAP_CELLTYPE_ == "$sub";
	(* force_downto *) wire [Y_WIDTH-1:0] X, CO;
	\$alu #(
		.A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED),
		.A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
	) _TECHMAP_REPLACE_ (.A(A), .B(B), .BI(SUBTRACT), .CI(SUBTRACT), .X(X), .Y(Y), .CO(CO));
endmodule
"""

#: :class:`lutcore.hdl.fabric.carry_chains.AddSubtract` of operands of BITS and a result of RESULT
#: bits.
_ADD_SUBTRACT = r"""
(* techmap_celltype = "NAME" *)
module _add_subtract (
	input wire [BITS-1:0] a, b, input wire add, output wire [RESULT-2:0] high
);
	localparam N = RESULT;
	BODY
endmodule
"""

_BODIES = {
    # The LUTs of a CCU2C have four inputs, of which the carry needs two: the sign is free, and the
    # lowest position makes the carry of the lowest bits.
    "ecp5": r"""
	localparam LOWEST = 16'b0111_0100_0000_1111;
	localparam OTHER = 16'b0110_1001_1010_1010;
	// Where the result is wider than the operands, only the carry counts.
	wire [N:0] x = a, y = b, z = {2'b11, {BITS{add}}};
	wire [N+1:0] sum, carry;
	assign carry[0] = 1'b0;
	genvar i;
	generate for (i = 0; i < N; i = i + 2) begin : bits
		CCU2C #(
			.INIT0(i ? OTHER : LOWEST), .INIT1(OTHER), .INJECT1_0("NO"), .INJECT1_1("NO")
		) pair (
			.CIN(carry[i]), .COUT(carry[i+2]), .S0(sum[i]), .S1(sum[i+1]),
			.A0(x[i]), .B0(y[i]), .C0(z[i]), .D0(1'b1),
			.A1(x[i+1]), .B1(y[i+1]), .C1(z[i+1]), .D1(1'b1)
		);
	end endgenerate
	assign high = sum[N-1:1];
""",
    # An ALU adds or subtracts as its fourth input says; one more of them makes the carry.
    "gowin": r"""
	wire [N-1:0] x = a, y = b, z = {1'b1, {BITS{add}}};
	wire [N:0] carry;
	wire [N-1:0] sum;
	ALU #(.ALU_MODE(1)) head (.CIN(1'b1), .COUT(carry[0]), .I0(1'b0), .I1(add), .I3(1'b0));
	genvar i;
	generate for (i = 0; i < N; i = i + 1) begin : bits
		ALU #(.ALU_MODE(2)) pair (
			.CIN(carry[i]), .COUT(carry[i+1]), .SUM(sum[i]),
			.I0(x[i]), .I1(y[i]), .I3(z[i])
		);
	end endgenerate
	assign high = sum[N-1:1];
""",
    # Yosys brings the sign into the LUTs of a chain by itself. The carry-out is for free.
    "xilinx": r"""
	wire [BITS-2:0] other = b[BITS-1:1] ^ {(BITS-1){~add}};
	wire lowest = b[0] ? a[0] : ~add;
	wire [BITS-2:0] x, sum, carry;
	\$alu #(
		.A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(BITS-1), .B_WIDTH(BITS-1), .Y_WIDTH(BITS-1)
	) chain (
		.A(a[BITS-1:1]), .B(other), .BI(1'b0), .CI(lowest), .X(x), .Y(sum), .CO(carry)
	);
	assign high = {carry[BITS-2], sum};
""",
}


def adder_maps(rtlil: str, family: str) -> str:
    """Verilog for ``techmap -map`` that maps the sums of a design to carry chains of ``family``.

    To be applied before ``synth_*``, after ``proc`` and ``wreduce``.
    """
    maps = [_ADDERS]
    if family in _BODIES:
        found = re.findall(r"^module \\(\S+_add_subtract_(\d+)_(\d+))$", rtlil, re.MULTILINE)
        for name, bits, result in sorted(set(found)):
            text = _ADD_SUBTRACT.replace("BODY", _BODIES[family].strip())
            text = text.replace("_add_subtract", f"_add_subtract_{bits}_{result}")
            maps.append(text.replace("NAME", name).replace("BITS", bits).replace("RESULT", result))
    return "".join(maps)
