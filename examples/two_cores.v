// Two different cores in one system: a memory for each, one AXI4-Lite port for the registers of
// both. Bit 8 of a register's address chooses the core.
module two_cores (
  input  wire        clk,
  input  wire        rst,
  input  wire        awvalid,
  output wire        awready,
  input  wire [8:0]  awaddr,
  input  wire        wvalid,
  output wire        wready,
  input  wire [31:0] wdata,
  output wire        bvalid,
  input  wire        bready,
  output wire [1:0]  irqs
);
  // Each instance as it was generated, with its nets, in a scope of its own.
  generate
    if (1) begin : first
`include "lutcore_edge_axi_instance.vh"
    end
    if (1) begin : second
`include "lutcore_board_core_axi_instance.vh"
    end
  endgenerate

  // Writes of registers. Both cores answer in their time; only one is asked at a time.
  wire chosen = awaddr[8];
  assign first.s_axi_awvalid = awvalid && !chosen;
  assign second.s_axi_awvalid = awvalid && chosen;
  assign first.s_axi_wvalid = wvalid && !chosen;
  assign second.s_axi_wvalid = wvalid && chosen;
  assign awready = chosen ? second.s_axi_awready : first.s_axi_awready;
  assign wready = chosen ? second.s_axi_wready : first.s_axi_wready;
  assign bvalid = first.s_axi_bvalid || second.s_axi_bvalid;
  assign first.s_axi_awaddr = awaddr[7:0];
  assign second.s_axi_awaddr = awaddr[7:0];
  assign first.s_axi_wdata = wdata;
  assign second.s_axi_wdata = wdata;
  assign first.s_axi_wstrb = 4'hf;
  assign second.s_axi_wstrb = 4'hf;
  assign first.s_axi_bready = bready;
  assign second.s_axi_bready = bready;
  assign irqs = {second.irq, first.irq};

  // Nobody reads registers here, and protection is not asked for.
  assign first.s_axi_arvalid = 1'b0;
  assign second.s_axi_arvalid = 1'b0;
  assign first.s_axi_araddr = 8'd0;
  assign second.s_axi_araddr = 8'd0;
  assign first.s_axi_rready = 1'b0;
  assign second.s_axi_rready = 1'b0;
  assign first.s_axi_awprot = 3'd0;
  assign second.s_axi_awprot = 3'd0;
  assign first.s_axi_arprot = 3'd0;
  assign second.s_axi_arprot = 3'd0;

  // Memories, which never fail.
  assign first.m_axi_rresp = 2'd0;
  assign second.m_axi_rresp = 2'd0;
  assign first.m_axi_bresp = 2'd0;
  assign second.m_axi_bresp = 2'd0;

  axi_ram #(.WIDTH(64), .WORDS(2560), .LOG(3)) first_ram (
    .clk(clk),
    .arvalid(first.m_axi_arvalid),
    .arready(first.m_axi_arready),
    .araddr(first.m_axi_araddr),
    .arlen(first.m_axi_arlen),
    .rvalid(first.m_axi_rvalid),
    .rready(first.m_axi_rready),
    .rdata(first.m_axi_rdata),
    .rlast(first.m_axi_rlast),
    .awvalid(first.m_axi_awvalid),
    .awready(first.m_axi_awready),
    .awaddr(first.m_axi_awaddr),
    .wvalid(first.m_axi_wvalid),
    .wready(first.m_axi_wready),
    .wdata(first.m_axi_wdata),
    .wstrb(first.m_axi_wstrb),
    .wlast(first.m_axi_wlast),
    .bvalid(first.m_axi_bvalid),
    .bready(first.m_axi_bready)
  );

  axi_ram #(.WIDTH(64), .WORDS(2560), .LOG(3)) second_ram (
    .clk(clk),
    .arvalid(second.m_axi_arvalid),
    .arready(second.m_axi_arready),
    .araddr(second.m_axi_araddr),
    .arlen(second.m_axi_arlen),
    .rvalid(second.m_axi_rvalid),
    .rready(second.m_axi_rready),
    .rdata(second.m_axi_rdata),
    .rlast(second.m_axi_rlast),
    .awvalid(second.m_axi_awvalid),
    .awready(second.m_axi_awready),
    .awaddr(second.m_axi_awaddr),
    .wvalid(second.m_axi_wvalid),
    .wready(second.m_axi_wready),
    .wdata(second.m_axi_wdata),
    .wstrb(second.m_axi_wstrb),
    .wlast(second.m_axi_wlast),
    .bvalid(second.m_axi_bvalid),
    .bready(second.m_axi_bready)
  );
endmodule
