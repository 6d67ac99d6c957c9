"""FPGA families: how Yosys maps to each, and what its cells take.

A LUT is the same thing for all: a place that logic could have used.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """One FPGA family: how Yosys maps to it, and what its cells are.

    Attributes
    ----------
    command : str
        Yosys command, without the top module.
    keep, flatten : str
        Options that keep the hierarchy or flatten it.
    luts : dict
        Cell (regular expression) -> LUTs that it takes.
    dsp : dict
        Cell (regular expression) -> multipliers that it takes.
    carry, ff, lutram, bram, spram, free : str
        Cells of each kind (regular expressions); ``free`` ones cost nothing.
    carry_in, carry_out, data : str
        Ports of a carry cell, and the data input of a flip-flop.
    fabric_carry : int
        LUTs that bring a carry from logic into a chain, or from a chain to logic.
    models : str
        What Yosys reads for the cells' behaviour.
    memories : str
        Label of the step of ``command`` that maps memories, before ``map_ffram``.
    finish : str
        Verilog for a ``techmap`` of the mapped cells to those that place and route takes.
    """

    command: str
    keep: str
    flatten: str
    luts: Mapping[str, int]
    dsp: Mapping[str, int]
    carry: str
    ff: str
    lutram: str
    bram: str
    free: str
    carry_in: str
    carry_out: str
    data: str
    fabric_carry: int
    models: str
    spram: str = "(?!)"
    memories: str = "map_ram"
    finish: str = ""


#: Yosys ties the carry into a chain's first CCU2 of Nexus, of which its LUTs make nothing; nextpnr
#: wants it left open.
_NEXUS_HEADS = r"""
(* techmap_celltype = "CCU2" *)
module _head (
	input wire A0, B0, C0, D0, A1, B1, C1, D1, CIN, output wire S0, S1, COUT
);
	parameter INIT0 = "", INIT1 = "", INJECT = "";
	wire _TECHMAP_FAIL_ = INIT0 != "0xFFFF" || INIT1 != "0x00AA";
	CCU2 #(.INIT0(INIT0), .INIT1(INIT1), .INJECT(INJECT)) _TECHMAP_REPLACE_ (
		.A0(A0), .B0(B0), .C0(C0), .D0(D0), .A1(A1), .B1(B1), .C1(C1), .D1(D1),
		.S0(S0), .S1(S1), .COUT(COUT)
	);
endmodule
"""

FAMILIES: dict[str, Family] = {
    # A CCU2C is two LUT4 with their carry. A TRELLIS_DPR16X4 takes four LUT4 of a PFU for its bits
    # and two for its write port. PFUMX and L6MUX21 come with the LUTs that they join.
    "ecp5": Family(
        command="synth_ecp5",
        keep="-noflatten",
        flatten="",
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        carry="CCU2C",
        ff="TRELLIS_FF",
        lutram="TRELLIS_DPR16X4",
        bram="DP16KD|PDPW16KD",
        dsp={"MULT18X18D|ALU54B": 1},
        free="PFUMX|L6MUX21",
        carry_in="CIN",
        carry_out="COUT",
        data="DI",
        fabric_carry=2,
        models="+/lattice/cells_sim_ecp5.v",
    ),
    # A logic cell is an SB_LUT4 with its SB_CARRY; a carry without a LUT of the same inputs takes a
    # cell of its own.
    "ice40": Family(
        command="synth_ice40 -device u -dsp",
        keep="-noflatten",
        flatten="",
        luts={"SB_LUT4": 1},
        carry="SB_CARRY",
        ff="SB_DFF.*",
        lutram="(?!)",
        bram="SB_RAM40_4K.*",
        spram="SB_SPRAM256KA",
        dsp={"SB_MAC16": 1},
        free="(?!)",
        carry_in="CI",
        carry_out="CO",
        data="D",
        fabric_carry=1,
        models="-D ICE40_U +/ice40/cells_sim.v",
    ),
    # An ALU takes a LUT4; a RAM16SDP four for its bits and two for its write port, however narrow.
    "gowin": Family(
        command="synth_gowin -noiopads",
        keep="-noflatten",
        flatten="",
        luts={"LUT[1-4]": 1, "INV": 1, "ALU": 1, "RAM16S.*": 6},
        carry="ALU",
        ff="DFF.*",
        lutram="RAM16S.*",
        bram="SP|SPX9|SDPB|SDPX9B|DPB|DPX9B|pROM|pROMX9",
        dsp={"MULT(9X9|18X18|36X36)|MULTALU.*|MULTADDALU.*|ALU54D|PADD.*": 1},
        free="MUX2_LUT[5-8]",
        carry_in="CIN",
        carry_out="COUT",
        data="D",
        fabric_carry=1,
        models="+/gowin/cells_sim.v",
    ),
    # A WIDEFN9 is the two LUT4 of a slice with their multiplexer. A CCU2 of its own begins a chain.
    "nexus": Family(
        command="synth_nexus -noiopad",
        keep="-noflatten",
        flatten="",
        luts={"LUT4|INV": 1, "CCU2|WIDEFN9": 2, "DPR16X4": 6},
        dsp={"MULT(9X9|18X18)": 1, "MULT18X36": 2, "MULT36X36": 4, "MULT(ADDSUB|PREADD).*": 4},
        carry="CCU2",
        ff="FD1P3[BDIJ]X",
        lutram="DPR16X4",
        bram="(DP|PDP|PDPSC|SP)16K",
        spram="(DPSC|PDPSC|SP)512K",
        free="(?!)",
        carry_in="CIN",
        carry_out="COUT",
        data="D",
        fabric_carry=2,
        models="+/lattice/cells_sim_nexus.v",
        finish=_NEXUS_HEADS,
    ),
    # Every LUT1..LUT6 is one LUT: two small ones are not packed into a LUT6_2, though Vivado may.
    # CARRY4, its carry in and out are free, and so are MUXF7 and MUXF8.
    "xilinx": Family(
        command="synth_xilinx -noiopad -noclkbuf",
        keep="",
        flatten="-flatten",
        luts={
            "LUT[1-6]|INV": 1,
            "RAM(32|64)M": 4,
            "RAM(32|64)X1D": 2,
            "RAM128X1D|RAM256X1S": 4,
            "RAM(32|64)X1S": 1,
            "RAM128X1S|RAM(32|64)X2S": 2,
            "SRL16E|SRLC16E|SRLC32E": 1,
        },
        carry="CARRY4",
        ff="FD[RSCP]E(_1)?",
        lutram="RAM(32|64|128|256)(M|X.*)|SRL.*",
        bram="RAMB18E1|RAMB36E1",
        dsp={"DSP48E1": 1},
        free="MUXF[78]",
        carry_in="CYINIT",
        carry_out="CO",
        data="D",
        fabric_carry=0,
        models="+/xilinx/cells_sim.v",
        memories="map_memory",
    ),
}
