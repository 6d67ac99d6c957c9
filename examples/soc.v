// A system of a user's own: a core behind an active-low reset, its memory at 0x4000_0000 of a bus
// with identifiers and 40-bit addresses, its interrupt in a register. See soc_bench.py.
module soc (
  input  wire         clk,
  input  wire         resetn,
  output reg          done,

  // Registers of the core, AXI4-Lite.
  input  wire         s_axi_awvalid, output wire        s_axi_awready,
  input  wire [7:0]   s_axi_awaddr,  input  wire [2:0]  s_axi_awprot,
  input  wire         s_axi_wvalid,  output wire        s_axi_wready,
  input  wire [31:0]  s_axi_wdata,   input  wire [3:0]  s_axi_wstrb,
  output wire         s_axi_bvalid,  input  wire        s_axi_bready,
  output wire [1:0]   s_axi_bresp,
  input  wire         s_axi_arvalid, output wire        s_axi_arready,
  input  wire [7:0]   s_axi_araddr,  input  wire [2:0]  s_axi_arprot,
  output wire         s_axi_rvalid,  input  wire        s_axi_rready,
  output wire [31:0]  s_axi_rdata,   output wire [1:0]  s_axi_rresp,

  // Memory, AXI4.
  output wire         ddr_arvalid,   input  wire        ddr_arready,
  output wire [3:0]   ddr_arid,      output wire [39:0] ddr_araddr,
  output wire [7:0]   ddr_arlen,     output wire [2:0]  ddr_arsize,
  output wire [1:0]   ddr_arburst,
  input  wire         ddr_rvalid,    output wire        ddr_rready,
  input  wire [3:0]   ddr_rid,       input  wire [127:0] ddr_rdata,
  input  wire [1:0]   ddr_rresp,     input  wire        ddr_rlast,
  output wire         ddr_awvalid,   input  wire        ddr_awready,
  output wire [3:0]   ddr_awid,      output wire [39:0] ddr_awaddr,
  output wire [7:0]   ddr_awlen,     output wire [2:0]  ddr_awsize,
  output wire [1:0]   ddr_awburst,
  output wire         ddr_wvalid,    input  wire        ddr_wready,
  output wire [127:0] ddr_wdata,     output wire [15:0] ddr_wstrb,
  output wire         ddr_wlast,
  input  wire         ddr_bvalid,    output wire        ddr_bready,
  input  wire [3:0]   ddr_bid,       input  wire [1:0]  ddr_bresp
);
  wire rst = !resetn;
  wire [47:0] araddr, awaddr;
  wire irq;

  assign ddr_arid = 4'd3;
  assign ddr_awid = 4'd3;
  assign ddr_araddr = {10'd1, araddr[29:0]};
  assign ddr_awaddr = {10'd1, awaddr[29:0]};
  always @(posedge clk)
    done <= irq && resetn;

  soc_core_axi core (
    .clk(clk), .rst(rst), .irq(irq),
    .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready),
    .s_axi_awaddr(s_axi_awaddr), .s_axi_awprot(s_axi_awprot),
    .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
    .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(s_axi_wstrb),
    .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready), .s_axi_bresp(s_axi_bresp),
    .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
    .s_axi_araddr(s_axi_araddr), .s_axi_arprot(s_axi_arprot),
    .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready),
    .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp),
    .m_axi_arvalid(ddr_arvalid), .m_axi_arready(ddr_arready), .m_axi_araddr(araddr),
    .m_axi_arlen(ddr_arlen), .m_axi_arsize(ddr_arsize), .m_axi_arburst(ddr_arburst),
    .m_axi_arlock(), .m_axi_arcache(), .m_axi_arprot(),
    .m_axi_rvalid(ddr_rvalid), .m_axi_rready(ddr_rready), .m_axi_rdata(ddr_rdata),
    .m_axi_rresp(ddr_rresp), .m_axi_rlast(ddr_rlast),
    .m_axi_awvalid(ddr_awvalid), .m_axi_awready(ddr_awready), .m_axi_awaddr(awaddr),
    .m_axi_awlen(ddr_awlen), .m_axi_awsize(ddr_awsize), .m_axi_awburst(ddr_awburst),
    .m_axi_awlock(), .m_axi_awcache(), .m_axi_awprot(),
    .m_axi_wvalid(ddr_wvalid), .m_axi_wready(ddr_wready), .m_axi_wdata(ddr_wdata),
    .m_axi_wstrb(ddr_wstrb), .m_axi_wlast(ddr_wlast),
    .m_axi_bvalid(ddr_bvalid), .m_axi_bready(ddr_bready), .m_axi_bresp(ddr_bresp)
  );
endmodule
